"""What was counted of an image, and where it is kept."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from glancecore.domain import errors
from glancecore.domain.image import Image
from glancecore.ports.extension import Collection
from glancecore.ports.record_repository import Record, RecordChange, RecordQuery, RecordRepository
from glancecore.sdk.records import saving

COUNTS = Collection("census.counts", keys=("owner",), of_image=True)


@dataclass(frozen=True, slots=True)
class Count:
    """``size`` and ``zeros`` in bytes. ``digest``: of the data that was counted, to tell when it is another one."""

    image_id: str
    size: int
    zeros: int
    digest: str | None

    @property
    def percent(self) -> int:
        return 100 * self.zeros // self.size if self.size else 0

    def shown(self) -> dict[str, object]:
        return {"image_id": self.image_id, "size": self.size, "zeros": self.zeros, "percent": self.percent}


class Counts:
    def __init__(self, records: RecordRepository) -> None:
        self._records = records

    def of(self, image: Image) -> Count | None:
        """None: its data was never counted, or is another one now."""
        try:
            count = _count(self._records.get(COUNTS.name, image.id))
        except errors.RecordNotFound:
            return None
        return count if count.digest == image.hash_value else None

    def of_all(self, images: Sequence[Image]) -> list[Count | None]:
        """In one question."""
        query = RecordQuery(COUNTS.name, equal=[x.id for x in images], limit=len(images))
        known = {x.id: _count(x) for x in self._records.find(query)}
        return [found if (found := known.get(x.id)) and found.digest == x.hash_value else None for x in images]

    def page(self, owner: str | None, after: Record | None) -> list[Record]:
        """Of one owner's images, or of all."""
        if owner is not None:
            return self._records.find(RecordQuery(COUNTS.name, 0, [owner], after=(owner, after.id) if after else None))
        return self._records.find(RecordQuery(COUNTS.name, after=(after.id, after.id) if after else None))

    def saving(self, image: Image, count: Count, expires_at: datetime) -> RecordChange:
        """The change that keeps it, in place of an earlier one."""
        data = {"size": count.size, "zeros": count.zeros, "digest": count.digest}
        return saving(self._records, Record(COUNTS.name, image.id, data, (image.owner or "",), image.id, expires_at))


def _count(record: Record) -> Count:
    size, zeros, digest = record.data["size"], record.data["zeros"], record.data["digest"]
    if not isinstance(size, int) or not isinstance(zeros, int):
        raise TypeError(f"record {record.id} of {record.collection} has no numbers")
    return Count(record.id, size, zeros, None if digest is None else str(digest))


def show(record: Record) -> dict[str, object]:
    return _count(record).shown()
