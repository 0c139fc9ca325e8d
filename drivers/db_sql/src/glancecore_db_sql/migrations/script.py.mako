"""${message}"""

from __future__ import annotations

import sqlalchemy as sa

from glancecore_db_sql.migrations import steps  # each looks whether it is done: upgrades are run again

revision = ${repr(up_revision)}
down_revision = ${repr(down_revision)}


def upgrade() -> None:
    ${upgrades if upgrades else "pass"}
