"""glance-manage db: the database schema and what it may forget, in our words and in Glance's."""

from __future__ import annotations

import argparse
import json
from datetime import UTC, datetime, timedelta

from glancecore.cmd import arguments, backup, metadefs
from glancecore.domain.errors import ConfigError, Invalid, SchemaUnknown
from glancecore.features.imports.flow.logbooks import prepare_logbook
from glancecore.ports.repository import Database

#: Exit codes of ``db check``: nothing to do, or the schema must be synced.
UP_TO_DATE, SYNC_NEEDED = 0, 3
#: Glance's words for the newest revision.
NEWEST = frozenset({"head", "heads"})
Areas = argparse._SubParsersAction  # noqa: SLF001 (its type has no public name)


def _state(database: Database) -> tuple[str | None, str]:
    """The schema's revision and the one that this release needs. Raises SchemaUnknown when there is no way from one to the other."""
    version, head = database.version(), database.head()
    if version not in (None, head):
        try:
            database.ping()
        except SchemaUnknown:
            raise
        except ConfigError:
            pass  # it is older
    return version, head


def _sync(args: argparse.Namespace, database: Database) -> int:
    before = database.version()
    wanted = args.version or args.revision or "head"
    database.sync("head" if wanted in NEWEST else wanted)
    prepare_logbook(args.conf, database)
    _tell(args, {"before": before, "now": database.version()}, "schema {before} -> {now}")
    return 0


def _expand(args: argparse.Namespace, database: Database) -> int:
    """Glance's first step is taken while nodes of the older release serve: of a new database, or one that is up to date. No upgrade here is made for that:
    what such nodes write lacks what the newer release keeps."""
    version, head = _state(database)
    if version not in (None, head):
        raise Invalid(f"db expand: nodes of the older release can't serve beside an upgrade (the schema is at {version}, this release needs {head}); "
                      "stop all nodes, then run glance-manage db sync")
    return _sync(args, database)


def _version(args: argparse.Namespace, database: Database) -> int:
    _tell(args, {"version": database.version(), "head": database.head()}, "{version}")
    return 0


def _check(args: argparse.Namespace, database: Database) -> int:
    version, head = _state(database)
    if version == head:
        _tell(args, {"version": version, "head": head, "ok": True}, "The schema is up to date ({version}).")
        return UP_TO_DATE
    _tell(args, {"version": version, "head": head, "ok": False},
          "The schema is at {version}, this release needs {head}: run glance-manage db sync.")
    return SYNC_NEEDED


def _later(args: argparse.Namespace, database: Database) -> int:
    """Glance's second and third step of an upgrade: here the first one does everything, or they fail as they do there."""
    version, head = _state(database)
    if version != head:
        raise Invalid(f"db {args.step}: the schema is at {version}, this release needs {head}; stop all nodes that run, then run glance-manage db sync (a new database: also db expand)")
    _tell(args, {"version": version, "head": head, "ok": True}, "Nothing is left to do: the schema is up to date ({version}).")
    return 0


def _purge(args: argparse.Namespace, database: Database) -> int:
    before = datetime.now(UTC) - timedelta(days=args.age_in_days)
    count = database.purge(before, None if args.max_rows < 0 else args.max_rows)
    _tell(args, {"purged": count}, "{purged} deleted images forgotten; their ids may be used again")
    return 0


def _tell(args: argparse.Namespace, facts: dict[str, object], text: str) -> None:
    print(json.dumps(facts) if args.json else text.format(**facts))


def add_area(areas: Areas[argparse.ArgumentParser]) -> None:
    db = areas.add_parser("db", help="the database schema").add_subparsers(dest="action", required=True, metavar="ACTION")
    _add_actions(db, "")
    for name, about, days in (("purge", "forget images that were deleted long ago; their ids may be used again", 30),
                              ("purge_images_table", "the same as purge, of Glance's default age", 180)):
        purge = db.add_parser(name, help=about)
        purge.add_argument("--age_in_days", "--age-in-days", type=arguments.days, default=days, metavar="DAYS", help=f"default: {days}")
        purge.add_argument("--max_rows", "--max-rows", type=arguments.count_or_all, default=100, metavar="N", help="at most so many; -1 for all")
        purge.set_defaults(run=_purge)
    backup.add_actions(db)
    metadefs.add_actions(db, "_metadefs")
    _add_actions(areas, "db_")
    metadefs.add_old_actions(areas)


def _add_actions(area: Areas[argparse.ArgumentParser], prefix: str) -> None:
    """With a prefix, Glance's old words: they work, and are not listed."""
    def add(name: str, about: str) -> argparse.ArgumentParser:
        return area.add_parser(f"{prefix}{name}", help=about) if not prefix else area.add_parser(f"{prefix}{name}", description=about)

    for name, about, run in (("sync", "create or upgrade the schema; before an upgrade stop all nodes", _sync), ("upgrade", "the same as sync", _sync),
                             ("expand", "the first step of Glance's upgrades: the same as sync for a new database; to upgrade one, stop all nodes and use sync", _expand)):
        sync = add(name, about)
        sync.add_argument("revision", nargs="?", help="revision to go to (default: the newest)")
        sync.add_argument("--version", help="the same, as Glance has it")
        sync.set_defaults(run=run)
    for name in ("migrate", "contract"):
        add(name, "a later step of Glance's upgrades: nothing is left to do").set_defaults(run=_later, step=name)
    add("version", "show the schema's revision").set_defaults(run=_version)
    add("check", "exit 0 when the schema is up to date, 3 when it needs a sync, 1 when this release is too old for it").set_defaults(run=_check)
