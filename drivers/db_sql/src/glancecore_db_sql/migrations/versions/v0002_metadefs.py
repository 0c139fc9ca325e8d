"""Namespaces of metadata definitions, what they are associated with, and the known resource types."""

from __future__ import annotations

import sqlalchemy as sa

from glancecore_db_sql.migrations.steps import LONG, create_index, create_table, text

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    create_table(
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
    create_table(
        "metadef_associations",
        sa.Column("resource_type", text(80), nullable=False),
        sa.Column("namespace_id", text(36), sa.ForeignKey("metadef_namespaces.id", ondelete="CASCADE"), nullable=False),
        sa.PrimaryKeyConstraint("resource_type", "namespace_id"),
    )
    create_table(
        "metadef_resource_types",
        sa.Column("name", text(80), primary_key=True),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("updated_at", sa.BigInteger, nullable=False),
    )
    create_index("metadef_namespaces_name", "metadef_namespaces", "namespace", unique=True)
    create_index("metadef_namespaces_created", "metadef_namespaces", "created_at", "namespace")
    for name in ("owner", "visibility"):
        create_index(f"metadef_namespaces_{name}_created", "metadef_namespaces", name, "created_at", "namespace")
        create_index(f"metadef_namespaces_{name}_name", "metadef_namespaces", name, "namespace")
    create_index("metadef_associations_namespace", "metadef_associations", "namespace_id")
