"""The indexes by created_at have what most filters of lists ask, and those of members which images are in their
lists."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from glancecore_db_sql.migrations.steps import add_column, replace_index

revision = "0009"
down_revision = "0008"

_ASKED = (
    "updated_at",
    "name",
    "status",
    "disk_format",
    "container_format",
    "size",
    "virtual_size",
    "min_ram",
    "min_disk",
    "protected",
)


def upgrade() -> None:
    add_column("image_members", sa.Column("image_shelf", sa.SmallInteger, nullable=False, server_default="2"))
    op.execute(
        "UPDATE image_members SET image_shelf = COALESCE((SELECT i.shelf FROM images i WHERE i.id ="
        " image_members.image_id AND i.visibility = 'shared'), 2)"
    )
    replace_index(
        "image_members_member", "image_members", "member", "status", "image_shelf", "image_created_at", "image_id"
    )
    replace_index("images_owner_created", "images", "owner", "shelf", "created_at", "id", "visibility", *_ASKED)
    replace_index("images_visibility_created", "images", "visibility", "shelf", "created_at", "id", *_ASKED)
