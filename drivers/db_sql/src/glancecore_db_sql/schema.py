"""The care of the schema. Alembic is imported only when something is to be done: it would slow every start.

Revisions of a release come in two groups. The first ones add: nodes of the release before serve beside them
(``expand``). Those in ``CONTRACTS`` take away what only these need (``contract``). Which releases serve on a schema
that they don't know is written down in it: the oldest revision that they must know."""

from __future__ import annotations

import itertools

from sqlalchemy import Connection, exc, inspect
from tenacity import Retrying, retry_if_exception, stop_after_delay, wait_random

from glancecore.domain import errors
from glancecore.ports.record_repository import Record
from glancecore.ports.rolling_schema import SchemaStep
from glancecore.sdk.records import saving
from glancecore_db_sql.engine import Connections, Session
from glancecore_db_sql.images import SqlImages
from glancecore_db_sql.records import SqlRecords

#: All revisions of this driver, in order; a test compares them with the migrations.
REVISIONS = ("0001", "0002", "0003", "0004", "0005", "0006", "0007", "0008", "0009", "0010", "0011", "0012", "0013")
#: The newest of the release before, which this one serves on as well: its nodes may come before `db expand`.
OLDEST = "0011"
#: Those of this release that take away what the release before needs; they are the last ones.
CONTRACTS: frozenset[str] = frozenset({"0013"})
#: Where migrations lie, as Alembic names folders.
FOLDERS = ["glancecore_db_sql:migrations/versions"]
#: Of records, which are there since 0011: the oldest revision whose release serves on this schema.
COLLECTION = "schema_serves"


def version(on: Connections) -> str | None:
    return on.read(_version)


def _version(db: Session) -> str | None:
    if not inspect(db.connection).has_table("alembic_version"):
        return None
    found = db.row("SELECT version_num FROM alembic_version")
    return None if found is None else str(found[0])


def check(on: Connections) -> None:
    """Raises ConfigError unless the schema is one that this driver works with, SchemaUnknown for one that it neither
    knows nor works with."""
    found = version(on)
    if found in REVISIONS[REVISIONS.index(OLDEST) :] or (
        found is not None and found not in REVISIONS and serves_from(on) in REVISIONS
    ):
        return
    if found is None:
        raise errors.ConfigError("the database has no schema yet: run `glance-manage db sync`")
    if found in REVISIONS:
        raise errors.ConfigError(
            f"the database schema is at {found}, this version needs {REVISIONS[-1]}: run `glance-manage db sync`"
        )
    raise errors.SchemaUnknown(
        f"the database schema is at {found}, which this version does not know: it belongs to a newer version or another"
        " program; upgrade glancecore-db-sql, or fix option [database] connection"
    )


def serves_from(on: Connections) -> str | None:
    """The oldest revision that a release must know to serve on this schema; None: none but those that know the schema's
    own."""
    if not on.read(lambda db: inspect(db.connection).has_table("records")):
        return None
    try:
        return str(SqlRecords(on).get(COLLECTION, COLLECTION).data["oldest"])
    except errors.RecordNotFound:
        return None


def _let_serve(on: Connections, oldest: str) -> None:
    if serves_from(on) != oldest:
        SqlImages(on).commit(saving(SqlRecords(on), Record(COLLECTION, COLLECTION, {"oldest": oldest})))


def step(on: Connections) -> SchemaStep:
    """What is to be done next. Raises SchemaUnknown."""
    found = version(on)
    if found is None or found in REVISIONS[: REVISIONS.index(OLDEST)]:
        return SchemaStep.SYNC
    if found not in REVISIONS:
        check(on)
        return SchemaStep.NEWER
    if REVISIONS.index(found) < REVISIONS.index(_expanded()):
        return SchemaStep.EXPAND
    return (
        SchemaStep.CONTRACT
        if found != REVISIONS[-1] or serves_from(on) not in (None, REVISIONS[-1])
        else SchemaStep.NOTHING
    )


