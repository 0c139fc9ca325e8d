"""Records of an extension: what is written again and again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime

from glancecore.domain import errors
from glancecore.ports import unlisted
from glancecore.ports.record_repository import (
    Record,
    RecordAdded,
    RecordChange,
    RecordChanged,
    RecordQuery,
    RecordRemoved,
    RecordRepository,
)


def saving(records: RecordRepository, record: Record) -> RecordChange:
    """The change that keeps ``record``, in place of the one with its id where there is one; its ``version`` does not
    matter. The commit raises RecordExists or ConcurrentChange when somebody else was faster."""
    try:
        before = records.get(record.collection, record.id)
    except errors.RecordNotFound:
        return RecordAdded(replace(record, version=1))
    return RecordChanged(before, replace(record, version=before.version + 1))


def unlisting(records: RecordRepository, images: Mapping[str, datetime | None]) -> list[RecordChange]:
    """The changes with which each of these images (ids, at most 1,000), while it is public, leaves the lists of other
    projects from that time on; None: it stays in them. None for those of which this is kept already. For extensions
    with ``unlists``; of two that speak of an image the last one is heard. The commit raises what that of ``saving``
    does, and ImageNotFound."""
    known = {x.id: x for x in records.find(RecordQuery(unlisted.COLLECTION, equal=list(images), limit=len(images)))}
    found: list[RecordChange] = []
    for image_id, at in images.items():
        before, after = known.get(image_id), None if at is None else unlisted.from_then_on(image_id, at)
        if before is None:
            found += [RecordAdded(after)] if after else []
        elif after is None:
            found.append(RecordRemoved(before))
        elif before.keys != after.keys:
            found.append(RecordChanged(before, replace(after, version=before.version + 1)))
    return found
