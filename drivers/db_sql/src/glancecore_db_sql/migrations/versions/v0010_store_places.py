"""Where the data of each store is expected, and which images need a store."""

from __future__ import annotations

import sqlalchemy as sa

from glancecore_db_sql.migrations.steps import LONG, create_index, create_table, text

revision = "0010"
down_revision = "0009"


def upgrade() -> None:
    create_table(
        "store_places",
        sa.Column("store", text(255), primary_key=True),
        sa.Column("document", LONG, nullable=False),
    )
    create_index("image_locations_store", "image_locations", "store", "image_id")
