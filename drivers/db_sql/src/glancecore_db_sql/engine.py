"""Connections: reads without a transaction, writes in one, retries, and errors in the port's words."""

from __future__ import annotations

import contextlib
import os
import threading
import weakref
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any, TypeVar

from sqlalchemy import Connection, CursorResult, Engine, create_engine, event, exc
from sqlalchemy.engine.interfaces import DBAPIConnection
from tenacity import Retrying, retry_if_exception, stop_after_attempt, stop_never, wait_random_exponential

from glancecore.domain import errors
from glancecore.ports.options import Section
from glancecore_db_sql import address, measures
from glancecore_db_sql.dialects import DIALECTS, Dialect
from glancecore_db_sql.outage import Outages, cause, held_up
from glancecore_db_sql.rows import Row

T = TypeVar("T")


class Session:
    """Runs statements written with ``?`` on one connection.

    Plain text instead of SQLAlchemy's expressions: building and caching those costs more than the query itself.
    """

    __slots__ = ("connection", "dialect")

    def __init__(self, connection: Connection, dialect: Dialect) -> None:
        self.connection = connection
        self.dialect = dialect

    def _run(self, text: str, values: Sequence[object]) -> CursorResult[Any]:
        return self.connection.exec_driver_sql(text.replace("?", self.dialect.mark), tuple(values) or None)

    def rows(self, text: str, *values: object) -> Sequence[Row]:
        return self._run(text, values).fetchall()

    def row(self, text: str, *values: object) -> Row | None:
        found = self.rows(text, *values)
        return found[0] if found else None

    def change(self, text: str, *values: object) -> int:
        """How many rows it touched."""
        return self._run(text, values).rowcount


