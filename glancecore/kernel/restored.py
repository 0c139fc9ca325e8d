"""What is done to a database that was brought back from a backup, so that nothing is deleted which came after the
backup."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime

from glancecore.domain import errors
from glancecore.domain.image import Image, Status
from glancecore.domain.lease import Operation
from glancecore.ports.record_repository import Record
from glancecore.ports.repository import Database, ImageChanged, LeaseChanged
from glancecore.sdk.records import saving

LOG = logging.getLogger(__name__)
#: Of extensions' collections each has a dot in its name.
COLLECTION = "database_restored"
#: In these an image may have got data since the backup, under the name that its next attempt would take.
_OPEN = frozenset({Status.QUEUED, Status.SAVING, Status.UPLOADING, Status.IMPORTING})
#: Attempts of an image that nobody makes.
_ATTEMPTS = 1000
_PAGE = 100


@dataclass(frozen=True, slots=True)
class RestoreOutcome:
    """``operations`` that were under way when the backup was made, and ``images`` whose next data gets another name."""

    operations: int
    images: int


def restored_at(database: Database) -> datetime | None:
    """When the database was brought back from a backup; None: never. Raises DatabaseUnavailable."""
    try:
        return datetime.fromisoformat(str(database.records.get(COLLECTION, COLLECTION).data["at"]))
    except errors.RecordNotFound:
        return None


class RestoreWatch:
    """Of one process: what it has in hand does not fit a database that is brought back while it serves."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._seen: list[datetime | None] = []

    def look(self) -> None:
        """Once in each pass of the reaper."""
        at = restored_at(self._database)
        if at not in self._seen:
            self._seen.append(at)
            if len(self._seen) > 1:
                LOG.error(
                    "the database was brought back from a backup while this process served; stop it, run glance-manage"
                    " db restored again, and start it"
                )


def restored(database: Database, at: datetime) -> RestoreOutcome:
    """To be called before any process of the service runs on it; again without harm. ``at``: now, aware UTC.

    An operation that was under way may have ended well since, and what its lease names be an image's data today: the
    lease lets go of it, so whoever takes it over deletes nothing. A deletion names nothing, and is finished."""
    database.images.commit(saving(database.records, Record(COLLECTION, COLLECTION, {"at": at.isoformat()})))
    operations = images = 0
    after = ""
    while leases := database.images.leases(after, _PAGE):
        for lease in leases:
            if lease.blobs and lease.operation != Operation.DELETE:
                LOG.info(
                    "image %s: its %s lets go of %s",
                    lease.image_id,
                    lease.operation,
                    ", ".join(f"{x.store}/{x.key}" for x in lease.blobs),
                )
                database.images.commit(LeaseChanged(replace(lease, blobs=())))
                operations += 1
        after = leases[-1].image_id
    for image in _open(database):
        database.images.commit(
            ImageChanged(image, replace(image, attempt=image.attempt + _ATTEMPTS, version=image.version + 1))
        )
        images += 1
    return RestoreOutcome(operations, images)


def _open(database: Database) -> Iterator[Image]:
    after = ""
    while page := database.images.scan(_OPEN, after, _PAGE):
        yield from page
        after = page[-1].id
