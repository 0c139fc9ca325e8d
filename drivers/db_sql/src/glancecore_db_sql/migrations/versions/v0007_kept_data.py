"""Data that a failed import keeps for another attempt."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from glancecore_db_sql.migrations.versions.v0001_images import _index

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    op.add_column("tasks", sa.Column("kept_until", sa.BigInteger))
    _index("tasks_kept", "tasks", "kept_until")
