"""Events that wait in the outbox since before an upgrade."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from glancecore_db_sql.driver import SqlDatabase
from glancecore_db_sql.rows import micros

from glancecore.domain.context import Initiator
from glancecore.ports.outbox_repository import DeliveryOutcome, EventsRecorded, OutboxEvent

AT = datetime(2026, 1, 1, tzinfo=UTC)


def recorded(database: SqlDatabase, id_: str, document: dict[str, Any]) -> None:
    database.connections.write(
        lambda db: db.change(
            "INSERT INTO outbox (id, destination, subject, type, at, due_at, attempts, document) VALUES (?, ?, ?, ?, ?,"
            " 0, 0, ?)",
            id_,
            "hook",
            id_,
            "image.create",
            micros(AT),
            json.dumps(document),
        )
    )


@pytest.mark.parametrize("data", [{"id": "x", "name": None}, {"id": "x", "initiator": "somebody"}, {"data": 1}, {}])
def test_events_recorded_without_initiator_are_delivered_listed_and_purged(
    opened: Callable[..., SqlDatabase], tmp_path: Path, data: dict[str, Any]
) -> None:
    database = opened(f"sqlite:///{tmp_path}/images.sqlite")
    database.sync()
    recorded(database, "old", data)
    newer = OutboxEvent("new", "hook", "new", "image.create", AT, {"id": "y"}, Initiator("user"))
    database.images.commit(EventsRecorded((newer,)))
    older = OutboxEvent("old", "hook", "old", "image.create", AT, data, None)
    assert [x.event for x in database.outbox.find()] == [older, newer]
    claimed = database.outbox.claim("hook", 10, 60)
    assert [x.event for x in claimed] == [older, newer]
    database.outbox.settle([DeliveryOutcome(x.position, x.token, delivered=True) for x in claimed if x.event == newer])
    assert [x.event for x in database.outbox.forget(datetime(2026, 2, 1, tzinfo=UTC))] == [older]
    assert database.outbox.find() == []
