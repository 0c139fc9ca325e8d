"""The table of what is a record since 0012."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"


def upgrade() -> None:
    if sa.inspect(op.get_bind()).has_table("cached_images"):
        op.drop_table("cached_images")
