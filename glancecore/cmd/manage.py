"""glance-manage: care of the database, the outbox, the places of stores, the limits of projects and what they use,
metadata definitions as files, the takeover of a Glance deployment, and what extensions bring."""

from __future__ import annotations

import argparse
import contextlib
import logging
import sys
from collections.abc import Mapping

from oslo_config import cfg

from glancecore.assembly import extensions
from glancecore.assembly.kernel import load_database
from glancecore.cmd import adopt, extension, metadefs, outbox, parsing, quota, schema, start, store, usage
from glancecore.domain.errors import ConfigError
from glancecore.ports.extension import Extension

LOG = logging.getLogger(__name__)


def main() -> None:
    sys.exit(start.run(_main))


def _main() -> int:
    args = parser(_extensions()).parse_args()
    conf = start.read_config(args, log_level=logging.WARNING)
    args.conf = conf
    database = load_database(conf)
    try:
        return int(args.run(args, database))
    finally:
        database.close()


def _extensions() -> dict[str, type[Extension]]:
    """Those that the operator has switched on. A configuration that can't be read is told of later."""
    known = argparse.ArgumentParser(add_help=False)
    start.add_config_arguments(known)
    with contextlib.suppress(cfg.Error):
        try:
            return extensions.load(start.read_config(known.parse_known_args()[0], log_level=logging.WARNING))
        except ConfigError as exc:
            LOG.warning("the commands of extensions are not there: %s", exc)
    return {}


def parser(classes: Mapping[str, type[Extension]] | None = None) -> argparse.ArgumentParser:
    """``classes``: enabled extensions, which have commands, too."""
    made = parsing.parser("glance-manage", "Care of the image service's database.")
    start.add_config_arguments(made)
    made.add_argument("--json", action="store_true", help="print JSON")
    areas = made.add_subparsers(dest="area", required=True, metavar="AREA")
    schema.add_area(areas)
    metadefs.add_area(areas)
    adopt.add_area(areas)
    outbox.add_area(areas)
    store.add_area(areas)
    quota.add_area(areas)
    usage.add_area(areas)
    extension.add_areas(areas, classes or {})
    return made
