"""glance-manage: care of the database, the outbox and the places of stores, metadata definitions as files, and the takeover of a Glance deployment."""

from __future__ import annotations

import argparse
import logging
import sys

from glancecore import bootstrap
from glancecore.cmd import adopt, metadefs, outbox, parsing, schema, start, store


def main() -> None:
    sys.exit(start.run(_main))


def _main() -> int:
    args = parser().parse_args()
    conf = start.read_config(args, log_level=logging.WARNING)
    args.conf = conf
    database = bootstrap.load_database(conf)
    try:
        return int(args.run(args, database))
    finally:
        database.close()


def parser() -> argparse.ArgumentParser:
    made = parsing.parser("glance-manage", "Care of the image service's database.")
    start.add_config_arguments(made)
    made.add_argument("--json", action="store_true", help="print JSON")
    areas = made.add_subparsers(dest="area", required=True, metavar="AREA")
    schema.add_area(areas)
    metadefs.add_area(areas)
    adopt.add_area(areas)
    outbox.add_area(areas)
    store.add_area(areas)
    return made
