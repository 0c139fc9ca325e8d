"""glance-manage db backup and restored: a copy of the database, and what is to be done to one that was brought back."""

from __future__ import annotations

import argparse
import json
from datetime import UTC, datetime
from pathlib import Path

from glancecore.domain.errors import ConfigError
from glancecore.kernel.restored import restored
from glancecore.ports.backup import BacksUp
from glancecore.ports.repository import Database


def _backup(args: argparse.Namespace, database: Database) -> int:
    if not isinstance(database, BacksUp):
        raise ConfigError(
            f"[database] driver = {args.conf.database.driver}: it makes no backups; make them where the database is"
        )
    file = Path(args.file).absolute()
    database.backup(file)
    size = file.stat().st_size
    print(json.dumps({"file": str(file), "bytes": size}) if args.json else f"{file}: {size} bytes")
    return 0


def _restored(args: argparse.Namespace, database: Database) -> int:
    database.ping()
    outcome = restored(database, datetime.now(UTC))
    if args.json:
        print(json.dumps({"operations": outcome.operations, "images": outcome.images}))
    else:
        print(
            f"operations that were under way and let go of their data: {outcome.operations}; images without data yet,"
            f" whose data gets another name: {outcome.images}"
        )
        print(
            "start the service; what came after the backup is found by: glance-periodic run orphans; what is missing"
            " since, by: glance-periodic run auditor"
        )
    return 0


def add_actions(db: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    made = db.add_parser("backup", help="copy an SQLite database while it is used; others have tools of their own")
    made.add_argument("file", metavar="FILE", help="the copy; nothing may be there yet")
    made.set_defaults(run=_backup)
    db.add_parser(
        "restored",
        help=(
            "this database was brought back from a backup: run this before the service, so that nothing newer is"
            " deleted"
        ),
    ).set_defaults(run=_restored)