def _expanded() -> str:
    """The newest revision that the release before serves on."""
    later = REVISIONS[REVISIONS.index(OLDEST) + 1 :]
    return [OLDEST, *itertools.takewhile(lambda x: x not in CONTRACTS, later)][-1]


def expand(on: Connections) -> None:
    """Raises ConfigError, SchemaUnknown, DatabaseUnavailable."""
    found, wanted = version(on), step(on)
    if found is None:
        sync(on, "head")
    elif wanted is SchemaStep.SYNC:
        raise errors.ConfigError(
            f"db expand: the schema is at {found}, and only nodes that serve on {OLDEST} can go on beside an upgrade to"
            " this release: stop all nodes, then run glance-manage db sync"
        )
    elif wanted is SchemaStep.EXPAND:
        _let_serve(on, OLDEST)  # before they meet a schema that they don't know
        sync(on, _expanded())


def contract(on: Connections) -> None:
    """Raises ConfigError, SchemaUnknown, DatabaseUnavailable."""
    wanted = step(on)
    if wanted in (SchemaStep.SYNC, SchemaStep.EXPAND):
        raise errors.ConfigError(
            f"db contract: the schema is at {version(on)}, and is to be expanded first: run glance-manage db expand,"
            " replace all nodes, then run this again"
        )
    if wanted is SchemaStep.CONTRACT:
        sync(on, "head")


def sync(on: Connections, revision: str) -> None:
    """Upgrade under a lock: the second process waits and finds everything done. One that was interrupted is run again.
    Raises DatabaseUnavailable."""
    if on.dialect.name == "sqlite":
        _use_wal(on)

    def work(db: Session) -> None:
        if on.dialect.lock_schema is not None and db.rows(on.dialect.lock_schema)[0][0] != 1:
            raise errors.DatabaseUnavailable(
                "another process is changing the schema, for ten minutes already: when it has ended, run `glance-manage"
                " db sync` again"
            )
        try:
            _upgrade(db.connection, revision)
        finally:
            if on.dialect.unlock_schema is not None and not db.connection.invalidated:
                db.rows(on.dialect.unlock_schema)

    found = version(on)
    if found is not None and found not in REVISIONS:
        check(on)
        raise errors.ConfigError(
            f"db sync: the schema is at {found}, of a newer release, on which this one serves as it is; there is"
            " nothing to do"
        )
    if revision in ("head", REVISIONS[-1]) and found is not None and serves_from(on) is not None:
        _let_serve(on, REVISIONS[-1])  # before what others need is taken away
    on.write(work)


def _upgrade(connection: Connection, revision: str) -> None:
    from alembic import command
    from alembic.config import Config
    from alembic.util import CommandError

    config = Config()
    config.set_main_option("script_location", "glancecore_db_sql:migrations")
    config.set_main_option("path_separator", "newline")
    config.set_main_option("version_locations", "\n".join(FOLDERS))
    config.attributes["connection"] = connection
    try:
        command.upgrade(config, revision)
    except CommandError as error:
        raise errors.ConfigError(
            f"can't bring the schema to {revision}: {error}; give a revision of this release, or install the release"
            " that made the schema"
        ) from error


def _use_wal(on: Connections) -> None:
    """Readers beside a writer. Kept in the file; while switching, SQLite does not wait for others, so we do."""
    busy = retry_if_exception(
        lambda error: (
            isinstance(error, exc.OperationalError) and error.orig is not None and on.dialect.rolled_back(error.orig)
        )
    )
    retrying = Retrying(
        stop=stop_after_delay(on.conf.sqlite_busy_timeout + 1), wait=wait_random(0.01, 0.1), retry=busy, reraise=True
    )

    def work(db: Session) -> None:
        retrying(lambda: db.rows("PRAGMA journal_mode = WAL"))

    on.read(work)
