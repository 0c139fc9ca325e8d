"""Images, what they are found by, members, leases, usage and removed ids."""

from __future__ import annotations

import sqlalchemy as sa

from glancecore_db_sql.migrations.steps import LONG, create_index, create_table, image_id, text

revision = "0001"
down_revision = None


def upgrade() -> None:
    create_table(
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
    create_table(
        "image_facets",
        image_id(),
        sa.Column("facet", text(32), nullable=False),
        sa.Column("owner", text(255)),
        sa.Column("visibility", text(16), nullable=False),
        sa.Column("shelf", sa.SmallInteger, nullable=False),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("image_id", "facet"),
    )
    create_table(
        "image_locations",
        sa.Column("url", text(32), nullable=False),
        image_id(),
        sa.Column("store", text(255), nullable=False),
        sa.PrimaryKeyConstraint("url", "image_id", "store"),
    )
    create_table(
        "image_members",
        image_id(),
        sa.Column("member", text(255), nullable=False),
        sa.Column("status", text(16), nullable=False),
        sa.Column("image_created_at", sa.BigInteger, nullable=False),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("updated_at", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("image_id", "member"),
    )
    create_table(
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
    create_table(
        "project_usage",
        sa.Column("project", text(255), primary_key=True),
        sa.Column("bytes", sa.BigInteger, nullable=False),
        sa.Column("staged_bytes", sa.BigInteger, nullable=False),
        sa.Column("images", sa.BigInteger, nullable=False),
        sa.Column("uploading", sa.BigInteger, nullable=False),
    )
    create_table(
        "removed_images",
        sa.Column("id", text(36), primary_key=True),
        sa.Column("removed_at", sa.BigInteger, nullable=False),
        sa.Column("owner", text(255)),
    )
    create_index("images_owner_created", "images", "owner", "shelf", "created_at", "id", "visibility")
    create_index("images_owner_name", "images", "owner", "shelf", "name", "created_at", "id", "visibility")
    create_index("images_owner_updated", "images", "owner", "shelf", "updated_at", "created_at", "id", "visibility")
    create_index("images_visibility_created", "images", "visibility", "shelf", "created_at", "id")
    create_index("images_visibility_name", "images", "visibility", "shelf", "name", "created_at", "id")
    create_index("images_visibility_updated", "images", "visibility", "shelf", "updated_at", "created_at", "id")
    create_index("images_status", "images", "status", "created_at", "id")
    create_index(
        "image_facets_owner", "image_facets", "facet", "owner", "shelf", "created_at", "image_id", "visibility"
    )
    create_index("image_facets_visibility", "image_facets", "facet", "visibility", "shelf", "created_at", "image_id")
    create_index("image_locations_image", "image_locations", "image_id")
    create_index("image_members_member", "image_members", "member", "status", "image_created_at", "image_id")
    create_index("leases_expires", "leases", "expires_at")
    create_index("leases_holder", "leases", "holder")
    create_index("leases_project", "leases", "project")
    create_index("removed_images_removed", "removed_images", "removed_at")
