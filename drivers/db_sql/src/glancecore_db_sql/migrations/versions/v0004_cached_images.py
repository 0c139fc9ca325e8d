"""Which nodes have which images in their caches."""

from __future__ import annotations

import sqlalchemy as sa

from glancecore_db_sql.migrations.steps import create_index, create_table, image_id, text

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    create_table(
        "cached_images",
        image_id(),
        sa.Column("node", text(255), nullable=False),
        sa.PrimaryKeyConstraint("image_id", "node"),
    )
    create_index("cached_images_node", "cached_images", "node")
