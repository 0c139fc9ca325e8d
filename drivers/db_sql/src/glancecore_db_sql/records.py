"""Records on SQL: one table for all collections, with an index for each key."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import orjson
from sqlalchemy.exc import IntegrityError

from glancecore.domain import errors
from glancecore.ports.record_repository import (
    MOST_KEYS,
    Record,
    RecordAdded,
    RecordChanged,
    RecordQuery,
    RecordRemoved,
    RecordRepository,
)
from glancecore_db_sql import rows
from glancecore_db_sql.engine import Connections, Session

_KEYS = [f"key{number}" for number in range(MOST_KEYS)]
_COLUMNS = ["collection", "id", "version", "image_id", "expires_at", *_KEYS, "data"]
_ADD = " ".join(["INSERT INTO records (", ", ".join(_COLUMNS), ") VALUES (", ", ".join("?" * len(_COLUMNS)), ")"])
_CHANGE = " ".join(
    [
        "UPDATE records SET",
        ", ".join([f"{name} = ?" for name in _COLUMNS[2:]]),
        "WHERE collection = ? AND id = ? AND version = ?",
    ]
)
_LAST = 0x10FFFF


class SqlRecords(RecordRepository):
    def __init__(self, connections: Connections) -> None:
        self._on = connections
        self._select = " ".join(
            ["SELECT", connections.dialect.record(_COLUMNS[:-1], _COLUMNS[-1:]), "FROM records WHERE collection = ?"]
        )

    def _read(self, text: str, *values: object) -> list[Record]:
        rows = self._on.read(lambda db: db.rows(text, *values))
        return [_record(*x) for x in self._on.dialect.records(rows, 1)]

    def get(self, collection: str, record_id: str) -> Record:
        found = self._read(f"{self._select} AND id = ?", collection, record_id)
        if not found:
            raise _no_record(collection, record_id)
        return found[0]

    def several(self, named: Sequence[tuple[str, str]]) -> list[Record]:
        ids: dict[str, dict[str, None]] = {}
        for collection, record_id in named:
            ids.setdefault(collection, {})[record_id] = None
        if not ids:
            return []
        text = " UNION ALL ".join([f"{self._select} AND id IN ({', '.join('?' * len(x))})" for x in ids.values()])
        values = [x for collection, found in ids.items() for x in (collection, *found)]
        return self._read(text, *values)

    def find(self, query: RecordQuery) -> list[Record]:
        if query.key is not None and query.key >= MOST_KEYS:
            raise ValueError(f"a record has at most {MOST_KEYS} keys")
        if query.equal is not None and not query.equal:
            return []
        text, values = _statement(self._select, query)
        return self._read(text, *values)

    def of_image(self, image_id: str, collection: str) -> list[Record]:
        return self._read(f"{self._select} AND image_id = ? ORDER BY id LIMIT 1000", collection, image_id)

    def expired(self, collection: str, at: datetime, limit: int = 100) -> list[Record]:
        return self._read(
            f"{self._select} AND expires_at <= ? ORDER BY expires_at, id LIMIT ?", collection, rows.micros(at), limit
        )


def _statement(select: str, query: RecordQuery) -> tuple[str, list[object]]:
    column, way, beyond = (
        "id" if query.key is None else _KEYS[query.key],
        " DESC" if query.descending else "",
        "<" if query.descending else ">",
    )
    texts, values = [select], list[object]([query.collection])
    if query.key is not None:
        texts.append(f"{column} IS NOT NULL")
    if query.equal is not None:
        texts.append(f"{column} IN ({', '.join('?' * len(query.equal))})")
        values += query.equal
    if query.prefix:
        texts.append(f"{column} >= ?")
        values.append(query.prefix)
        if (end := _behind(query.prefix)) is not None:
            texts.append(f"{column} < ?")
            values.append(end)
    if query.after is not None:  # written out: not every planner makes a range of a comparison of rows
        key, last = query.after
        if query.key is None:
            texts.append(f"id {beyond} ?")
            values.append(last)
        else:
            if query.equal is not None and len(query.equal) == 1:
                texts.append(f"id {beyond} ?")
                values.append(last)
            else:
                # the bound that an index can begin at, and what is left out of it
                texts.append(f"{column} {beyond}= ? AND (({column} = ? AND id {beyond} ?) OR {column} {beyond} ?)")
                values += [key, key, last, key]
    order = f"ORDER BY id{way}" if query.key is None else f"ORDER BY {column}{way}, id{way}"
    return f"{' AND '.join(texts)} {order} LIMIT ?", [*values, max(0, query.limit)]


def _behind(prefix: str) -> str | None:
    """The least text that is greater than all that begin so; None: there is none."""
    while prefix:
        last = ord(prefix[-1])
        if last < _LAST:
            return prefix[:-1] + chr(0xE000 if last == 0xD7FF else last + 1)
        prefix = prefix[:-1]
    return None


# -- for commits -----------------------------------------------------------------------------------
def add(db: Session, change: RecordAdded) -> None:
    record = change.record
    _check_image(db, record)
    try:
        db.change(_ADD, *_encode(record))
    except IntegrityError as error:
        raise errors.RecordExists(f"{record.collection} has a record {record.id} already") from error


def alter(db: Session, change: RecordChanged) -> None:
    before, after = change.before, change.after
    if (after.collection, after.id, after.version) != (before.collection, before.id, before.version + 1):
        raise ValueError("after must be the next version of before, with its collection and id")
    if after.image_id != before.image_id:
        _check_image(db, after)
    if not db.change(_CHANGE, *_encode(after)[2:], before.collection, before.id, before.version):
        raise _why(db, before)


def remove(db: Session, change: RecordRemoved) -> None:
    record = change.record
    if not db.change(
        "DELETE FROM records WHERE collection = ? AND id = ? AND version = ?",
        record.collection,
        record.id,
        record.version,
    ):
        raise _why(db, record)


def _check_image(db: Session, record: Record) -> None:
    """Locked, so that it is not removed before the record is there to go with it."""
    if record.image_id is not None and not db.row(
        " ".join(["SELECT 1 FROM images WHERE id = ?", db.dialect.for_update]), record.image_id
    ):
        raise errors.ImageNotFound(f"no image {record.image_id}")


def _why(db: Session, record: Record) -> errors.GlanceError:
    if db.row("SELECT 1 FROM records WHERE collection = ? AND id = ?", record.collection, record.id):
        return errors.ConcurrentChange(
            f"record {record.id} of {record.collection} was changed by somebody else meanwhile"
        )
    return _no_record(record.collection, record.id)


def _no_record(collection: str, record_id: str) -> errors.RecordNotFound:
    return errors.RecordNotFound(f"{collection} has no record {record_id}")


def _encode(record: Record) -> list[object]:
    keys = [*record.keys, *[None] * (MOST_KEYS - len(record.keys))]
    expires = None if record.expires_at is None else rows.micros(record.expires_at)
    # How many keys it has is told by the data: those at the end may be None.
    document = orjson.dumps([len(record.keys), dict(record.data)]).decode()
    return [record.collection, record.id, record.version, record.image_id, expires, *keys, document]


def _record(scalars: Sequence[Any], document: Sequence[Any]) -> Record:
    collection, id_, version, image_id, expires, *keys = scalars
    count, data = document
    return Record(
        collection, id_, data, tuple(keys[:count]), image_id, None if expires is None else rows.moment(expires), version
    )
