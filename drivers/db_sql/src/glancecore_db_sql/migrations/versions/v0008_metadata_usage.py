"""How many bytes of metadata each project has."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from glancecore_db_sql.dialects import DIALECTS
from glancecore_db_sql.migrations.steps import add_column

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    add_column("project_usage", sa.Column("metadata_bytes", sa.BigInteger, nullable=False, server_default="0"))
    octets = DIALECTS[op.get_bind().dialect.name].octets
    op.execute(
        " ".join(
            [
                "UPDATE project_usage SET metadata_bytes = COALESCE((SELECT SUM(",
                octets("i.tags"),
                "+",
                octets("i.properties"),
                "- 4)",
                (
                    "FROM images i WHERE COALESCE(i.owner, '') = project_usage.project AND i.status NOT IN ('deleted',"
                    " 'killed')), 0)"
                ),
            ]
        )
    )
