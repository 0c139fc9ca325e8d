"""The care of the schema. Alembic is imported only when something is to be done: it would slow every start."""

from __future__ import annotations

from sqlalchemy import Connection, exc, inspect
from tenacity import Retrying, retry_if_exception, stop_after_delay, wait_random

from glancecore.domain import errors
from glancecore_db_sql.engine import Connections, Session

#: All revisions of this driver, in order; a test compares them with the migrations.
REVISIONS = ("0001", "0002", "0003", "0004", "0005", "0006", "0007", "0008", "0009", "0010",
             "0011")


def version(on: Connections) -> str | None:
    return on.read(_version)


def _version(db: Session) -> str | None:
    if not inspect(db.connection).has_table("alembic_version"):
        return None
    found = db.row("SELECT version_num FROM alembic_version")
    return None if found is None else str(found[0])


def check(on: Connections) -> None:
    """Raises ConfigError unless the schema is the one that this driver works with, SchemaUnknown for one that it can't upgrade."""
    found = version(on)
    if found == REVISIONS[-1]:
        return
    if found is None:
        raise errors.ConfigError("the database has no schema yet: run `glance-manage db sync`")
    if found in REVISIONS:
        raise errors.ConfigError(
            f"the database schema is at {found}, this version needs {REVISIONS[-1]}: run `glance-manage db sync`")
    raise errors.SchemaUnknown(
        f"the database schema is at {found}, which this version does not know: it belongs to a newer version or another "
        "program; upgrade glancecore-db-sql, or fix option [database] connection")


def sync(on: Connections, revision: str) -> None:
    """Upgrade under a lock: the second process waits and finds everything done. One that was interrupted is run again. Raises DatabaseUnavailable."""
    if on.dialect.name == "sqlite":
        _use_wal(on)

    def work(db: Session) -> None:
        if on.dialect.lock_schema is not None and db.rows(on.dialect.lock_schema)[0][0] != 1:
            raise errors.DatabaseUnavailable("another process is changing the schema, for ten minutes already: when it has ended, run `glance-manage db sync` again")
        try:
            _upgrade(db.connection, revision)
        finally:
            if on.dialect.unlock_schema is not None and not db.connection.invalidated:
                db.rows(on.dialect.unlock_schema)

    found = version(on)
    if found is not None and found not in REVISIONS:
        check(on)
    on.write(work)


def _upgrade(connection: Connection, revision: str) -> None:
    from alembic import command
    from alembic.config import Config
    from alembic.util import CommandError

    config = Config()
    config.set_main_option("script_location", "glancecore_db_sql:migrations")
    config.attributes["connection"] = connection
    try:
        command.upgrade(config, revision)
    except CommandError as error:
        raise errors.ConfigError(f"can't bring the schema to {revision}: {error}; give a revision of this release, or install the release that made the schema") from error


def _use_wal(on: Connections) -> None:
    """Readers beside a writer. Kept in the file; while switching, SQLite does not wait for others, so we do."""
    busy = retry_if_exception(
        lambda error: isinstance(error, exc.OperationalError) and error.orig is not None
        and on.dialect.rolled_back(error.orig))
    retrying = Retrying(stop=stop_after_delay(on.conf.sqlite_busy_timeout + 1), wait=wait_random(0.01, 0.1), retry=busy,
                        reraise=True)

    def work(db: Session) -> None:
        retrying(lambda: db.rows("PRAGMA journal_mode = WAL"))

    on.read(work)
