"""Periodic jobs: who runs them, and what they remember."""

from __future__ import annotations

import sqlalchemy as sa

from glancecore_db_sql.migrations.steps import LONG, create_table, text

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    create_table(
        "periodic_jobs",
        sa.Column("name", text(255), primary_key=True),
        sa.Column("holder", text(255), nullable=False),
        sa.Column("expires_at", sa.BigInteger, nullable=False),
        sa.Column("document", LONG, nullable=False),
    )
