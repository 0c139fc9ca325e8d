"""An outage is told when it begins, each hour, and when it ends: not each time that it is noticed."""

from __future__ import annotations

import logging
from collections.abc import Callable

import pytest

from glancecore.domain import errors
from glancecore.kernel import outages
from glancecore.kernel.outages import Outage
from glancecore.kernel.transfer.store_facade import StoreFacade
from glancecore.kernel.transfer.store_settings import StoreSettings
from glancecore.ports.store import Store
from glancecore.testing.memory_store import MemoryStore
from glancecore.testing.store import make_store

Said = Callable[[], list[tuple[str, str]]]


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    now = [1000.0]
    monkeypatch.setattr(outages.time, "monotonic", lambda: now[0])
    return now


@pytest.fixture
def said(caplog: pytest.LogCaptureFixture) -> Said:
    caplog.set_level(logging.INFO)

    def lines() -> list[tuple[str, str]]:
        found = [
            (x.levelname, x.getMessage())
            for x in caplog.records
            if x.name in ("x", "glancecore.kernel.transfer.store_facade")
        ]
        caplog.clear()
        return found

    return lines


def test_one_line_an_hour(clock: list[float], said: Said) -> None:
    outage = Outage(logging.getLogger("x"), "store a")
    outage.ended()
    for _ in range(3):
        outage.began("no answer")
        clock[0] += 1000
    assert said() == [("ERROR", "store a is not available: no answer")]
    clock[0] += 1000
    outage.began("refused")
    outage.began("refused")
    assert said() == [("ERROR", "store a is still not available: refused")]
    outage.ended()
    outage.ended()
    assert said() == [("WARNING", "store a is available now")]
    outage.began("again")
    assert said() == [("ERROR", "store a is not available: again")]


def test_what_was_told_is_not_told_again(clock: list[float], said: Said) -> None:
    outage = Outage(logging.getLogger("x"), "store a", known=True)
    outage.began("no answer")
    assert said() == []
    outage.ended()
    assert said() == [("WARNING", "store a is available now")]


@pytest.mark.parametrize(
    "fault",
    [errors.StoreUnavailable("no answer", "slow"), errors.ConfigError("no such folder"), RuntimeError("whatever")],
)
def test_a_store_that_stays_away_is_told_once(clock: list[float], said: Said, fault: Exception) -> None:
    here = False

    def start() -> Store:
        if not here:
            raise fault
        return make_store(MemoryStore)

    store = StoreFacade(StoreSettings("slow", "memory", unavailable_because="away"), None, start)
    for _ in range(4):
        store.revive({}, 0)
        with pytest.raises(errors.StoreUnavailable):
            store.put("x", [b"x"])
        with pytest.raises(errors.StoreUnavailable):
            store.ping()
    assert said() == [], "its fault was told by the start"
    clock[0] += outages.REMINDER
    store.revive({}, 0)
    (line,) = said()
    assert line[0] == "ERROR"
    assert line[1].startswith("store slow is still not available: ")
    here = True
    store.revive({}, 0)
    store.ping()
    assert said() == [("WARNING", "store slow is available now")]


class Weak(MemoryStore):
    fault: Exception | None = None

    def ping(self) -> None:
        if self.fault:
            raise self.fault


@pytest.mark.parametrize("fault", [errors.StoreUnavailable("no answer", "slow"), RuntimeError("whatever")])
def test_one_that_goes_away_while_it_is_used(clock: list[float], said: Said, fault: Exception) -> None:
    driver = make_store(Weak)
    store = StoreFacade(StoreSettings("slow", "memory"), driver)
    store.ping()
    driver.fault = fault
    for _ in range(3):
        with pytest.raises(errors.StoreError):
            store.ping()
    (line,) = said()
    assert line[0] == "ERROR"
    assert line[1].startswith("store slow is not available: ")
    driver.fault = None
    store.ping()
    store.ping()
    assert said() == [("WARNING", "store slow is available now")]


def test_a_full_store_is_told_once_until_it_takes_data(said: Said) -> None:
    class Full(MemoryStore):
        full = True

        def put(self, key: str, chunks: object, size: int | None = None) -> str:
            if self.full:
                raise errors.StoreFull("no room", "slow", "put")
            return super().put(key, chunks, size)  # type: ignore[arg-type]

    driver = make_store(Full)
    store = StoreFacade(StoreSettings("slow", "memory"), driver)
    for _ in range(3):
        with pytest.raises(errors.StoreFull):
            store.put("x", [b"x"])
    assert said() == [("ERROR", "store slow takes no data: no room")]
    driver.full = False
    store.put("x", [b"x"])
    driver.full = True
    with pytest.raises(errors.StoreFull):
        store.put("y", [b"x"])
    assert said() == [("ERROR", "store slow takes no data: no room")]
