"""What the next release adds: nodes of this one serve beside it."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from glancecore_db_sql import schema
from glancecore_db_sql.migrations.steps import add_column, create_index, create_table, text

revision = "9001"
down_revision = schema.OLDEST


def upgrade() -> None:
    add_column("images", sa.Column("next_word", text(32), nullable=False, server_default="none"))
    create_table(
        "next_things", sa.Column("id", text(36), primary_key=True), sa.Column("size", sa.BigInteger, nullable=False)
    )
    create_index("images_next_word", "images", "next_word", "id")
    op.execute("UPDATE images SET next_word = 'some' WHERE status = 'active'")
