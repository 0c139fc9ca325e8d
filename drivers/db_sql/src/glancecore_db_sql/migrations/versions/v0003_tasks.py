"""Tasks, and what an import keeps with its image."""

from __future__ import annotations

import sqlalchemy as sa

from glancecore_db_sql.migrations.steps import LONG, add_column, create_index, create_table, text

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    add_column("images", sa.Column("import_state", LONG))
    create_table(
        "tasks",
        sa.Column("id", text(36), primary_key=True),
        sa.Column("type", text(32), nullable=False),
        sa.Column("status", text(32), nullable=False),
        sa.Column("owner", text(255)),
        sa.Column("image_id", text(36)),
        sa.Column("user_id", text(255)),
        sa.Column("request_id", text(255)),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("updated_at", sa.BigInteger, nullable=False),
        sa.Column("expires_at", sa.BigInteger),
        sa.Column("version", sa.BigInteger, nullable=False),
        sa.Column("document", LONG, nullable=False),
    )
    create_index("tasks_image", "tasks", "image_id", "created_at")
    create_index("tasks_created", "tasks", "created_at", "id")
    create_index("tasks_expires", "tasks", "expires_at")
    create_index("tasks_status", "tasks", "status", "created_at")
