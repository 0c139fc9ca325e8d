"""Rows of any kind, for extensions."""

from __future__ import annotations

import sqlalchemy as sa

from glancecore_db_sql.migrations.steps import LONG, create_index, create_table, text

revision = "0011"
down_revision = "0010"


def upgrade() -> None:
    create_table(
        "records",
        sa.Column("collection", text(64), nullable=False),
        sa.Column("id", text(255), nullable=False),
        sa.Column("version", sa.BigInteger, nullable=False),
        sa.Column("image_id", text(36), sa.ForeignKey("images.id", ondelete="CASCADE")),
        sa.Column("expires_at", sa.BigInteger),
        *(sa.Column(f"key{number}", text(255)) for number in range(4)),
        sa.Column("data", LONG, nullable=False),
        sa.PrimaryKeyConstraint("collection", "id"),
    )
    for number in range(4):
        create_index(f"records_key{number}", "records", "collection", f"key{number}", "id")
    create_index("records_image", "records", "image_id", "collection", "id")
    create_index("records_expires", "records", "collection", "expires_at", "id")
