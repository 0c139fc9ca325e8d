"""glance-manage db: the database schema and what it may forget, in our words and in Glance's."""

from __future__ import annotations

import argparse
import json
from datetime import UTC, datetime, timedelta

from glancecore.cmd import arguments, backup, metadefs
from glancecore.domain.errors import ConfigError, Invalid, SchemaUnknown
from glancecore.ports.repository import Database
from glancecore.ports.rolling_schema import RollingSchema, SchemaStep

#: What is to be done next, in words.
ADVICE = {
    SchemaStep.SYNC: "stop all nodes that run, then run glance-manage db sync (a new database: also db expand)",
    SchemaStep.EXPAND: "run glance-manage db expand; nodes of the release before may serve meanwhile",
    SchemaStep.CONTRACT: "when all nodes are of this release, run glance-manage db contract",
    SchemaStep.NEWER: "it is of the next release, and this one serves on it; upgrade this node",
}
_SAID = {
    SchemaStep.NOTHING: "The schema is up to date ({version}).",
    SchemaStep.SYNC: "The schema is at {version}, this release needs {head}: run glance-manage db sync.",
    SchemaStep.EXPAND: f"The schema is at {{version}}, this release brings {{head}}: {ADVICE[SchemaStep.EXPAND]}.",
    SchemaStep.CONTRACT: f"The schema is at {{version}}: {ADVICE[SchemaStep.CONTRACT]}.",
    SchemaStep.NEWER: f"The schema is at {{version}}: {ADVICE[SchemaStep.NEWER]}.",
}
#: Exit codes of ``db check``, Glance's where it has them.
_CODES = {SchemaStep.NOTHING: 0, SchemaStep.SYNC: 3, SchemaStep.EXPAND: 3, SchemaStep.CONTRACT: 5, SchemaStep.NEWER: 0}
#: Glance's words for the newest revision.
NEWEST = frozenset({"head", "heads"})
Areas = argparse._SubParsersAction  # noqa: SLF001 (its type has no public name)


def _state(database: Database) -> tuple[str | None, str]:
    """The schema's revision and the one that this release needs. Raises SchemaUnknown when there is no way from one to
    the other."""
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
    _tell(args, {"before": before, "now": database.version()}, "schema {before} -> {now}")
    return 0


def _expand(args: argparse.Namespace, database: Database) -> int:
    """The first step of an upgrade, beside nodes of the release before; a new database gets everything."""
    if not isinstance(database, RollingSchema):
        return _expand_alone(args, database)
    before, step = database.version(), database.schema_step()
    if step is SchemaStep.NEWER:
        database.sync()  # says why not
    if step is SchemaStep.SYNC and before is not None:
        raise Invalid(
            f"db expand: the schema is at {before}, on which nodes of the release before this one do not serve; stop"
            " all nodes, then run glance-manage db sync"
        )
    database.expand()
    _tell(
        args,
        {"before": before, "now": database.version(), "next": database.schema_step().value},
        "schema {before} -> {now}",
    )
    return 0


def _expand_alone(args: argparse.Namespace, database: Database) -> int:
    """Of a driver that knows no upgrade beside nodes that serve."""
    version, head = _state(database)
    if version not in (None, head):
        raise Invalid(
            f"db expand: nodes of the older release can't serve beside an upgrade (the schema is at {version}, this"
            f" release needs {head}); stop all nodes, then run glance-manage db sync"
        )
    return _sync(args, database)


def _version(args: argparse.Namespace, database: Database) -> int:
    _tell(args, {"version": database.version(), "head": database.head()}, "{version}")
    return 0


def _check(args: argparse.Namespace, database: Database) -> int:
    version, head = _state(database)
    step = (
        database.schema_step()
        if isinstance(database, RollingSchema)
        else SchemaStep.NOTHING
        if version == head
        else SchemaStep.SYNC
    )
    _tell(args, {"version": version, "head": head, "ok": step is SchemaStep.NOTHING, "next": step.value}, _SAID[step])
    return _CODES[step]


