"""A store is used only where its data is: its places have markers, and the database knows them."""

from __future__ import annotations

import gc
import json
import shutil
import threading
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
from pathlib import Path

import pytest
from glancecore_store_file.driver import FileStore
from glancecore_store_file.folder import Folder
from glancecore_store_http.driver import HttpStore

from glancecore import conf as configuration
from glancecore.assembly.stores import load_stores
from glancecore.domain import errors
from glancecore.domain.image import Location
from glancecore.kernel.transfer.places import Places, survey
from glancecore.kernel.transfer.store_facade import StoreFacade
from glancecore.kernel.transfer.store_settings import StoreSettings
from glancecore.ports.place_repository import StorePlaces
from glancecore.ports.repository import ImageAdded
from glancecore.ports.store import MARKER, Store
from glancecore.testing import _store_process
from glancecore.testing.examples import make_image
from glancecore.testing.fakes import MemoryDatabase


@pytest.fixture
def database() -> MemoryDatabase:
    return MemoryDatabase()


@pytest.fixture
def places(database: MemoryDatabase) -> Places:
    return Places(database.places)


def made(*folders: Path, name: str = "fast") -> Store:
    option = (
        {"filesystem_store_datadir": str(folders[0])}
        if len(folders) == 1
        else {"filesystem_store_datadirs": [str(x) for x in folders]}
    )
    return _store_process.build(FileStore, name, option)


def started(places: Places, *folders: Path, name: str = "fast", read_only: bool = False) -> Store:
    store = made(*folders, name=name)
    places.start(store, read_only=read_only)
    return store


def marker(folder: Path) -> dict[str, str]:
    found: dict[str, str] = json.loads((folder / MARKER).read_bytes())
    return found


def expected(database: MemoryDatabase, store: str = "fast") -> list[str]:
    record = database.places.get(store)
    return [x.id for x in record.places] if record else []


def image_in(database: MemoryDatabase, url: str, store: str = "fast") -> None:
    database.images.commit(ImageAdded(make_image(locations=(Location(url, store),))))


def says(exc: BaseException) -> str:
    assert isinstance(exc, errors.GlanceError)
    assert "/" not in str(exc) or isinstance(exc, errors.ConfigError), "users may read it"
    return errors.for_operators(exc)


def unmount(folder: Path) -> Path:
    """What lies below a mount point is an empty folder; where its disk is now."""
    disk = folder.rename(folder.with_suffix(".disk"))
    folder.mkdir()
    return disk


def mount(disk: Path) -> None:
    folder = disk.with_suffix("")
    folder.rmdir()
    disk.rename(folder)


def missing(places: Places, *folders: Path, read_only: bool = False) -> str:
    with pytest.raises(errors.StoreUnavailable) as told:
        started(places, *folders, read_only=read_only)
    return says(told.value)


# -- the first use ---------------------------------------------------------------------------------
def test_the_first_use_marks_and_records(database: MemoryDatabase, places: Places, tmp_path: Path) -> None:
    store = started(places, tmp_path / "one")
    found = marker(tmp_path / "one")
    assert found["store"] == "fast"
    assert expected(database) == [found["place"]]
    started(places, tmp_path / "one")
    started(Places(database.places), tmp_path / "one")
    assert marker(tmp_path / "one") == found
    assert list(store.list()) == []


def test_each_of_several_places_has_its_own(database: MemoryDatabase, places: Places, tmp_path: Path) -> None:
    folders = [tmp_path / x for x in ("one", "two")]
    started(places, *folders)
    assert sorted(marker(x)["place"] for x in folders) == expected(database)
    assert len(set(expected(database))) == 2
    unmount(folders[1])
    assert "two: there is no .glance-store" in missing(places, *folders)


def test_a_place_that_is_added_is_marked_and_one_that_is_left_out_is_missed(
    database: MemoryDatabase, places: Places, tmp_path: Path
) -> None:
    folders = [tmp_path / x for x in ("one", "two")]
    started(places, folders[0])
    folders[1].mkdir()
    started(places, *folders)
    assert sorted(marker(x)["place"] for x in folders) == expected(database)
    told = missing(places, folders[0])
    assert marker(folders[1])["place"] in told
    assert "none of those that are configured" in told


