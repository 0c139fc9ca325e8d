"""A store that was not available is started when what was wrong has passed."""

from __future__ import annotations

import pytest

from glancecore.domain import errors
from glancecore.kernel.transfer import store_facade, stores
from glancecore.kernel.transfer.store_facade import StoreFacade
from glancecore.kernel.transfer.store_settings import StoreSettings
from glancecore.kernel.transfer.stores import Stores
from glancecore.ports.store import Store
from glancecore.testing.memory_store import MemoryStore
from glancecore.testing.store import make_store


class Away:
    """Starts at the ``number``th try."""

    def __init__(self, number: int, fault: Exception) -> None:
        self.left = number
        self.fault = fault

    def __call__(self) -> Store:
        self.left -= 1
        if self.left:
            raise self.fault
        return make_store(MemoryStore)


@pytest.mark.parametrize(
    "fault",
    [
        errors.StoreUnavailable("away", "slow"),
        errors.ConfigError("no such folder"),
        RuntimeError("whatever a plugin raises"),
    ],
)
def test_it_is_tried_until_it_starts(fault: Exception) -> None:
    store = StoreFacade(StoreSettings("slow", "memory", unavailable_because="away"), None, Away(3, fault))
    for _ in range(2):
        store.revive({}, 0)
        assert not store.available
        with pytest.raises(errors.StoreUnavailable):
            store.put("x", [b"x"])
    store.revive({}, 0)
    assert store.available
    assert b"".join(store.open(store.put("x", [b"x"]).url)) == b"x"


def test_it_is_not_tried_all_the_time(monkeypatch: pytest.MonkeyPatch) -> None:
    away = Away(1, RuntimeError())
    store = StoreFacade(StoreSettings("slow", "memory"), None, away)
    every = Stores([StoreFacade(StoreSettings("fast", "memory"), make_store(MemoryStore))], "fast", store)
    every.revive()
    assert not store.available, "it has failed just now"
    monkeypatch.setattr(store_facade.time, "monotonic", lambda: store._tried + stores._REVIVAL)
    every.revive()
    assert store.available
    assert away.left == 0


def test_one_that_can_not_be_started_stays_away() -> None:
    store = StoreFacade(StoreSettings("slow", "memory", unavailable_because="its plugin is broken"), None)
    store.revive({}, 0)
    assert not store.available


def test_one_that_lies_where_another_does_stays_away() -> None:
    """Deleting in one would destroy the other's data."""
    fast = StoreFacade(StoreSettings("fast", "memory"), make_store(MemoryStore, memory_store_place="here"))
    slow = StoreFacade(
        StoreSettings("slow", "memory", unavailable_because="away"),
        None,
        lambda: make_store(MemoryStore, memory_store_place="here"),
    )
    every = Stores([fast, slow], "fast")
    for _ in range(2):
        every.revive(0)
        assert [x.available for x in every] == [True, False]
