"""Where the databases differ. Statements are written once, with ``?`` for parameters."""

from __future__ import annotations

import sqlite3
from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from typing import Any

import orjson

from glancecore.domain.image import Image
from glancecore_db_sql.rows import DOCUMENTS, SCALARS, Row, decode


class Dialect(ABC):
    name: str
    #: How the driver marks a parameter.
    mark = "%s"
    begin = "BEGIN"
    #: Locks the rows that a SELECT reads until the commit.
    for_update = " FOR UPDATE"
    #: Joins a second table to the first, and never begins with the second.
    then_join = "JOIN"
    #: The database's clock in microseconds since 1970, UTC.
    now: str
    #: Adds to a project's counters, or makes the row. Locks the row either way.
    count = (
        "INSERT INTO project_usage (project, bytes, staged_bytes, images, uploading, metadata_bytes) VALUES (?, ?, ?,"
        " ?, ?, ?) ON CONFLICT (project) DO UPDATE SET bytes = project_usage.bytes + excluded.bytes, staged_bytes ="
        " project_usage.staged_bytes + excluded.staged_bytes, images = project_usage.images + excluded.images,"
        " uploading = project_usage.uploading + excluded.uploading, metadata_bytes = project_usage.metadata_bytes +"
        " excluded.metadata_bytes"
    )
    #: Makes a resource type known unless it is.
    know_type = (
        "INSERT INTO metadef_resource_types (name, created_at, updated_at) VALUES (?, ?, ?) "
        "ON CONFLICT (name) DO NOTHING"
    )
    #: Statements for each new connection.
    settings: tuple[str, ...] = ()
    #: Statements that let one process at a time change the schema: within the transaction, 1 when it may; and before
    #: its end.
    lock_schema: str | None = None
    unlock_schema: str | None = None

    def image(self, as_member: str = "NULL") -> str:
        """What is read of an image ``i``. ``as_member`` is an expression."""
        return self.record([*(f"i.{name}" for name in SCALARS), as_member], [f"i.{name}" for name in DOCUMENTS])

    def images(self, rows: Iterable[Row]) -> list[Image]:
        return [decode(*x) for x in self.records(rows, len(DOCUMENTS))]

    def record(self, scalars: Sequence[str], documents: Sequence[str]) -> str:
        """What is read of a row: expressions of scalars, then of JSON texts."""
        return ", ".join([*scalars, *documents])

    def records(self, rows: Iterable[Row], documents: int) -> list[Any]:
        """What was read with ``record``: for each row its scalars, then each parsed document."""
        loads = orjson.loads
        return [(row[:-documents], *map(loads, row[-documents:])) for row in rows]

    def by_index(self, name: str) -> str:  # noqa: ARG002 - others are told which
        """Behind the alias of a table: which index it is read by."""
        return ""

    def octets(self, column: str) -> str:
        """Bytes of a text in UTF-8."""
        return f"OCTET_LENGTH({column})"

    def order(self, column: str, *, descending: bool, nullable: bool) -> str:  # noqa: ARG002 - PostgreSQL needs it
        """Null before everything, as SQLite and MySQL have it anyway."""
        return f"{column} DESC" if descending else column

    @abstractmethod
    def rolled_back(self, error: BaseException) -> bool:
        """Whether the database gave the transaction up because of others: it may be tried again."""


class Sqlite(Dialect):
    name = "sqlite"
    mark = "?"
    begin = "BEGIN IMMEDIATE"
    then_join = "CROSS JOIN"
    for_update = ""
    now = "CAST((julianday('now') - 2440587.5) * 86400000 AS INTEGER) * 1000"
    # FULL: in WAL mode a commit is then on disk when it returns.
    settings = ("PRAGMA synchronous = FULL", "PRAGMA foreign_keys = ON", "PRAGMA cache_size = -8192")

    def by_index(self, name: str) -> str:
        return f" INDEXED BY {name}"

    def octets(self, column: str) -> str:
        return f"LENGTH(CAST({column} AS BLOB))"

    def rolled_back(self, error: BaseException) -> bool:
        return isinstance(error, sqlite3.OperationalError) and getattr(error, "sqlite_errorcode", 0) & 0xFF in (
            sqlite3.SQLITE_BUSY,
            sqlite3.SQLITE_LOCKED,
        )


class Mysql(Dialect):
    name = "mysql"
    begin = "START TRANSACTION"
    then_join = "STRAIGHT_JOIN"
    now = "TIMESTAMPDIFF(MICROSECOND, '1970-01-01', UTC_TIMESTAMP(6))"
    # Traditional: too long a text is an error, not cut; as oslo.db does it.
    settings = ("SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED", "SET SESSION sql_mode = 'TRADITIONAL'")
    # DDL commits by itself here, so it takes a lock of the session's.
    lock_schema = "SELECT GET_LOCK(CONCAT('glancecore ', MD5(DATABASE())), 600)"
    unlock_schema = "SELECT RELEASE_LOCK(CONCAT('glancecore ', MD5(DATABASE())))"
    count = (
        "INSERT INTO project_usage (project, bytes, staged_bytes, images, uploading, metadata_bytes) VALUES (?, ?, ?,"
        " ?, ?, ?) ON DUPLICATE KEY UPDATE bytes = bytes + VALUES(bytes), staged_bytes = staged_bytes +"
        " VALUES(staged_bytes), images = images + VALUES(images), uploading = uploading + VALUES(uploading),"
        " metadata_bytes = metadata_bytes + VALUES(metadata_bytes)"
    )
    know_type = (
        "INSERT INTO metadef_resource_types (name, created_at, updated_at) VALUES (?, ?, ?) "
        "ON DUPLICATE KEY UPDATE name = name"
    )

    def by_index(self, name: str) -> str:
        return f" FORCE INDEX ({name})"

    def record(self, scalars: Sequence[str], documents: Sequence[str]) -> str:
        # PyMySQL decodes each column in Python: one JSON text instead of 25 columns saves two thirds of a read's CPU.
        parts = ", ',', ".join(documents)
        return f"CONCAT('[', JSON_ARRAY({', '.join(scalars)}), ',', {parts}, ']')"

    def records(self, rows: Iterable[Row], documents: int) -> list[Any]:  # noqa: ARG002 - the others need it
        loads = orjson.loads
        return [loads(text) for (text,) in rows]

    def rolled_back(self, error: BaseException) -> bool:
        # 1213: deadlock, also Galera's certification failure; 1020: changed since read (MariaDB's snapshot isolation)
        return bool(error.args) and error.args[0] in (1213, 1020)


class Postgresql(Dialect):
    name = "postgresql"
    begin = "BEGIN ISOLATION LEVEL READ COMMITTED"
    # psycopg prepares what it runs often; a plan for any owner is wrong for one with very many images.
    settings = ("SET plan_cache_mode = force_custom_plan",)
    now = "CAST(EXTRACT(EPOCH FROM clock_timestamp()) * 1000000 AS BIGINT)"
    lock_schema = "SELECT 1 FROM pg_advisory_xact_lock(7133690214)"

    def order(self, column: str, *, descending: bool, nullable: bool) -> str:
        if not nullable:
            return super().order(column, descending=descending, nullable=False)
        return f"{column} DESC NULLS LAST" if descending else f"{column} NULLS FIRST"

    def rolled_back(self, error: BaseException) -> bool:
        state: Any = getattr(error, "sqlstate", None) or getattr(error, "pgcode", None)
        return state in ("40001", "40P01")  # serialization failure, deadlock


DIALECTS: dict[str, Dialect] = {x.name: x for x in (Sqlite(), Mysql(), Postgresql())}
