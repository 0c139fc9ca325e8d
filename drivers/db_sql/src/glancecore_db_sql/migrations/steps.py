"""Steps of migrations. Each looks first whether it is done: in MySQL and MariaDB what an interrupted upgrade has done
stays, and it is run again."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.mysql import LONGTEXT
from sqlalchemy.dialects.postgresql import VARCHAR

LONG = sa.Text().with_variant(LONGTEXT(), "mysql", "mariadb")


def text(length: int) -> sa.String:
    return sa.String(length).with_variant(VARCHAR(length, collation="C"), "postgresql")


def image_id() -> sa.Column[str]:
    return sa.Column("image_id", text(36), sa.ForeignKey("images.id", ondelete="CASCADE"), nullable=False)


def create_table(name: str, *parts: sa.schema.SchemaItem, sqlite_autoincrement: bool = False) -> None:
    if not sa.inspect(op.get_bind()).has_table(name):
        op.create_table(
            name,
            *parts,
            sqlite_autoincrement=sqlite_autoincrement,
            mysql_engine="InnoDB",
            mysql_charset="utf8mb4",
            mysql_collate=_collation(),
            mariadb_engine="InnoDB",
            mariadb_charset="utf8mb4",
            mariadb_collate=_collation(),
        )


def add_column(table: str, column: sa.Column[object]) -> None:
    if all(x["name"] != column.name for x in sa.inspect(op.get_bind()).get_columns(table)):
        op.add_column(table, column)


def create_index(name: str, table: str, *columns: str, unique: bool = False) -> None:
    if _indexed(name, table) is None:
        op.create_index(name, table, _keys(columns), unique=unique)


def replace_index(name: str, table: str, *columns: str) -> None:
    """By one of the same name. It is never missing for others: lists name their index."""
    if _indexed(name, table) == list(columns):
        return
    if op.get_bind().dialect.name in ("mysql", "mariadb"):  # one statement, which is done whole or not at all
        op.execute(f"ALTER TABLE {table} DROP INDEX {name}, ADD INDEX {name} ({', '.join(columns)})")
    else:  # in a transaction
        op.drop_index(name, table)
        op.create_index(name, table, _keys(columns))


def _indexed(name: str, table: str) -> list[str | None] | None:
    """Its columns; None: there is none of this name."""
    found = [x["column_names"] for x in sa.inspect(op.get_bind()).get_indexes(table) if x["name"] == name]
    return found[0] if found else None


def _keys(columns: tuple[str, ...]) -> list[str | sa.TextClause]:
    # PostgreSQL sorts null last unless the index, too, says otherwise.
    postgresql = op.get_bind().dialect.name == "postgresql"
    return [sa.text("name NULLS FIRST") if postgresql and x == "name" else x for x in columns]


def _collation() -> str:
    """Code points, and blanks at the end count, as in the other databases."""
    dialect = op.get_bind().dialect
    if getattr(dialect, "is_mariadb", False):
        return "utf8mb4_nopad_bin"
    return "utf8mb4_0900_bin" if (dialect.server_version_info or (0,)) >= (8, 0, 17) else "utf8mb4_bin"
