"""Stores that drain: no new data, in every process, and what is there is read and deleted."""

from __future__ import annotations

import time
from collections.abc import Iterable
from datetime import UTC, datetime

import pytest
from prometheus_client import REGISTRY

from glancecore.domain import errors
from glancecore.http.health import Health
from glancecore.kernel.transfer.draining import AGE, COLLECTION, Draining
from glancecore.kernel.transfer.store_facade import StoreFacade
from glancecore.kernel.transfer.store_settings import StoreSettings
from glancecore.kernel.transfer.stores import Stores
from glancecore.ports.record_repository import RecordQuery
from glancecore.testing.fakes import MemoryDatabase
from glancecore.testing.memory_records import MemoryRecords
from glancecore.testing.memory_store import MemoryStore
from glancecore.testing.store import make_store

NOW = datetime(2026, 1, 2, tzinfo=UTC)


class SmallStore(MemoryStore):
    room: int | None = None

    def free(self) -> int | None:
        return self.room


def built(database: MemoryDatabase, rooms: dict[str, int | None], fallbacks: Iterable[str] = ()) -> Stores:
    drains, found = Draining(database, age=0.0), []
    for store_id, room in rooms.items():
        store = make_store(SmallStore, store_id)
        store.room = room
        found.append(StoreFacade(StoreSettings(store_id, "memory"), store, drains=drains))
    return Stores(found, found[0].id, fallbacks=[*fallbacks])


def test_it_is_kept_once_and_survives_the_process() -> None:
    database = MemoryDatabase()
    one, other = Draining(database, age=0.0), Draining(database, age=0.0)
    assert "fast" not in one
    assert one.add("fast", NOW)
    assert not other.add("fast", datetime.now(UTC)), "it drains since then"
    assert "fast" in one
    assert "fast" in other
    assert (other.since("fast"), other.since("cheap")) == (NOW, None)
    assert other.remove("fast")
    assert not one.remove("fast")
    assert "fast" not in one


def test_a_process_asks_the_database_now_and_then(monkeypatch: pytest.MonkeyPatch) -> None:
    database, now = MemoryDatabase(), [1000.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    asked: list[RecordQuery] = []
    find = MemoryRecords.find
    monkeypatch.setattr(MemoryRecords, "find", lambda records, query: (asked.append(query), find(records, query))[1])
    drains = Draining(database)
    assert "fast" not in drains
    Draining(database).add("fast", NOW)
    now[0] += AGE - 0.1
    assert "fast" not in drains
    assert [x.collection for x in asked] == [COLLECTION]
    now[0] += 0.1
    assert "fast" in drains
    assert "cheap" not in drains
    assert len(asked) == 2


def test_what_was_known_last_holds_while_the_database_is_away(monkeypatch: pytest.MonkeyPatch) -> None:
    database = MemoryDatabase()
    drains = Draining(database, age=0.0)
    drains.add("fast", NOW)
    assert "fast" in drains

    def away(_records: MemoryRecords, _query: RecordQuery) -> list[object]:
        raise errors.DatabaseUnavailable("away")

    monkeypatch.setattr(MemoryRecords, "find", away)
    assert "fast" in drains
    assert "fast" not in Draining(database, age=0.0), "a process that has never known it can't write either"


def test_a_draining_store_takes_no_data_and_gives_what_it_has() -> None:
    database = MemoryDatabase()
    store = built(database, {"fast": None}).get("fast")
    location = store.put("a", [b"data"])
    Draining(database).add("fast", NOW)
    assert (store.writable, store.takes_data, store.draining) == (False, False, True)
    with pytest.raises(errors.StoreDraining, match="store fast is draining"):
        store.put("b", [b"data"])
    assert b"".join(store.open(location.url)) == b"data"
    store.delete(location.url)
    Draining(database).remove("fast")
    store.put("b", [b"data"])


def test_data_for_a_draining_default_store_goes_to_the_fallbacks() -> None:
    database = MemoryDatabase()
    stores = built(database, {"one": None, "two": 5, "three": 10}, ["two", "three"])
    assert stores.for_data(None, 7).id == "one"
    Draining(database).add("one", NOW)
    assert [stores.for_data(None, x).id for x in (5, 7, 11)] == ["two", "three", "two"], (
        "which refuses it for want of room"
    )
    assert stores.for_data("one", 1).id == "one", "who names it is refused"
    Draining(database).add("two", NOW)
    assert stores.for_data(None, 5).id == "three"
    Draining(database).add("three", NOW)
    assert stores.for_data(None, 5).id == "one"


def test_the_metrics_tell(monkeypatch: pytest.MonkeyPatch) -> None:
    database = MemoryDatabase()
    stores = built(database, {"fast": None, "cheap": None})
    Draining(database).add("fast", NOW)

    def told(name: str) -> list[float | None]:
        Health(database, stores).report()
        return [REGISTRY.get_sample_value(name, {"store": x}) for x in ("fast", "cheap")]

    assert told("glance_store_draining") == [1, 0]
    assert told("glance_store_writable") == [0, 1]
    assert told("glance_store_up") == [1, 1]
    Draining(database).remove("fast")

    def away() -> None:
        raise errors.DatabaseUnavailable("away")

    monkeypatch.setattr(database, "ping", away)
    assert told("glance_store_draining") == [1, 0], "a database that hangs is not waited for"
