"""Tables of what is kept as records since 0012: which nodes have which images in their caches, and TaskFlow's logbooks,
whose tables were TaskFlow's own or, behind glance-registry, the service's."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"


def upgrade() -> None:
    for table in ("cached_images", "atomdetails", "flowdetails", "logbooks", "import_logbooks"):
        if sa.inspect(op.get_bind()).has_table(table):
            op.drop_table(table)
