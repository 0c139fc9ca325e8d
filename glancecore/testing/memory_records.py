"""Records in a dict."""

from __future__ import annotations

from collections.abc import MutableMapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from glancecore.domain import errors
from glancecore.ports.record_repository import (
    Record,
    RecordAdded,
    RecordChanged,
    RecordQuery,
    RecordRemoved,
    RecordRepository,
)

if TYPE_CHECKING:
    from glancecore.testing.fakes import MemoryImages

Kept = MutableMapping[tuple[str, str], Record]


class MemoryRecords(RecordRepository):
    def __init__(self, images: MemoryImages) -> None:
        self._images = images

    def get(self, collection: str, record_id: str) -> Record:
        return stored(self._images.state.records, collection, record_id)

    def several(self, named: Sequence[tuple[str, str]]) -> list[Record]:
        with self._images.lock:
            return [self._images.state.records[x] for x in dict.fromkeys(named) if x in self._images.state.records]

    def find(self, query: RecordQuery) -> list[Record]:
        found = [
            (key, x.id, x)
            for x in self._images.state.records.values()
            if x.collection == query.collection and (key := _key(x, query.key)) is not None
        ]
        found = [x for x in found if x[0].startswith(query.prefix) and (query.equal is None or x[0] in query.equal)]
        found.sort(key=lambda x: x[:2], reverse=query.descending)
        if query.after is not None:
            found = [x for x in found if (x[:2] < query.after if query.descending else x[:2] > query.after)]
        return [x for _, _, x in found[: max(0, query.limit)]]

    def of_image(self, image_id: str, collection: str) -> list[Record]:
        return sorted(
            (x for x in self._images.state.records.values() if x.image_id == image_id and x.collection == collection),
            key=lambda x: x.id,
        )[:1000]

    def expired(self, collection: str, at: datetime, limit: int = 100) -> list[Record]:
        old = [
            (x.expires_at, x.id, x)
            for x in self._images.state.records.values()
            if x.collection == collection and x.expires_at is not None and x.expires_at <= at
        ]
        return [x for _, _, x in sorted(old, key=lambda x: x[:2])[:limit]]


def _key(record: Record, number: int | None) -> str | None:
    if number is None:
        return record.id
    return record.keys[number] if number < len(record.keys) else None


def stored(kept: Kept, collection: str, record_id: str) -> Record:
    if (collection, record_id) not in kept:
        raise errors.RecordNotFound(f"{collection} has no record {record_id}")
    return kept[collection, record_id]


def add(kept: Kept, change: RecordAdded) -> None:
    record = change.record
    if (record.collection, record.id) in kept:
        raise errors.RecordExists(f"{record.collection} has a record {record.id} already")
    kept[record.collection, record.id] = record


def alter(kept: Kept, change: RecordChanged) -> None:
    before, after = change.before, change.after
    if (after.collection, after.id, after.version) != (before.collection, before.id, before.version + 1):
        raise ValueError("after must be the next version of before, with its collection and id")
    _same(stored(kept, before.collection, before.id), before)
    kept[after.collection, after.id] = after


def remove(kept: Kept, change: RecordRemoved) -> None:
    record = change.record
    _same(stored(kept, record.collection, record.id), record)
    del kept[record.collection, record.id]


def _same(now: Record, was: Record) -> None:
    if now.version != was.version:
        raise errors.ConcurrentChange(f"record {was.id} of {was.collection} was changed by somebody else meanwhile")