def test_nodes_that_start_at_once_agree(database: MemoryDatabase, tmp_path: Path) -> None:
    with ThreadPoolExecutor(6) as pool:
        list(pool.map(lambda _: started(Places(database.places), tmp_path / "one"), range(6)))
    assert expected(database) == [marker(tmp_path / "one")["place"]]


def test_the_second_of_two_nodes_with_folders_of_their_own_is_refused(database: MemoryDatabase, tmp_path: Path) -> None:
    started(Places(database.places), tmp_path / "one")
    (tmp_path / "two").mkdir()
    assert "is it mounted?" in missing(Places(database.places), tmp_path / "two")
    assert not (tmp_path / "two" / MARKER).exists()


def test_of_two_such_nodes_that_start_at_once_one_is_refused(database: MemoryDatabase, tmp_path: Path) -> None:
    def work(name: str) -> str:
        try:
            started(Places(database.places), tmp_path / name)
        except (errors.StoreUnavailable, errors.ConfigError) as exc:
            return says(exc)
        return ""

    with ThreadPoolExecutor(2) as pool:
        told = list(pool.map(work, ["one", "two"]))
    assert sorted(map(bool, told)) == [False, True]
    assert len(expected(database)) == 1


def test_one_place_for_two_stores_is_refused_as_such(database: MemoryDatabase, tmp_path: Path) -> None:
    file = tmp_path / "glance-api.conf"
    file.write_text(
        "[DEFAULT]\nenabled_backends = fast:file, twin:file\nenabled_import_methods =\n[glance_store]\ndefault_backend"
        f" = fast\n[fast]\nfilesystem_store_datadir = {tmp_path}/one\n[twin]\nfilesystem_store_datadir ="
        f" {tmp_path}/one\n"
    )
    with pytest.raises(errors.ConfigError, match="same place"):
        load_stores(configuration.new(files=[str(file)]), database)


# -- what is expected is not there -----------------------------------------------------------------
def test_a_place_without_its_disk_is_not_used_until_it_is_back(
    database: MemoryDatabase, places: Places, tmp_path: Path
) -> None:
    url = started(places, tmp_path / "one").put("kept", [b"kept"])
    disk = unmount(tmp_path / "one")
    told = missing(places, tmp_path / "one")
    assert (
        told == f"store fast is not available: its data is not there: [fast] filesystem_store_datadir = {tmp_path}/one:"
        f" there is no .glance-store, which place {expected(database)[0]}, last at file://{tmp_path}/one, of this"
        " store has: is it mounted? Mount it, or name the right place; when the data was moved on purpose, or is"
        " gone for good, run: glance-manage store adopt fast"
    )
    assert list((tmp_path / "one").iterdir()) == [], "nothing is written on the disk below"
    mount(disk)
    assert b"".join(started(places, tmp_path / "one").open(url)) == b"kept"


def test_a_folder_that_is_expected_is_not_made(places: Places, tmp_path: Path) -> None:
    started(places, tmp_path / "one")
    shutil.rmtree(tmp_path / "one")
    assert f"[fast] filesystem_store_datadir: {tmp_path}/one is not there: is it mounted?" in missing(
        places, tmp_path / "one"
    )
    assert not (tmp_path / "one").exists()


def test_another_place_is_refused_and_both_are_named(database: MemoryDatabase, places: Places, tmp_path: Path) -> None:
    started(places, tmp_path / "one")
    other = MemoryDatabase()
    started(Places(other.places), tmp_path / "two", name="cheap")
    with pytest.raises(errors.ConfigError) as told:
        started(places, tmp_path / "two")
    for text in (
        *expected(database),
        *expected(other, "cheap"),
        "store cheap",
        f"last at file://{tmp_path}/one",
        "[fast] filesystem_store_datadir",
    ):
        assert text in str(told.value)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"x",
        b"[]",
        b"{}",
        b'{"place": 1, "store": "fast"}',
        b'{"place": "", "store": "fast"}',
        b" " * 5000,
        b"\xff",
    ],
)
def test_what_is_no_marker_is_refused(places: Places, tmp_path: Path, content: bytes) -> None:
    (tmp_path / "one").mkdir()
    (tmp_path / "one" / MARKER).write_bytes(content)
    with pytest.raises(
        errors.ConfigError, match=r"\[fast\] filesystem_store_datadir = .*: .glance-store there is no marker"
    ):
        started(places, tmp_path / "one")


