"""The ``sql`` database driver."""

from __future__ import annotations

from datetime import datetime
from functools import partial
from pathlib import Path

from glancecore.ports.options import Section
from glancecore.ports.repository import Database
from glancecore.ports.rolling_schema import SchemaStep
from glancecore_db_sql import backup, rows, schema
from glancecore_db_sql.engine import Connections, Session
from glancecore_db_sql.images import SqlImages
from glancecore_db_sql.jobs import SqlJobs
from glancecore_db_sql.metadefs import SqlMetadefs
from glancecore_db_sql.options import OPTIONS
from glancecore_db_sql.outbox import SqlOutbox
from glancecore_db_sql.places import SqlPlaces
from glancecore_db_sql.records import SqlRecords
from glancecore_db_sql.tasks import SqlTasks

#: Removed ids are forgotten in steps of this many, so that no lock is held for long.
_BATCH = 1000


class SqlDatabase(Database):
    """Raises ConfigError for a wrong URL at once; connects at the first use."""

    plugin_api = "1.0"
    options = OPTIONS

    def __init__(self, conf: Section) -> None:
        super().__init__(conf)
        self.connections = Connections(conf)
        self.images = SqlImages(self.connections)
        self.metadefs = SqlMetadefs(self.connections)
        self.tasks = SqlTasks(self.connections)
        self.outbox = SqlOutbox(self.connections)
        self.jobs = SqlJobs(self.connections)
        self.places = SqlPlaces(self.connections)
        self.records = SqlRecords(self.connections)

    def ping(self) -> None:
        schema.check(self.connections)

    def sync(self, revision: str = "head") -> None:
        schema.sync(self.connections, revision)

    def expand(self) -> None:
        schema.expand(self.connections)

    def contract(self) -> None:
        schema.contract(self.connections)

    def schema_step(self) -> SchemaStep:
        return schema.step(self.connections)

    def version(self) -> str | None:
        return schema.version(self.connections)

    def head(self) -> str:
        return schema.REVISIONS[-1]

    def backup(self, file: Path) -> None:
        backup.copy(self.connections.url, file)

    def purge(self, before: datetime, limit: int | None = 100) -> int:
        forgotten = 0
        while limit is None or forgotten < limit:
            step = _BATCH if limit is None else min(_BATCH, limit - forgotten)
            done = self.connections.write(partial(_purge, before=rows.micros(before), limit=step))
            forgotten += done
            if done < step:
                break
        return forgotten

    def close(self) -> None:
        self.connections.close()


def _purge(db: Session, before: int, limit: int) -> int:
    # Two purges at once: the rows are locked by whoever reads them first, so each is counted once.
    found = db.rows(
        " ".join(
            [
                "SELECT id FROM removed_images WHERE removed_at < ? ORDER BY removed_at, id LIMIT ?",
                db.dialect.for_update,
            ]
        ),
        before,
        limit,
    )
    if not found:
        return 0
    marks = ", ".join("?" * len(found))
    return db.change(" ".join(["DELETE FROM removed_images WHERE id IN (", marks, ")"]), *(id_ for (id_,) in found))
