"""Namespaces of metadata definitions, what they are associated with, and the known resource types."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.mysql import LONGTEXT
from sqlalchemy.dialects.postgresql import VARCHAR

revision = "0002"
down_revision = "0001"

LONG = sa.Text().with_variant(LONGTEXT(), "mysql", "mariadb")


def text(length: int) -> sa.String:
    return sa.String(length).with_variant(VARCHAR(length, collation="C"), "postgresql")


def _table(name: str, *parts: sa.schema.SchemaItem) -> None:
    op.create_table(name, *parts, mysql_engine="InnoDB", mysql_charset="utf8mb4", mysql_collate=_collation(),
                    mariadb_engine="InnoDB", mariadb_charset="utf8mb4", mariadb_collate=_collation())


def _collation() -> str:
    """Code points, and blanks at the end count, as in the other databases."""
    dialect = op.get_bind().dialect
    if getattr(dialect, "is_mariadb", False):
        return "utf8mb4_nopad_bin"
    return "utf8mb4_0900_bin" if (dialect.server_version_info or (0,)) >= (8, 0, 17) else "utf8mb4_bin"


def upgrade() -> None:
    _table(
        "metadef_namespaces",
        sa.Column("id", text(36), primary_key=True),
        sa.Column("namespace", text(80), nullable=False),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("updated_at", sa.BigInteger, nullable=False),
        sa.Column("display_name", text(80)),
        sa.Column("description", LONG),
        sa.Column("visibility", text(16), nullable=False),
        sa.Column("protected", sa.SmallInteger, nullable=False),
        sa.Column("owner", text(255)),
        sa.Column("version", sa.BigInteger, nullable=False),
        sa.Column("associations", LONG, nullable=False),
        sa.Column("properties", LONG, nullable=False),
        sa.Column("objects", LONG, nullable=False),
        sa.Column("tags", LONG, nullable=False),
    )
    _table(
        "metadef_associations",
        sa.Column("resource_type", text(80), nullable=False),
        sa.Column("namespace_id", text(36), sa.ForeignKey("metadef_namespaces.id", ondelete="CASCADE"), nullable=False),
        sa.PrimaryKeyConstraint("resource_type", "namespace_id"),
    )
    _table(
        "metadef_resource_types",
        sa.Column("name", text(80), primary_key=True),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("updated_at", sa.BigInteger, nullable=False),
    )
    op.create_index("metadef_namespaces_name", "metadef_namespaces", ["namespace"], unique=True)
    op.create_index("metadef_namespaces_created", "metadef_namespaces", ["created_at", "namespace"])
    for name in ("owner", "visibility"):
        op.create_index(f"metadef_namespaces_{name}_created", "metadef_namespaces", [name, "created_at", "namespace"])
        op.create_index(f"metadef_namespaces_{name}_name", "metadef_namespaces", [name, "namespace"])
    op.create_index("metadef_associations_namespace", "metadef_associations", ["namespace_id"])
