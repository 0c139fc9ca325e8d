"""Events that wait to be delivered to somebody outside."""

from __future__ import annotations

import sqlalchemy as sa

from glancecore_db_sql.migrations.steps import LONG, create_index, create_table, text

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    create_table(
        "outbox",
        sa.Column(
            "position", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), primary_key=True, autoincrement=True
        ),
        sa.Column("id", text(36), nullable=False),
        sa.Column("destination", text(128), nullable=False),
        sa.Column("subject", text(255), nullable=False),
        sa.Column("type", text(64), nullable=False),
        sa.Column("at", sa.BigInteger, nullable=False),
        sa.Column("due_at", sa.BigInteger, nullable=False),
        sa.Column("attempts", sa.BigInteger, nullable=False),
        sa.Column("token", text(64)),
        sa.Column("error", LONG),
        sa.Column("document", LONG, nullable=False),
        sqlite_autoincrement=True,
    )
    create_index("outbox_destination", "outbox", "destination", "position")
    create_index("outbox_subject", "outbox", "destination", "subject", "position")