def _migrate(args: argparse.Namespace, database: Database) -> int:
    """Glance's second step of an upgrade: here the first one does its work, or it fails as it does there."""
    version, head = _state(database)
    step = (
        database.schema_step()
        if isinstance(database, RollingSchema)
        else SchemaStep.NOTHING
        if version == head
        else SchemaStep.SYNC
    )
    if step in (SchemaStep.SYNC, SchemaStep.EXPAND):
        raise Invalid(f"db {args.step}: the schema is at {version}, this release needs {head}: {ADVICE[step]}")
    _tell(
        args,
        {"version": version, "head": head, "ok": True},
        "Nothing is left to do for this step: the schema is at {version}.",
    )
    return 0


def _contract(args: argparse.Namespace, database: Database) -> int:
    """The last step of an upgrade, when no node of the release before runs."""
    _migrate(args, database)
    if isinstance(database, RollingSchema) and database.schema_step() is SchemaStep.CONTRACT:
        database.contract()
        _tell(
            args,
            {"version": database.version(), "ok": True},
            "The schema is at {version}; nodes of the release before do not start any more.",
        )
    return 0


def _purge(args: argparse.Namespace, database: Database) -> int:
    before = datetime.now(UTC) - timedelta(days=args.age_in_days)
    count = database.purge(before, None if args.max_rows < 0 else args.max_rows)
    _tell(args, {"purged": count}, "{purged} deleted images forgotten; their ids may be used again")
    return 0


def _tell(args: argparse.Namespace, facts: dict[str, object], text: str) -> None:
    print(json.dumps(facts) if args.json else text.format(**facts))


def add_area(areas: Areas[argparse.ArgumentParser]) -> None:
    db = areas.add_parser("db", help="the database schema").add_subparsers(
        dest="action", required=True, metavar="ACTION"
    )
    _add_actions(db, "")
    for name, about, days in (
        ("purge", "forget images that were deleted long ago; their ids may be used again", 30),
        ("purge_images_table", "the same as purge, of Glance's default age", 180),
    ):
        purge = db.add_parser(name, help=about)
        purge.add_argument(
            "--age_in_days", "--age-in-days", type=arguments.days, default=days, metavar="DAYS", help=f"default: {days}"
        )
        purge.add_argument(
            "--max_rows",
            "--max-rows",
            type=arguments.count_or_all,
            default=100,
            metavar="N",
            help="at most so many; -1 for all",
        )
        purge.set_defaults(run=_purge)
    backup.add_actions(db)
    metadefs.add_actions(db, "_metadefs")
    _add_actions(areas, "db_")
    metadefs.add_old_actions(areas)


def _add_actions(area: Areas[argparse.ArgumentParser], prefix: str) -> None:
    """With a prefix, Glance's old words: they work, and are not listed."""

    def add(name: str, about: str) -> argparse.ArgumentParser:
        return (
            area.add_parser(f"{prefix}{name}", help=about)
            if not prefix
            else area.add_parser(f"{prefix}{name}", description=about)
        )

    for name, about, run in (
        ("sync", "create or upgrade the schema at once; before an upgrade stop all nodes", _sync),
        ("upgrade", "the same as sync", _sync),
        (
            "expand",
            (
                "the first step of an upgrade while nodes serve: add what this release needs; for a new database the"
                " same as sync"
            ),
            _expand,
        ),
    ):
        sync = add(name, about)
        sync.add_argument("revision", nargs="?", help="revision to go to (default: the newest)")
        sync.add_argument("--version", help="the same, as Glance has it")
        sync.set_defaults(run=run)
    for name, about, step in (
        ("migrate", "the second step of Glance's upgrades: nothing is left to do", _migrate),
        (
            "contract",
            "the last step of an upgrade, when no node of the release before runs: take away what only they need",
            _contract,
        ),
    ):
        add(name, about).set_defaults(run=step, step=name)
    add("version", "show the schema's revision").set_defaults(run=_version)
    check = add(
        "check",
        "exit 0 when the schema is up to date, 3 when it needs expand or sync, 5 contract, 1 when this release is too"
        " old for it",
    )
    check.set_defaults(run=_check)