class Connections:
    """The engine, made at the first use and made anew in a forked child."""

    def __init__(self, conf: Section) -> None:
        self.conf = conf
        self.url = address.parse(conf.connection)
        self.dialect = DIALECTS[self.url.get_backend_name()]
        self._outages = Outages()
        self._making = threading.Lock()
        self._made: Engine | None = None
        #: Engines of the parent process. Its sockets and file locks are not ours to close, so they are kept.
        self._inherited: list[Engine] = []
        forked = weakref.WeakMethod(self._forked)
        os.register_at_fork(after_in_child=lambda: (call := forked()) is not None and call())
        # SQLite has one writer at a time and no queue: threads waiting here are served in turn, without sleeping.
        self._turn: AbstractContextManager[object] = self._new_turn()
        self._retrying = Retrying(
            stop=stop_never if conf.db_max_retries < 0 else stop_after_attempt(conf.db_max_retries + 1),
            wait=wait_random_exponential(0.01, max=1),
            retry=retry_if_exception(self._worth_retrying),
            reraise=True,
        )

    # -- what the repository uses ------------------------------------------------------------------
    def read(self, work: Callable[[Session], T]) -> T:
        """Each statement is its own transaction. Once more, when the connection had died while it was idle:
        cheaper than asking before each use.
        """
        try:
            try:
                found = self._read(work)
            except exc.DBAPIError as error:
                if not error.connection_invalidated:
                    raise
                found = self._read(work)
        except (exc.DBAPIError, exc.TimeoutError) as error:
            raise self._told(error) from error
        self._outages.ended()
        return found

    def write(self, work: Callable[[Session], T]) -> T:
        """One transaction; ``work`` runs again when it had to be given up."""
        try:
            result: T = self._retrying(self._write, work)
        except (exc.DBAPIError, exc.TimeoutError) as error:
            raise self._told(error) from error
        self._outages.ended()
        return result

    def close(self) -> None:
        with self._making:
            engine, self._made = self._made, None
            if engine is not None:
                engine.dispose()

    # -- how ---------------------------------------------------------------------------------------
    def _read(self, work: Callable[[Session], T]) -> T:
        with self.engine.connect() as connection:
            return work(Session(connection, self.dialect))

    def _write(self, work: Callable[[Session], T]) -> T:
        engine = self.engine
        with self._turn, engine.connect() as connection:
            try:
                connection.exec_driver_sql(self.dialect.begin)
                result = work(Session(connection, self.dialect))
            except BaseException:
                _undo(connection)
                raise
            try:
                connection.exec_driver_sql("COMMIT")
            except BaseException as error:
                if isinstance(error, exc.DBAPIError) and not error.connection_invalidated:
                    _undo(connection)
                    raise
                connection.invalidate()
                raise errors.DatabaseUnavailable(
                    "the connection to the database broke while a change was being saved: it may or may not have been "
                    "saved"
                ) from error
            return result

    def _told(self, error: exc.SQLAlchemyError) -> errors.GlanceError:
        """What users may read; where the database can't be used, with a note for the operator, which the log gets once
        for each outage."""
        told = _told(error)
        if isinstance(error, (exc.OperationalError, exc.InterfaceError)):
            why = cause(error, self.url)
            told.add_note(why)
            if not held_up(error):
                self._outages.began(why)
        return told

    def _worth_retrying(self, error: BaseException) -> bool:
        """Only what surely was not committed comes here: see ``_write``."""
        return isinstance(error, exc.DBAPIError) and (
            error.connection_invalidated or (error.orig is not None and self.dialect.rolled_back(error.orig))
        )

    @property
    def engine(self) -> Engine:
        """In autocommit: a read costs one round trip, and transactions are begun by ``write`` alone."""
        engine = self._made
        if engine is not None:
            return engine
        with self._making:
            if self._made is None:
                self._made = self._make()
            return self._made

    def _forked(self) -> None:
        """In a child, before anything else runs: another thread of the parent may have held a lock or a connection."""
        if self._made is not None:
            self._inherited.append(self._made)
        self._made, self._making, self._turn = None, threading.Lock(), self._new_turn()
        self._outages.in_child()

    def _connected(self, connection: DBAPIConnection, _: object) -> None:
        cursor = connection.cursor()
        for text in self.dialect.settings:
            cursor.execute(text)
        cursor.close()

    def _new_turn(self) -> AbstractContextManager[object]:
        return threading.Lock() if self.dialect.name == "sqlite" else nullcontext()

    def _make(self) -> Engine:
        conf = self.conf
        sqlite = self.dialect.name == "sqlite"
        if sqlite:
            _own_file(Path(self.url.database or ""))
        try:
            engine = create_engine(
                self.url,
                isolation_level="AUTOCOMMIT",
                skip_autocommit_rollback=True,
                pool_reset_on_return=None,
                pool_size=conf.max_pool_size,
                max_overflow=conf.max_overflow,
                pool_timeout=conf.pool_timeout,
                pool_recycle=conf.connection_recycle_time,
                pool_use_lifo=True,
                hide_parameters=True,  # location URLs may hold credentials
                connect_args={"timeout": conf.sqlite_busy_timeout, "check_same_thread": False} if sqlite else {},
            )
        except ImportError as error:
            raise address.missing_module(self.url, error.name) from error
        except exc.NoSuchModuleError as error:
            raise address.missing_module(self.url, None) from error
        event.listen(engine, "connect", self._connected)
        measures.watch(engine, conf.max_pool_size + conf.max_overflow)
        return engine


def _own_file(path: Path) -> None:
    """Nobody else reads it, nor what SQLite makes beside it, whatever the umask: it gives those the file's
    permissions."""
    with contextlib.suppress(OSError):  # SQLite says what is wrong with the place
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR | os.O_CLOEXEC, 0o600))


def _undo(connection: Connection) -> None:
    try:
        if not connection.invalidated:
            connection.exec_driver_sql("ROLLBACK")
    except exc.DBAPIError:
        connection.invalidate()


def _told(error: exc.SQLAlchemyError) -> errors.GlanceError:
    """What users may read. The cause, with host and statement but no values, is chained for the log."""
    if isinstance(error, exc.DataError):
        return errors.Invalid("a value is too long or has characters that the database can't store")
    if isinstance(error, exc.TimeoutError):
        return errors.DatabaseUnavailable("all connections to the database are in use")
    if isinstance(error, exc.ProgrammingError):
        return errors.DatabaseUnavailable("the database refused a statement: is its schema up to date?")
    if isinstance(error, exc.DBAPIError) and held_up(error):
        return errors.DatabaseUnavailable("the database is busy with another change; try again")
    return errors.DatabaseUnavailable("the database can't be used at the moment")