def test_a_copy_of_a_place_is_no_second_one(places: Places, tmp_path: Path) -> None:
    started(places, tmp_path / "one")
    shutil.copytree(tmp_path / "one", tmp_path / "two")
    with pytest.raises(errors.ConfigError, match="one is a copy of the other"):
        started(places, tmp_path / "one", tmp_path / "two")


# -- nothing is recorded ---------------------------------------------------------------------------
def test_a_fresh_database_takes_the_marker_of_this_store(tmp_path: Path) -> None:
    first, second = MemoryDatabase(), MemoryDatabase()
    for database in (first, second):
        started(Places(database.places), tmp_path / "one")
    assert expected(first) == expected(second) == [marker(tmp_path / "one")["place"]]


def test_a_fresh_database_refuses_the_marker_of_another_store(
    database: MemoryDatabase, places: Places, tmp_path: Path
) -> None:
    started(Places(MemoryDatabase().places), tmp_path / "one", name="cheap")
    with pytest.raises(errors.ConfigError, match=r"a place of store cheap.*glance-manage store adopt fast"):
        started(places, tmp_path / "one")
    assert expected(database) == []


def test_images_that_were_there_before_must_be_there(database: MemoryDatabase, places: Places, tmp_path: Path) -> None:
    """An upgrade, a deployment of Glance that was taken over: its mount may be missing right at that time."""
    folder = tmp_path / "one"
    for key in ("a", "b"):
        image_in(database, f"file://{folder}/{key}")
    assert "is not there: is it mounted?" in missing(places, folder)
    assert not folder.exists()
    folder.mkdir()
    told = missing(places, folder)
    assert "none of 2 that were looked for is there: is it mounted?" in told
    assert "glance-manage store adopt --force fast" in told
    assert expected(database) == []
    (folder / "b").write_bytes(b"")
    started(places, folder)
    assert expected(database) == [marker(folder)["place"]]


# -- stores that are not written to ----------------------------------------------------------------
def test_a_store_that_is_only_read_gets_no_marker(database: MemoryDatabase, places: Places, tmp_path: Path) -> None:
    started(places, tmp_path / "one", read_only=True)
    assert not (tmp_path / "one" / MARKER).exists()
    assert expected(database) == []
    started(places, tmp_path / "one")
    started(places, tmp_path / "one", read_only=True)
    unmount(tmp_path / "one")
    assert "is it mounted?" in missing(places, tmp_path / "one", read_only=True)


def test_a_store_without_markers_is_started(database: MemoryDatabase, places: Places) -> None:
    places.start(_store_process.build(HttpStore, "web", {}))
    assert expected(database, "web") == []


