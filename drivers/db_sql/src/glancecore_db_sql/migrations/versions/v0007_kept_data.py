"""Data that a failed import keeps for another attempt."""

from __future__ import annotations

import sqlalchemy as sa

from glancecore_db_sql.migrations.steps import add_column, create_index

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    add_column("tasks", sa.Column("kept_until", sa.BigInteger))
    create_index("tasks_kept", "tasks", "kept_until")
