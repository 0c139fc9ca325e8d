"""Records of an extension: what is written again and again."""

from __future__ import annotations

from dataclasses import replace

from glancecore.domain import errors
from glancecore.ports.record_repository import Record, RecordAdded, RecordChange, RecordChanged, RecordRepository


def saving(records: RecordRepository, record: Record) -> RecordChange:
    """The change that keeps ``record``, in place of the one with its id where there is one; its ``version`` does not matter. The commit raises RecordExists
    or ConcurrentChange when somebody else was faster."""
    try:
        before = records.get(record.collection, record.id)
    except errors.RecordNotFound:
        return RecordAdded(replace(record, version=1))
    return RecordChanged(before, replace(record, version=before.version + 1))
