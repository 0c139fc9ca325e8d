"""Where TaskFlow's logbooks are, for what needs no TaskFlow: which books there are, and throwing one away.

TaskFlow is imported with the first import only: it is large, and most processes never run one.
"""

from __future__ import annotations

import threading
from typing import Any, Protocol

import sqlalchemy
from sqlalchemy import event, exc, inspect, text
from sqlalchemy.dialects.mysql import LONGTEXT

from glancecore.domain import errors
from glancecore.ports.logbook_repository import Logbook, LogbookRepository

_AWAY = "the logbook of imports can't be used at the moment"


class Logbooks(Protocol):
    """Each book is named by its task's id. Both methods raise DatabaseUnavailable."""

    def books(self) -> list[str]: ...

    def forget(self, task_id: str) -> None: ...

    def close(self) -> None: ...


class LogbookDocuments:
    """Kept by somebody else, who has a database."""

    def __init__(self, repository: LogbookRepository) -> None:
        self.repository = repository

    def books(self) -> list[str]:
        return self.repository.ids()

    def forget(self, task_id: str) -> None:
        self.repository.forget(task_id)

    def close(self) -> None:
        """It is not ours."""


class LogbookDatabase:
    """Each book is named by its task's id. Thread-safe."""

    def __init__(self, url: str) -> None:
        made = sqlalchemy.make_url(url)
        sqlite = made.get_backend_name() == "sqlite"
        more: dict[str, Any] = {"isolation_level": "READ COMMITTED"}
        if sqlite:
            more = {"connect_args": {"timeout": 60, "check_same_thread": False}}
        self.engine = sqlalchemy.create_engine(made, hide_parameters=True, pool_recycle=3600, pool_pre_ping=True, **more)
        if sqlite:
            event.listen(self.engine, "connect", _sqlite_connected)
            event.listen(self.engine, "begin", _sqlite_begin)

    def books(self) -> list[str]:
        """Raises DatabaseUnavailable."""
        try:
            with self.engine.connect() as connection:
                if not inspect(connection).has_table("logbooks"):
                    return []
                return [str(id_) for (id_,) in connection.execute(text("SELECT uuid FROM logbooks"))]
        except exc.SQLAlchemyError as error:
            raise errors.DatabaseUnavailable(_AWAY) from error

    def forget(self, task_id: str) -> None:
        """The task has ended: its book is not needed any more. Its flows and atoms go with it. Raises DatabaseUnavailable."""
        try:
            with self.engine.begin() as connection:
                connection.execute(text("DELETE FROM logbooks WHERE uuid = :id"), {"id": task_id})
        except exc.SQLAlchemyError as error:
            raise errors.DatabaseUnavailable(_AWAY) from error

    def close(self) -> None:
        self.engine.dispose()


def _sqlite_connected(connection: Any, _record: object) -> None:
    connection.isolation_level = None  # the driver must not begin transactions by itself
    cursor = connection.cursor()
    cursor.execute("PRAGMA foreign_keys = ON")
    cursor.execute("PRAGMA synchronous = NORMAL")
    cursor.close()


def _sqlite_begin(connection: Any) -> None:
    """A transaction that reads first and writes then would be refused when another one wrote in between."""
    connection.exec_driver_sql("BEGIN IMMEDIATE")


class LogbookTable(LogbookRepository):
    """Documents in a table of an SQL database; it is made at the first use when it is not there."""

    def __init__(self, database: LogbookDatabase) -> None:
        self._database = database
        self._lock = threading.Lock()
        self._ready = False

    def prepare(self) -> None:
        """Make the table. Raises DatabaseUnavailable."""
        with self._lock:
            if not self._ready:
                try:
                    _DOCUMENTS.metadata.create_all(self._database.engine)
                except exc.SQLAlchemyError as error:
                    if not self._is_there():  # another process may have made it at this moment
                        raise errors.DatabaseUnavailable(_AWAY) from error
                self._ready = True

    def _is_there(self) -> bool:
        try:
            return bool(inspect(self._database.engine).has_table(_DOCUMENTS.name))
        except exc.SQLAlchemyError:
            return False

    def get(self, task_id: str) -> Logbook | None:
        columns = _DOCUMENTS.c
        found = self._run(sqlalchemy.select(columns.serial, columns.document).where(columns.task_id == task_id)).first()
        return None if found is None else Logbook(int(found[0]), str(found[1]))

    def put(self, task_id: str, logbook: Logbook) -> None:
        columns, refused = _DOCUMENTS.c, errors.ConcurrentChange(f"task {task_id} is worked on by somebody else")
        if logbook.serial == 1:
            try:
                self._run(sqlalchemy.insert(_DOCUMENTS).values(task_id=task_id, serial=1, document=logbook.document))
            except exc.IntegrityError as error:
                raise refused from error
        elif not self._run(sqlalchemy.update(_DOCUMENTS).where(columns.task_id == task_id, columns.serial == logbook.serial - 1)
                           .values(serial=logbook.serial, document=logbook.document)).rowcount:
            raise refused

    def ids(self) -> list[str]:
        return [str(id_) for (id_,) in self._run(sqlalchemy.select(_DOCUMENTS.c.task_id)).all()]

    def forget(self, task_id: str) -> None:
        self._run(sqlalchemy.delete(_DOCUMENTS).where(_DOCUMENTS.c.task_id == task_id))

    def close(self) -> None:
        self._database.close()

    def _run(self, statement: sqlalchemy.Executable) -> Any:
        self.prepare()
        try:
            with self._database.engine.begin() as connection:
                found = connection.execute(statement)
                return found.freeze()() if found.returns_rows else found
        except exc.IntegrityError:
            raise
        except exc.SQLAlchemyError as error:
            raise errors.DatabaseUnavailable(_AWAY) from error


_DOCUMENTS = sqlalchemy.Table(
    "import_logbooks", sqlalchemy.MetaData(), sqlalchemy.Column("task_id", sqlalchemy.String(64), primary_key=True),
    sqlalchemy.Column("serial", sqlalchemy.BigInteger, nullable=False), sqlalchemy.Column("document", sqlalchemy.Text().with_variant(LONGTEXT(), "mysql", "mariadb"), nullable=False))
