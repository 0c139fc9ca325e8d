"""Images, what they are found by, members, leases, usage and removed ids."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.mysql import LONGTEXT
from sqlalchemy.dialects.postgresql import VARCHAR

revision = "0001"
down_revision = None

LONG = sa.Text().with_variant(LONGTEXT(), "mysql", "mariadb")


def text(length: int) -> sa.String:
    return sa.String(length).with_variant(VARCHAR(length, collation="C"), "postgresql")


def image_id() -> sa.Column[str]:
    return sa.Column("image_id", text(36), sa.ForeignKey("images.id", ondelete="CASCADE"), nullable=False)


def _table(name: str, *parts: sa.schema.SchemaItem, sqlite_autoincrement: bool = False) -> None:
    op.create_table(name, *parts, sqlite_autoincrement=sqlite_autoincrement, mysql_engine="InnoDB", mysql_charset="utf8mb4", mysql_collate=_collation(),
                    mariadb_engine="InnoDB", mariadb_charset="utf8mb4", mariadb_collate=_collation())


def _collation() -> str:
    """Code points, and blanks at the end count, as in the other databases."""
    dialect = op.get_bind().dialect
    if getattr(dialect, "is_mariadb", False):
        return "utf8mb4_nopad_bin"
    return "utf8mb4_0900_bin" if (dialect.server_version_info or (0,)) >= (8, 0, 17) else "utf8mb4_bin"


def _index(name: str, table: str, *columns: str) -> None:
    # PostgreSQL sorts null last unless the index, too, says otherwise.
    postgresql = op.get_bind().dialect.name == "postgresql"
    op.create_index(name, table, [sa.text("name NULLS FIRST") if postgresql and x == "name" else x for x in columns])


def upgrade() -> None:
    _table(
        "images",
        sa.Column("id", text(36), primary_key=True),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("updated_at", sa.BigInteger, nullable=False),
        sa.Column("name", text(255)),
        sa.Column("owner", text(255)),
        sa.Column("status", text(32), nullable=False),
        sa.Column("visibility", text(16), nullable=False),
        sa.Column("protected", sa.SmallInteger, nullable=False),
        sa.Column("hidden", sa.SmallInteger, nullable=False),
        sa.Column("container_format", text(64)),
        sa.Column("disk_format", text(64)),
        sa.Column("min_ram", sa.BigInteger, nullable=False),
        sa.Column("min_disk", sa.BigInteger, nullable=False),
        sa.Column("size", sa.BigInteger),
        sa.Column("virtual_size", sa.BigInteger),
        sa.Column("checksum", text(64)),
        sa.Column("hash_algo", text(64)),
        sa.Column("hash_value", text(255)),
        sa.Column("version", sa.BigInteger, nullable=False),
        sa.Column("attempt", sa.BigInteger, nullable=False),
        sa.Column("fault", LONG),
        sa.Column("tags", LONG, nullable=False),
        sa.Column("properties", LONG, nullable=False),
        sa.Column("locations", LONG, nullable=False),
        sa.Column("shelf", sa.SmallInteger, nullable=False),
    )
    _table(
        "image_facets",
        image_id(),
        sa.Column("facet", text(32), nullable=False),
        sa.Column("owner", text(255)),
        sa.Column("visibility", text(16), nullable=False),
        sa.Column("shelf", sa.SmallInteger, nullable=False),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("image_id", "facet"),
    )
    _table(
        "image_locations",
        sa.Column("url", text(32), nullable=False),
        image_id(),
        sa.Column("store", text(255), nullable=False),
        sa.PrimaryKeyConstraint("url", "image_id", "store"),
    )
    _table(
        "image_members",
        image_id(),
        sa.Column("member", text(255), nullable=False),
        sa.Column("status", text(16), nullable=False),
        sa.Column("image_created_at", sa.BigInteger, nullable=False),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("updated_at", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("image_id", "member"),
    )
    _table(
        "leases",
        sa.Column("image_id", text(36), primary_key=True),
        sa.Column("token", text(64), nullable=False),
        sa.Column("holder", text(255), nullable=False),
        sa.Column("operation", text(32), nullable=False),
        sa.Column("stable", text(32), nullable=False),
        sa.Column("project", text(255), nullable=False),
        sa.Column("blobs", LONG, nullable=False),
        sa.Column("reserved", sa.BigInteger, nullable=False),
        sa.Column("expires_at", sa.BigInteger, nullable=False),
    )
    _table(
        "project_usage",
        sa.Column("project", text(255), primary_key=True),
        sa.Column("bytes", sa.BigInteger, nullable=False),
        sa.Column("staged_bytes", sa.BigInteger, nullable=False),
        sa.Column("images", sa.BigInteger, nullable=False),
        sa.Column("uploading", sa.BigInteger, nullable=False),
    )
    _table(
        "removed_images",
        sa.Column("id", text(36), primary_key=True),
        sa.Column("removed_at", sa.BigInteger, nullable=False),
        sa.Column("owner", text(255)),
    )
    _index("images_owner_created", "images", "owner", "shelf", "created_at", "id", "visibility")
    _index("images_owner_name", "images", "owner", "shelf", "name", "created_at", "id", "visibility")
    _index("images_owner_updated", "images", "owner", "shelf", "updated_at", "created_at", "id", "visibility")
    _index("images_visibility_created", "images", "visibility", "shelf", "created_at", "id")
    _index("images_visibility_name", "images", "visibility", "shelf", "name", "created_at", "id")
    _index("images_visibility_updated", "images", "visibility", "shelf", "updated_at", "created_at", "id")
    _index("images_status", "images", "status", "created_at", "id")
    _index("image_facets_owner", "image_facets", "facet", "owner", "shelf", "created_at", "image_id", "visibility")
    _index("image_facets_visibility", "image_facets", "facet", "visibility", "shelf", "created_at", "image_id")
    _index("image_locations_image", "image_locations", "image_id")
    _index("image_members_member", "image_members", "member", "status", "image_created_at", "image_id")
    _index("leases_expires", "leases", "expires_at")
    _index("leases_holder", "leases", "holder")
    _index("leases_project", "leases", "project")
    _index("removed_images_removed", "removed_images", "removed_at")
