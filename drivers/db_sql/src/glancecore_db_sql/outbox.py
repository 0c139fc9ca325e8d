"""The outbox on SQL. Events are recorded by the commits, in one statement; what is claimed is decided by the database's
clock.

A claim is a time until which a delivery is not due, and a token. So is a failed delivery, without a token.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import orjson

from glancecore.domain.context import Initiator
from glancecore.ports.outbox_repository import (
    Backlog,
    Delivery,
    DeliveryOutcome,
    EventsRecorded,
    OutboxEvent,
    OutboxRepository,
)
from glancecore_db_sql.engine import Connections, Session
from glancecore_db_sql.rows import Row, micros, moment

_COLUMNS = "position, id, destination, subject, type, at, attempts, error, token, document"
#: SQLite takes 32,766 parameters a statement.
_STEP = 1000


def record(db: Session, change: EventsRecorded) -> None:
    rows = [(x.id, x.destination, x.subject, x.type, micros(x.at), _document(x)) for x in change.events]
    for start in range(0, len(rows), _STEP):
        part = rows[start : start + _STEP]
        # 0: due at once, whatever the clocks say
        db.change(
            " ".join(
                [
                    "INSERT INTO outbox (id, destination, subject, type, at, due_at, attempts, document) VALUES",
                    ", ".join(["(?, ?, ?, ?, ?, 0, 0, ?)"] * len(part)),
                ]
            ),
            *(value for row in part for value in row),
        )


def _document(event: OutboxEvent) -> str:
    """An older release knows no ``traceparent``: it is there only where traces are."""
    traced = {} if event.traceparent is None else {"traceparent": event.traceparent}
    return orjson.dumps({"data": event.data, "initiator": event.initiator, **traced}).decode()


def _delivery(row: Row) -> Delivery:
    position, id_, destination, subject, type_, at, attempts, error, token, document = row
    found = orjson.loads(document)
    if found.keys() - {"traceparent"} != {"data", "initiator"}:  # recorded by an older release: the data alone
        found = {"data": found, "initiator": None}
    initiator = None if found["initiator"] is None else _initiator(found["initiator"])
    return Delivery(
        position,
        OutboxEvent(id_, destination, subject, type_, moment(at), found["data"], initiator, found.get("traceparent")),
        attempts,
        error,
        token,
    )


def _initiator(found: Mapping[str, Any]) -> Initiator:
    """Older releases have said less, newer ones may say more."""
    known = {x: found[x] for x in ("user", "project", "request_id", "address", "request") if x in found}
    return Initiator(**known, roles=tuple(found.get("roles", ())))


def _marks(values: Sequence[object]) -> str:
    return f"({', '.join('?' * len(values))})"


class SqlOutbox(OutboxRepository):
    def __init__(self, connections: Connections) -> None:
        self._on = connections
        self._now = connections.dialect.now

    # -- claims ------------------------------------------------------------------------------------
    def claim(self, destination: str, limit: int, ttl: float) -> list[Delivery]:
        due = self._on.read(lambda db: self._due(db, destination, limit)) if limit > 0 else []
        return self._on.write(lambda db: self._claim(db, destination, due, ttl)) if due else []

    def _due(self, db: Session, destination: str, limit: int) -> list[int]:
        text = " ".join(
            [
                "SELECT o.position FROM outbox o WHERE o.destination = ? AND o.due_at <=",
                self._now,
                "AND NOT EXISTS (SELECT 1 FROM outbox e",
                (
                    "WHERE e.destination = o.destination AND e.subject = o.subject AND e.position < o.position AND"
                    " e.due_at >"
                ),
                self._now,
                ") ORDER BY o.position LIMIT ?",
            ]
        )
        return [position for (position,) in db.rows(text, destination, limit)]

    def _claim(self, db: Session, destination: str, due: Sequence[int], ttl: float) -> list[Delivery]:
        token = uuid.uuid4().hex
        # Another claim may have taken some since they were looked for: it has made them not due.
        claimed = db.change(
            " ".join(
                [
                    "UPDATE outbox SET token = ?, attempts = attempts + 1, due_at =",
                    self._now,
                    "+ ? WHERE position IN",
                    _marks(due),
                    "AND due_at <=",
                    self._now,
                ]
            ),
            token,
            int(ttl * 1_000_000),
            *due,
        )
        if not claimed:
            return []
        mine = [
            _delivery(x)
            for x in db.rows(
                " ".join(
                    [
                        "SELECT",
                        _COLUMNS,
                        "FROM outbox WHERE position IN",
                        _marks(due),
                        "AND token = ? ORDER BY position",
                    ]
                ),
                *due,
                token,
            )
        ]
        return mine if claimed == len(due) else self._in_turn(db, destination, mine)

    def _in_turn(self, db: Session, destination: str, mine: Sequence[Delivery]) -> list[Delivery]:
        """Of what was claimed, give back what is behind another claim's of the same subject."""
        subjects = sorted({x.event.subject for x in mine})
        foreign = db.rows(
            " ".join(
                [
                    "SELECT subject, MIN(position) FROM outbox WHERE destination = ? AND subject IN",
                    _marks(subjects),
                    "AND (token IS NULL OR token <> ?) GROUP BY subject",
                ]
            ),
            destination,
            *subjects,
            mine[0].token,
        )
        held = {str(subject): int(first) for subject, first in foreign}
        early = [x for x in mine if x.position > held.get(x.event.subject, x.position)]
        if early:
            db.change(
                " ".join(
                    [
                        "UPDATE outbox SET token = NULL, attempts = attempts - 1, due_at = 0 WHERE position IN",
                        _marks(early),
                    ]
                ),
                *(x.position for x in early),
            )
        return [x for x in mine if x not in early]

    def settle(self, outcomes: Sequence[DeliveryOutcome]) -> None:
        if outcomes:
            self._on.write(lambda db: self._settle(db, outcomes))

    def _settle(self, db: Session, outcomes: Sequence[DeliveryOutcome]) -> None:
        done = [x for x in outcomes if x.delivered]
        for token in {x.token for x in done}:
            gone = [x.position for x in done if x.token == token]
            db.change(" ".join(["DELETE FROM outbox WHERE position IN", _marks(gone), "AND token = ?"]), *gone, token)
        again = " ".join(
            [
                "UPDATE outbox SET token = NULL, error = COALESCE(?, error), due_at =",
                self._now,
                "+ ? WHERE position = ? AND token = ?",
            ]
        )
        for x in outcomes:
            if not x.delivered:
                db.change(again, x.error, int(x.delay * 1_000_000), x.position, x.token)

    # -- for operators -----------------------------------------------------------------------------
    def waiting(self) -> list[Backlog]:
        text = (
            "SELECT destination, COUNT(*), MIN(at), COUNT(error) FROM outbox GROUP BY destination ORDER BY destination"
        )
        return [
            Backlog(name, count, moment(oldest), failed)
            for name, count, oldest, failed in self._on.read(lambda db: db.rows(text))
        ]

    def find(self, destination: str | None = None, limit: int = 100, behind: int = 0) -> list[Delivery]:
        where, values = _of(destination)
        text = " ".join(["SELECT", _COLUMNS, "FROM outbox WHERE position > ?", where, "ORDER BY position LIMIT ?"])
        return [_delivery(x) for x in self._on.read(lambda db: db.rows(text, behind, *values, max(limit, 0)))]

    def retry(self, destination: str | None = None) -> int:
        where, values = _of(destination)
        text = " ".join(["UPDATE outbox SET due_at = 0 WHERE token IS NULL AND due_at >", self._now, where])
        return self._on.write(lambda db: db.change(text, *values))

    def forget(self, before: datetime, destination: str | None = None, limit: int = 1000) -> list[Delivery]:
        where, values = _of(destination)

        def work(db: Session) -> list[Delivery]:
            old = [
                _delivery(x)
                for x in db.rows(
                    " ".join(
                        [
                            "SELECT",
                            _COLUMNS,
                            "FROM outbox WHERE at < ?",
                            where,
                            "ORDER BY position LIMIT ?",
                            db.dialect.for_update,
                        ]
                    ),
                    micros(before),
                    *values,
                    max(limit, 0),
                )
            ]
            if old:
                db.change(" ".join(["DELETE FROM outbox WHERE position IN", _marks(old)]), *(x.position for x in old))
            return old

        return self._on.write(work)


def _of(destination: str | None) -> tuple[str, tuple[str, ...]]:
    return ("", ()) if destination is None else ("AND destination = ?", (destination,))