@pytest.mark.parametrize("refusal", [errors.StoreFull, errors.StoreForbidden, errors.StoreReadOnly])
def test_a_store_that_takes_no_marker_is_used_without_until_it_does(
    database: MemoryDatabase,
    places: Places,
    tmp_path: Path,
    refusal: type[errors.StoreError],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """An upgrade of a full store, or of one whose login may only read."""
    folders = [tmp_path / x for x in ("one", "two")]
    for folder in folders:
        folder.mkdir()
    (folders[0] / "a").write_bytes(b"kept")
    image_in(database, f"file://{folders[0]}/a")

    def refused(*_args: object) -> bytes:
        raise refusal("no")

    with monkeypatch.context() as patch:
        patch.setattr(Folder, "mark", refused)
        store = started(places, *folders)
        places.check(store)
        assert b"".join(store.open(f"file://{folders[0]}/a")) == b"kept"
        assert expected(database) == []
        assert [x.levelname for x in caplog.records if "gets no marker" in x.getMessage()] == [
            "WARNING",
            "WARNING",
        ], "once for each place"
        with pytest.raises(refusal):
            places.adopt(store)
    places.check(store)
    assert sorted(marker(x)["place"] for x in folders) == expected(database)


def test_one_full_folder_of_several_stays_unmarked(
    database: MemoryDatabase, places: Places, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folders = [tmp_path / x for x in ("one", "two")]
    real = Folder.mark

    def full(folder: Folder, content: bytes) -> bytes:
        if folder.path == folders[0]:
            raise errors.StoreFull("no")
        return real(folder, content)

    monkeypatch.setattr(Folder, "mark", full)
    for _ in range(2):
        started(places, *folders)
        assert expected(database) == [marker(folders[1])["place"]]


# -- while it runs ---------------------------------------------------------------------------------
def facade(places: Places, folder: Path) -> StoreFacade:
    return StoreFacade(
        StoreSettings("fast", "file"), started(places, folder), lambda: started(places, folder), places.check
    )


def test_a_ping_finds_that_the_data_is_away_and_it_comes_back(places: Places, tmp_path: Path) -> None:
    store = facade(places, tmp_path / "one")
    url = store.put("kept", [b"kept"]).url
    store.ping()
    (tmp_path / "one" / MARKER).rename(tmp_path / "aside")
    with pytest.raises(errors.StoreUnavailable):
        store.ping()
    assert not store.available
    assert "is it mounted?" in str(store.unavailable_because)
    with pytest.raises(errors.StoreUnavailable):
        store.put("new", [b"new"])
    store.revive({}, 0)
    assert not store.available
    (tmp_path / "aside").rename(tmp_path / "one" / MARKER)
    store.revive({}, 0)
    assert store.available
    assert b"".join(store.open(url)) == b"kept"
    store.ping()


class Closing(FileStore):
    """Counts how often it is closed; a ping waits as long as it should."""

    def prepare(self) -> Closing:
        self.closed = 0
        self.begun, self.go_on = threading.Semaphore(0), threading.Semaphore(1)
        return self

    def ping(self) -> None:
        self.begun.release()
        assert self.go_on.acquire(timeout=30)
        super().ping()

    def close(self) -> None:
        self.closed += 1
        super().close()


def test_a_driver_that_is_left_is_closed_behind_its_last_transfer(places: Places, tmp_path: Path) -> None:
    old = _store_process.build(
        Closing, "fast", {"filesystem_store_datadir": str(tmp_path / "one"), "filesystem_store_chunk_size": 1}
    ).prepare()
    places.start(old)
    store = StoreFacade(StoreSettings("fast", "file"), old, lambda: started(places, tmp_path / "one"), places.check)
    url = store.put("kept", [b"kept"]).url
    reading, unread = store.open(url), store.open(url)
    assert next(reading)
    (tmp_path / "one" / MARKER).rename(tmp_path / "aside")
    with pytest.raises(errors.PlaceMissing):
        store.ping()
    gc.collect()
    assert old.closed == 0
    (tmp_path / "aside").rename(tmp_path / "one" / MARKER)
    assert store.revive({}, 0)
    assert b"".join(reading) == b"ept"
    del reading
    gc.collect()
    assert old.closed == 0
    del unread
    gc.collect()
    assert old.closed == 1
    assert b"".join(store.open(url)) == b"kept"


def test_a_late_ping_does_not_end_what_was_started_since(places: Places, tmp_path: Path) -> None:
    old = _store_process.build(Closing, "fast", {"filesystem_store_datadir": str(tmp_path / "one")}).prepare()
    places.start(old)
    store = StoreFacade(StoreSettings("fast", "file"), old, lambda: started(places, tmp_path / "one"), places.check)
    (tmp_path / "one" / MARKER).rename(tmp_path / "aside")
    with ThreadPoolExecutor(2) as pool:
        old.go_on.acquire()
        pings = [pool.submit(store.ping) for _ in range(2)]
        for _ in pings:
            assert old.begun.acquire(timeout=30)
        old.go_on.release()
        [first], _ = wait(pings, 30, FIRST_COMPLETED)
        with pytest.raises(errors.PlaceMissing):
            first.result()
        assert not store.available
        (tmp_path / "aside").rename(tmp_path / "one" / MARKER)
        assert store.revive({}, 0)
        (tmp_path / "one" / MARKER).rename(tmp_path / "aside")
        old.go_on.release()
        [late] = [x for x in pings if x is not first]
        with pytest.raises(errors.StoreUnavailable, match="started anew"):
            late.result(30)
    assert store.available


def test_a_disk_that_is_mounted_anew_is_the_same_place(places: Places, tmp_path: Path) -> None:
    """Its numbers may be others; a running service goes on when the marker is the same."""
    store = facade(places, tmp_path / "one")
    url = store.put("kept", [b"kept"]).url
    shutil.copytree(tmp_path / "one", tmp_path / "copy")
    shutil.move(tmp_path / "one", tmp_path / "aside")
    (tmp_path / "one").mkdir()
    for operation in (lambda: store.put("new", [b"new"]), lambda: next(store.open(url)), store.ping):
        with pytest.raises(errors.StoreUnavailable):
            operation()
    (tmp_path / "one").rmdir()
    shutil.move(tmp_path / "copy", tmp_path / "one")
    store.ping()
    assert b"".join(store.open(url)) == b"kept"
    store.put("new", [b"new"])
    assert (tmp_path / "one" / "new").exists()


def test_a_ping_asks_the_database_only_when_something_has_changed(
    database: MemoryDatabase, places: Places, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = facade(places, tmp_path / "one")

    def asked(*_args: object) -> StorePlaces:
        raise errors.DatabaseUnavailable("away")

    monkeypatch.setattr(database.places, "get", asked)
    store.ping()


# -- moved -----------------------------------------------------------------------------------------
def test_adopt_records_what_is_there(database: MemoryDatabase, places: Places, tmp_path: Path) -> None:
    started(places, tmp_path / "one").put("kept", [b"kept"])
    (tmp_path / "two").mkdir()
    shutil.copy(tmp_path / "one" / "kept", tmp_path / "two")
    store = made(tmp_path / "two")
    store.start()
    places.adopt(store)
    assert expected(database) == [marker(tmp_path / "two")["place"]]
    assert b"".join(started(places, tmp_path / "two").open(f"file://{tmp_path}/one/kept")) == b"kept"
    with pytest.raises(errors.ConfigError):
        started(places, tmp_path / "one")


def test_locations_survive_a_moved_folder(database: MemoryDatabase, places: Places, tmp_path: Path) -> None:
    urls = [started(places, tmp_path / "one").put("a", [b"a"])]
    for before, now in (("one", "two"), ("two", "th ree")):
        (tmp_path / before).rename(tmp_path / now)
        store = started(places, tmp_path / now)
        urls.append(store.put(now[:2], [b"a"]))
    urls += [f"file://{tmp_path}/one/a", f"filesystem://{tmp_path}/two/tw"]
    store = started(Places(database.places), tmp_path / "th ree")
    for url in urls:
        assert b"".join(store.open(url)) == b"a"
        assert store.canonical(url) == f"file://{tmp_path}/th%20ree/{url.rpartition('/')[2]}"
    store.delete(urls[0])
    assert sorted(x.key for x in store.list()) == ["th", "tw"]
    for bad in (
        f"file://{tmp_path}/four/a",
        f"file://{tmp_path}/one/../one/tw",
        f"file://{tmp_path}/on%65/tw",
        f"file://{tmp_path}/one/{MARKER}",
    ):
        with pytest.raises(errors.BadLocation):
            store.open(bad)


def test_a_former_address_is_not_taken_from_the_folder_that_is_there_now(places: Places, tmp_path: Path) -> None:
    started(places, tmp_path / "one").put("a", [b"first"])
    (tmp_path / "one").rename(tmp_path / "two")
    (tmp_path / "one").mkdir()
    store = started(places, tmp_path / "two", tmp_path / "one")
    assert len(survey(store)) == 2
    with pytest.raises(errors.BlobNotFound):
        store.open(f"file://{tmp_path}/one/a")


def test_the_place_of_another_store_and_its_copy_are_not_adopted(
    database: MemoryDatabase, places: Places, tmp_path: Path
) -> None:
    """Two stores that are one delete each other's data."""
    started(places, tmp_path / "one").put("kept", [b"kept"])
    shutil.copytree(tmp_path / "one", tmp_path / "copy")
    for folder in ("one", "copy"):
        store = made(tmp_path / folder, name="other")
        store.start()
        for act in (places.adopt, places.compare):
            with pytest.raises(
                errors.ConfigError,
                match=r"a place of store fast, or a copy.*remove .glance-store from it.*store forget fast",
            ) as told:
                act(store)
            assert "store adopt" not in str(told.value)
    assert expected(database, "other") == []
    (tmp_path / "copy" / MARKER).unlink()
    places.adopt(store)
    assert expected(database, "other") == [marker(tmp_path / "copy")["place"]]


def test_a_store_with_a_new_name_is_adopted_when_the_former_one_is_forgotten(
    database: MemoryDatabase, places: Places, tmp_path: Path
) -> None:
    started(places, tmp_path / "one")
    before = expected(database)
    database.places.replace("fast", database.places.get("fast"), None)
    store = made(tmp_path / "one", name="new")
    store.start()
    places.adopt(store)
    assert expected(database, "new") == before
