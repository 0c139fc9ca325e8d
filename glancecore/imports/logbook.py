"""The database of TaskFlow's logbook, for what needs no TaskFlow: which books there are, and throwing one away.

TaskFlow is imported with the first import only: it is large, and most processes never run one.
"""

from __future__ import annotations

from typing import Any

import sqlalchemy
from sqlalchemy import event, exc, inspect, text

from glancecore.domain import errors

_AWAY = "the logbook of imports can't be used at the moment"


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
