"""glance-manage: care of the database and the outbox, metadata definitions as files, and the takeover of a Glance deployment."""

from __future__ import annotations

import argparse
import json
import logging
import sys
from datetime import UTC, datetime, timedelta

from glancecore import bootstrap
from glancecore.cmd import adopt, metadefs, outbox, start
from glancecore.ports.repository import Database

#: Exit codes of ``db check``: nothing to do, or the schema must be synced.
UP_TO_DATE, SYNC_NEEDED = 0, 3


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


def _sync(args: argparse.Namespace, database: Database) -> int:
    before = database.version()
    database.sync(args.revision)
    bootstrap.prepare_logbook(args.conf, database)
    _tell(args, {"before": before, "now": database.version()}, "schema {before} -> {now}")
    return 0


def _version(args: argparse.Namespace, database: Database) -> int:
    _tell(args, {"version": database.version(), "head": database.head()}, "{version}")
    return 0


def _check(args: argparse.Namespace, database: Database) -> int:
    version, head = database.version(), database.head()
    if version == head:
        _tell(args, {"version": version, "head": head, "ok": True}, "The schema is up to date ({version}).")
        return UP_TO_DATE
    _tell(args, {"version": version, "head": head, "ok": False},
          "The schema is at {version}, this release needs {head}: run glance-manage db sync.")
    return SYNC_NEEDED


def _purge(args: argparse.Namespace, database: Database) -> int:
    before = datetime.now(UTC) - timedelta(days=args.age_in_days)
    count = database.purge(before, None if args.max_rows < 0 else args.max_rows)
    _tell(args, {"purged": count}, "{purged} deleted images forgotten; their ids may be used again")
    return 0


def _tell(args: argparse.Namespace, facts: dict[str, object], text: str) -> None:
    print(json.dumps(facts) if args.json else text.format(**facts))


def parser() -> argparse.ArgumentParser:
    made = argparse.ArgumentParser(prog="glance-manage", description="Care of the image service's database.")
    start.add_config_arguments(made)
    made.add_argument("--json", action="store_true", help="print JSON")
    areas = made.add_subparsers(dest="area", required=True, metavar="AREA")
    db = areas.add_parser("db", help="the database schema").add_subparsers(dest="action", required=True, metavar="ACTION")

    sync = db.add_parser("sync", help="create or upgrade the schema")
    sync.add_argument("revision", nargs="?", default="head", help="revision to go to (default: the newest)")
    sync.set_defaults(run=_sync)
    db.add_parser("version", help="show the schema's revision").set_defaults(run=_version)
    db.add_parser("check", help="exit 0 when the schema is up to date, 3 when it needs a sync").set_defaults(run=_check)
    purge = db.add_parser("purge", help="forget images that were deleted long ago; their ids may be used again")
    purge.add_argument("--age_in_days", "--age-in-days", type=int, default=30, metavar="DAYS")
    purge.add_argument("--max_rows", "--max-rows", type=int, default=100, metavar="N", help="at most so many; -1 for all")
    purge.set_defaults(run=_purge)
    metadefs.add_actions(db, "_metadefs")
    metadefs.add_area(areas)
    adopt.add_area(areas)
    outbox.add_area(areas)
    return made
