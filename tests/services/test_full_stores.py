"""A full or unwritable store says so, and data for a full default store may go to another one."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from pathlib import Path

import pytest
from prometheus_client import REGISTRY

from glancecore import conf as configuration
from glancecore.assembly.stores import load_stores
from glancecore.domain import errors
from glancecore.http.health import Health
from glancecore.kernel.transfer.store_facade import StoreFacade
from glancecore.kernel.transfer.store_settings import StoreSettings
from glancecore.kernel.transfer.stores import Stores
from glancecore.testing.fakes import MemoryDatabase
from glancecore.testing.memory_store import MemoryStore
from glancecore.testing.store import make_store


class SmallStore(MemoryStore):
    room: int | None = None
    refusal: errors.StoreError | None = None

    def free(self) -> int | None:
        return self.room

    def put(self, key: str, chunks: Iterable[bytes], size: int | None = None) -> str:
        if self.refusal is not None:
            raise self.refusal
        return super().put(key, chunks, size)


def facade(store_id: str, room: int | None = None, *, read_only: bool = False) -> tuple[StoreFacade, SmallStore]:
    store = make_store(SmallStore, store_id)
    store.room = room
    return StoreFacade(StoreSettings(store_id, "memory", read_only=read_only), store), store


def writable(stores: Stores) -> dict[str, float | None]:
    Health(MemoryDatabase(), stores).report()
    return {x: REGISTRY.get_sample_value("glance_store_writable", {"store": x}) for x in stores.ids}


def test_the_metric_tells_whether_stores_take_data() -> None:
    away = StoreFacade(StoreSettings("away", "memory", unavailable_because="away"), None)
    stores = Stores(
        [facade("good")[0], facade("empty", 10)[0], facade("full", 0)[0], facade("read", read_only=True)[0], away],
        "good",
    )
    assert writable(stores) == {"good": 1, "empty": 1, "full": 0, "read": 0, "away": 0}


@pytest.mark.parametrize("refusal", [errors.StoreFull("no room"), errors.StoreForbidden("no rights")])
def test_a_store_that_refuses_data_is_told_until_it_takes_some(
    refusal: errors.StoreError, caplog: pytest.LogCaptureFixture
) -> None:
    store, driver = facade("good")
    stores = Stores([store], "good")
    driver.refusal = refusal
    with pytest.raises(type(refusal)):
        store.put("a", [b"x"])
    assert [(x.levelno, x.getMessage()) for x in caplog.records] == [
        (logging.ERROR, f"store good takes no data: {refusal}")
    ]
    assert REGISTRY.get_sample_value("glance_store_writable", {"store": "good"}) == 0
    assert writable(stores) == {"good": 0}
    driver.refusal = None
    store.put("a", [b"x"])
    assert writable(stores) == {"good": 1}


def chosen(stores: Stores, store_id: str | None = None, size: int | None = None) -> str:
    return stores.for_data(store_id, size).id


def test_data_for_a_full_default_store_goes_to_a_fallback() -> None:
    one, driver = facade("one", 5)
    read, _ = facade("read", 100, read_only=True)
    two, three = facade("two", 10)[0], facade("three")[0]
    every = [one, read, two, three]
    stores = Stores(every, "one", fallbacks=["read", "two", "three"])
    assert [chosen(stores, size=x) for x in (None, 5, 6, 11)] == ["one", "one", "two", "three"]
    assert chosen(stores, "one", 6) == "one", "whoever names a store gets it, or its refusal"
    assert chosen(Stores(every, "one"), size=6) == "one", "unless the operator wants it"
    driver.room = None
    assert chosen(stores, size=11) == "one"
    driver.refusal = errors.StoreFull("over quota")
    with pytest.raises(errors.StoreFull):
        one.put("a", [b"x"])
    assert chosen(stores, size=1) == "two"


def test_when_all_are_full_the_default_store_refuses() -> None:
    stores = Stores([facade("one", 0)[0], facade("two", 0)[0]], "one", fallbacks=["two"])
    assert chosen(stores, size=1) == "one"


def test_a_default_store_that_is_away_has_no_fallback() -> None:
    stores = Stores([StoreFacade(StoreSettings("one", "memory"), None), facade("two")[0]], "one", fallbacks=["two"])
    assert chosen(stores) == "one"


@pytest.mark.parametrize(
    ("fallbacks", "says"), [("two", "two is no store; name others of three"), ("one", "one is the default store")]
)
def test_a_fallback_that_is_none_stops_the_start(tmp_path: Path, fallbacks: str, says: str) -> None:
    file = tmp_path / "glance-api.conf"
    file.write_text(
        "[DEFAULT]\nenabled_backends = one:file, three:file\nenabled_import_methods =\n[glance_store]\ndefault_backend"
        f" = one\nfallback_stores = {fallbacks}\n[one]\nfilesystem_store_datadir ="
        f" {tmp_path}/one\n[three]\nfilesystem_store_datadir = {tmp_path}/3\n"
    )
    with pytest.raises(errors.ConfigError, match=says):
        load_stores(configuration.new(files=[str(file)]))
