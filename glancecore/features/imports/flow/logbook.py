"""TaskFlow's logbooks as records: how far the import of each task is. For what needs no TaskFlow, which is large: most
processes never run an import."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta

from glancecore.domain import errors
from glancecore.domain.clock import now
from glancecore.ports.record_repository import Record, RecordAdded, RecordChanged, RecordRemoved
from glancecore.ports.repository import Database

#: No extension's: their names have no blank. The id is the task's.
COLLECTION = "the service.import_logbooks"
#: After which a book is looked at that is not written into: its task may have ended.
QUIET = timedelta(seconds=10)
#: Books that are looked at in one go.
_MOST = 1000


@dataclass(frozen=True, slots=True)
class Logbook:
    """``version`` counts saves and is the compare-and-set key. ``items``: path -> JSON."""

    version: int
    items: Mapping[str, str]


class Logbooks:
    """One for each task. Thread-safe. Every method raises DatabaseUnavailable."""

    def __init__(self, database: Database) -> None:
        self._images = database.images
        self._records = database.records

    def get(self, task_id: str) -> Logbook | None:
        """None: the task has none."""
        try:
            found = self._records.get(COLLECTION, task_id)
        except errors.RecordNotFound:
            return None
        return Logbook(found.version, {path: str(text) for path, text in found.data.items()})

    def put(self, task_id: str, logbook: Logbook) -> None:
        """Durable when it returns. Raises ConcurrentChange unless the one before is stored: that of ``version - 1``, or
        none for 1. After DatabaseUnavailable it may have been saved."""
        after = Record(COLLECTION, task_id, logbook.items, expires_at=now() + QUIET, version=logbook.version)
        before = Record(COLLECTION, task_id, version=logbook.version - 1)
        try:
            self._images.commit(RecordChanged(before, after) if before.version else RecordAdded(after))
        except (errors.RecordExists, errors.RecordNotFound) as exc:
            raise errors.ConcurrentChange(f"task {task_id} is worked on by somebody else") from exc

    def quiet(self) -> list[str]:
        """The tasks into whose books nobody has written lately."""
        return [x.id for x in self._records.expired(COLLECTION, now(), _MOST)]

    def forget(self, task_id: str) -> None:
        """The task has ended: its book is not needed any more. Nothing happens when there is none, or somebody writes
        into it at this moment."""
        try:
            self._images.commit(RecordRemoved(self._records.get(COLLECTION, task_id)))
        except (errors.RecordNotFound, errors.ConcurrentChange):
            pass
