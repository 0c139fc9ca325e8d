"""What the next release takes away, when no node of this one runs any more."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "9002"
down_revision = "9001"


def upgrade() -> None:
    found = sa.inspect(op.get_bind())
    if found.has_table("next_things"):
        op.drop_table("next_things")
    if any(x["name"] == "images_next_word" for x in found.get_indexes("images")):
        op.drop_index("images_next_word", "images")
