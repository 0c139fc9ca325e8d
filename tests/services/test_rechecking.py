"""Damaged copies that are read anew: each once at a time, as they are when their turn comes."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from glancecore_store_file.driver import FileStore
from waiting import until

from glancecore.domain.image import Location, LocationStatus
from glancecore.features.copies import rechecking
from glancecore.features.copies.rechecking import Rechecking
from glancecore.features.copies.use_cases import Copies
from glancecore.kernel.leases import Leases
from glancecore.kernel.notifications import Notifications
from glancecore.kernel.transfer.store_facade import StoreFacade
from glancecore.kernel.transfer.store_settings import StoreSettings
from glancecore.kernel.transfer.stores import Stores
from glancecore.kernel.writer import Writer
from glancecore.ports.repository import ImageAdded, ImageChanged, ImageRemoved
from glancecore.testing import _store_process
from glancecore.testing.examples import after, make_image, saved, with_data
from glancecore.testing.fakes import MemoryDatabase

DATA = b"data"


class SlowStore(FileStore):
    """Notes what is read; a reading goes on when it may. What is read is wrong unless it is ``good``."""

    def prepare(self) -> None:
        self.read: list[str] = []
        self.begun, self.go_on = threading.Semaphore(0), threading.Semaphore(0)
        self.good: set[str] = set()

    def open(self, url: str, _offset: int = 0, _length: int | None = None) -> Iterator[bytes]:
        key = url.rpartition("/")[2]
        self.read.append(key)
        self.begun.release()
        assert self.go_on.acquire(timeout=30)
        yield from (DATA[x : x + 1] for x in range(len(DATA))) if key in self.good else [b"evil"]


class Place:
    def __init__(self, folder: Path) -> None:
        self.database = MemoryDatabase()
        self.store: SlowStore = _store_process.build(SlowStore, "fast", {"filesystem_store_datadir": str(folder)})
        self.store.prepare()
        self.store.create()
        self.store.start()
        self.stores = Stores([StoreFacade(StoreSettings("fast", "file"), self.store)], "fast")
        self.begin()

    def begin(self) -> None:
        leases = Leases(self.database.images, 60)
        self.rechecking = Rechecking(
            self.database,
            self.stores,
            Copies(self.database.images, self.stores, leases, Writer(self.database.images, Notifications({}))),
            "this process",
        )

    def damaged(self, name: str, owner: str = "ours") -> str:
        image = replace(
            with_data(make_image(owner=owner), len(DATA)),
            hash_algo="sha256",
            hash_value=hashlib.sha256(DATA).hexdigest(),
            locations=(Location(self.store.put(name, [DATA]), "fast", status=LocationStatus.DAMAGED),),
        )
        self.database.images.commit(ImageAdded(image))
        return image.id

    def ask(self, image_id: str) -> None:
        self.rechecking.image(self.database.images.get_any(image_id))


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    made = Place(tmp_path)
    yield made
    made.store.go_on.release(100)
    made.rechecking.stop()


def read_on(place: Place, times: int) -> None:
    """Each reading that finds other bytes is done twice."""
    for _ in range(times):
        assert place.store.begun.acquire(timeout=30)
        place.store.go_on.release()


def test_an_image_that_waits_or_is_read_is_not_asked_for_again(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """However long it takes: the time that it rests counts from its end."""
    monkeypatch.setattr(rechecking, "REST", 0.0)
    one, two, three = (place.damaged(x) for x in ("one", "two", "three"))
    for image_id in (one, two, one, two, three, two, one):
        place.ask(image_id)
    read_on(place, 5)
    assert place.store.begun.acquire(timeout=30)
    assert place.store.read == ["one", "one", "two", "two", "three", "three"]
    place.ask(one)
    place.store.go_on.release()
    read_on(place, 1)
    assert place.store.read[6:] == ["one"], "what is done may be asked for again"


def test_images_are_read_for_the_projects_in_turn(place: Place) -> None:
    """Who brings many waits behind his own."""
    many = [place.damaged(f"many-{x}") for x in range(3)]
    place.ask(many[0])
    assert place.store.begun.acquire(timeout=30)
    for image_id in (*many[1:], place.damaged("theirs", "theirs")):
        place.ask(image_id)
    place.store.go_on.release()
    read_on(place, 7)
    assert place.store.read == [x for x in ("many-0", "many-1", "theirs", "many-2") for _ in range(2)]


def test_one_project_leaves_others_room_to_wait(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rechecking, "_REMEMBERED", 8)
    monkeypatch.setattr(rechecking, "_FOR_STORES", 1)
    place.begin()
    place.ask(place.damaged("first"))
    assert place.store.begun.acquire(timeout=30)
    for x in range(6):
        place.ask(place.damaged(f"many-{x}"))
    assert len(place.rechecking._images) == 5, "half of those that wait, and the one that is read"
    place.ask(place.damaged("theirs", "theirs"))
    assert len(place.rechecking._images) == 6


def test_an_image_rests_after_its_work(place: Place) -> None:
    one, two = place.damaged("one"), place.damaged("two")
    place.ask(one)
    read_on(place, 2)
    place.ask(two)
    read_on(place, 1)  # the first one is done
    place.ask(one)
    read_on(place, 1)
    until(lambda: place.rechecking._images == set())
    assert place.store.read == ["one", "one", "two", "two"]


def test_what_is_mended_or_deleted_while_it_waits_is_not_read(place: Place) -> None:
    one, two, three, four = (place.damaged(x) for x in ("one", "two", "three", "four"))
    for image_id in (one, two, three, four):
        place.ask(image_id)
    assert place.store.begun.acquire(timeout=30)
    images = place.database.images
    now = images.get_any(two)
    images.commit(
        ImageChanged(now, saved(now, locations=tuple(replace(x, status=LocationStatus.ACTIVE) for x in now.locations)))
    )
    images.commit(ImageRemoved(images.get_any(three), after(1)))
    place.store.go_on.release()
    read_on(place, 3)
    assert place.store.read == ["one", "one", "four", "four"]


def test_a_store_that_comes_back_often_waits_once(place: Place) -> None:
    one, two = place.damaged("one"), place.damaged("two")
    place.store.good = {"two"}
    place.ask(one)
    assert place.store.begun.acquire(timeout=30)
    for _ in range(3):
        place.rechecking.store("fast")
    assert sum(map(len, place.rechecking._workers._queues.values())) == 1
    place.store.go_on.release(100)
    until(lambda: [x.status for x in place.database.images.get_any(two).locations] == [LocationStatus.ACTIVE])


def test_the_hold_on_a_store_is_renewed_while_one_image_is_read(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rechecking, "_TTL", 0.0)
    one = place.damaged("one")
    place.store.good = {"one"}
    place.rechecking.store("fast")
    assert place.store.begun.acquire(timeout=30)
    held: list[str] = []
    real = place.database.jobs.hold

    def hold(name: str, holder: str, ttl: float) -> bool:
        held.append(name)
        return real(name, holder, ttl)

    monkeypatch.setattr(place.database.jobs, "hold", hold)
    place.store.go_on.release()
    until(lambda: [x.status for x in place.database.images.get_any(one).locations] == [LocationStatus.ACTIVE])
    assert held[: len(DATA)] == ["recheck:fast"] * len(DATA)


def test_another_process_that_took_a_store_over_has_it(
    place: Place, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(rechecking, "_TTL", 0.0)
    one = place.damaged("one")
    place.store.good = {"one"}
    place.rechecking.store("fast")
    assert place.store.begun.acquire(timeout=30)
    until(lambda: place.database.jobs.hold("recheck:fast", "another process", 600))
    place.store.go_on.release()
    until(lambda: "another process reads store fast now" in caplog.text)
    assert [x.status for x in place.database.images.get_any(one).locations] == [LocationStatus.DAMAGED]
