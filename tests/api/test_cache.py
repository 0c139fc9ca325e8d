"""The cache API, and downloads through the cache: who gets what from it, and what happens when it is broken."""

from __future__ import annotations

import hashlib
import os
import threading
import time
import uuid
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from api import Person
from conftest import built

from glancecore.assembly.lifecycle import Service
from glancecore.domain import errors
from glancecore.features.cache.extension import CacheExtension
from glancecore.features.cache.jobs import CacheCleaner, CacheJob, CachePrefetcher, WholeCacheCleaner
from glancecore.features.cache.nodes import CacheNodes
from glancecore.features.cache.use_cases import Caching
from glancecore.periodic.job_run import RunOutcome
from glancecore.periodic.runner import Scheduled
from glancecore.ports.cache import Fill
from glancecore.ports.periodic import job_options
from glancecore.ports.repository import ImageChanged
from glancecore.testing.settings import make_section

MIB = 1 << 20
NODE = "http://one.example:9292"
CALLS = (
    ("GET", "/v2/cache"),
    ("PUT", "/v2/cache/ID"),
    ("DELETE", "/v2/cache/ID"),
    ("DELETE", "/v2/cache"),
    ("GET", "/v2/cache/nodes/ID"),
    ("POST", "/v2/cache/clean"),
    ("POST", "/v2/cache/prune"),
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cached") / "cache"


@pytest.fixture(scope="module")
def service(folder: Path) -> Iterator[Service]:
    config = {
        "DEFAULT": {
            "image_cache_dir": folder,
            "image_cache_max_size": 20 * MIB,
            "hashing_algorithm": "sha256",
            "worker_self_reference_url": NODE,
        }
    }
    with built("sqlite", config) as made:
        assert made.of(CacheExtension).caching is not None
        made.machine.start()
        yield made


@pytest.fixture
def caching(service: Service) -> Caching:
    assert service.of(CacheExtension).caching is not None
    return service.of(CacheExtension).caching


@pytest.fixture
def owner(service: Service) -> Iterator[Person]:
    yield Person(service.app, f"p-{uuid.uuid4().hex[:6]}")
    assert Person(service.app, "admins", "admin,member,reader").call("DELETE", "/v2/cache").status_code == 204


@pytest.fixture
def admin(service: Service) -> Person:
    return Person(service.app, "admins", "admin,member,reader")


def image(owner: Person, data: bytes) -> str:
    image_id = str(owner.create()["id"])
    assert owner.upload(image_id, data).status_code == 204
    return image_id


def download(person: Person, image_id: str, **headers: str) -> bytes:
    answer = person.call("GET", f"/v2/images/{image_id}/file", **headers)
    assert answer.status_code in (200, 206), answer.text
    return answer.data


def cached(admin: Person) -> dict[str, dict[str, Any]]:
    return {x["image_id"]: x for x in (admin.call("GET", "/v2/cache").json or {})["cached_images"]}


def until_cached(admin: Person, image_id: str) -> dict[str, Any]:
    end = time.monotonic() + 20
    while image_id not in cached(admin):
        assert time.monotonic() < end, "it is not cached"
        time.sleep(0.02)
    return cached(admin)[image_id]


def stored(service: Service, image_id: str) -> Path:
    """The file in the store."""
    location = service.database.images.get_any(image_id).locations[0]
    return Path(location.url.removeprefix("file://"))


def entry(folder: Path, image_id: str) -> Path:
    (found,) = (x for x in (folder / "data").glob(f"{image_id}.*") if x.suffix != ".fill")
    return found


# -- the API ---------------------------------------------------------------------------------------
@pytest.mark.parametrize(("method", "path"), CALLS)
def test_without_a_cache_it_is_not_there(method: str, path: str) -> None:
    with built("sqlite") as plain:
        answer = Person(plain.app, "admins", "admin,member,reader").call(method, path.replace("ID", str(uuid.uuid4())))
        assert (answer.status_code, (answer.json or {})["error"]) == (404, "not_enabled")


@pytest.mark.parametrize(("method", "path"), CALLS)
def test_admins_only(owner: Person, method: str, path: str) -> None:
    assert owner.call(method, path.replace("ID", owner.create()["id"])).status_code == 403


def test_versions(service: Service) -> None:
    rows = (Person(service.app).call("GET", "/versions").json or {})["versions"]
    assert rows[0]["id"] == "v2.18"
    assert rows[0]["status"] == "CURRENT"
    assert {"v2.14", "v2.16", "v2.18"} <= {x["id"] for x in rows}


def test_a_queued_image_is_cached_at_once(owner: Person, admin: Person) -> None:
    data = os.urandom(3 * MIB)
    image_id, before = image(owner, data), time.time()
    answer = admin.call("PUT", f"/v2/cache/{image_id}")
    assert (answer.status_code, answer.data) == (202, b"")
    row = until_cached(admin, image_id)
    assert row["size"] == len(data)
    assert row["hits"] == 0
    assert row["checksum"] == hashlib.md5(data).hexdigest()
    assert before <= row["last_modified"] <= row["last_accessed"] <= time.time()
    assert download(owner, image_id) == data
    assert cached(admin)[image_id]["hits"] == 1
    assert admin.call("PUT", f"/v2/cache/{image_id}").status_code == 202
    assert (admin.call("GET", "/v2/cache").json or {})["queued_images"] == []


def test_only_active_images_are_queued(owner: Person, admin: Person) -> None:
    assert admin.call("PUT", f"/v2/cache/{uuid.uuid4()}").status_code == 404
    answer = admin.call("PUT", f"/v2/cache/{owner.create()['id']}")
    assert answer.status_code == 400
    assert "active" in answer.text


def test_delete_one(owner: Person, admin: Person) -> None:
    image_id = image(owner, b"data")
    download(owner, image_id)
    until_cached(admin, image_id)
    for _ in range(2):  # an image that is not cached is fine
        assert admin.call("DELETE", f"/v2/cache/{image_id}").status_code == 204
    assert cached(admin) == {}
    assert admin.call("DELETE", f"/v2/cache/{uuid.uuid4()}").status_code == 404


@pytest.mark.parametrize(
    ("target", "cache", "queue"),
    [("cache", False, True), ("queue", True, False), ("", False, False), (None, False, False)],
)
def test_clear(service: Service, owner: Person, admin: Person, target: str | None, cache: bool, queue: bool) -> None:
    assert service.of(CacheExtension).caching is not None
    image_id, waiting = image(owner, b"data"), "no-such-image"
    download(owner, image_id)
    until_cached(admin, image_id)
    service.of(CacheExtension).caching._cache.driver.queue(
        waiting
    )  # behind the API's back: nothing that the prefetcher would take
    headers = {} if target is None else {"x_image_cache_clear_target": target}
    answer = admin.call("DELETE", "/v2/cache", **headers)
    assert answer.status_code == 204
    found = admin.call("GET", "/v2/cache").json or {}
    assert [bool(found["cached_images"]), bool(found["queued_images"])] == [cache, queue]


def test_clear_target_is_checked(admin: Person) -> None:
    answer = admin.call("DELETE", "/v2/cache", x_image_cache_clear_target="both")
    assert answer.status_code == 400
    assert "x-image-cache-clear-target" in answer.text


def test_clean_and_prune(owner: Person, admin: Person, folder: Path) -> None:
    download(owner, image(owner, b"data"))
    (folder / "data" / "litter.00").write_bytes(b"litter")
    answer = admin.call("POST", "/v2/cache/clean")
    assert (answer.status_code, answer.data) == (200, b"")
    assert not (folder / "data" / "litter.00").exists()
    answer = admin.call("POST", "/v2/cache/prune")
    assert answer.status_code == 200
    assert answer.json == {"total_files_pruned": 0, "total_bytes_pruned": 0}


def test_nodes(owner: Person, admin: Person, service: Service) -> None:
    image_id = image(owner, b"data")

    def nodes() -> object:
        answer = admin.call("GET", f"/v2/cache/nodes/{image_id}")
        assert answer.status_code == 200
        return answer.json

    assert nodes() == []
    download(owner, image_id)
    until_cached(admin, image_id)
    end = time.monotonic() + 10
    while nodes() != [NODE]:
        assert time.monotonic() < end
    CacheNodes(service.database).hold(image_id, "http://two.example:9292")
    assert nodes() == [NODE, "http://two.example:9292"]
    assert admin.call("DELETE", f"/v2/cache/{image_id}").status_code == 204
    assert nodes() == ["http://two.example:9292"]
    assert admin.call("GET", f"/v2/cache/nodes/{uuid.uuid4()}").status_code == 404


def test_without_node_data(tmp_path: Path) -> None:
    with built("sqlite", {"DEFAULT": {"image_cache_dir": tmp_path / "cache"}}) as unnamed:
        person = Person(unnamed.app, "admins", "admin,member,reader")
        answer = person.call("GET", f"/v2/cache/nodes/{image(person, b'data')}")
        assert (answer.status_code, (answer.json or {})["error"]) == (409, "no_node_data")


# -- downloads -------------------------------------------------------------------------------------
def test_miss_then_hit(service: Service, owner: Person, admin: Person) -> None:
    data = os.urandom(2 * MIB + 5)
    image_id = image(owner, data)
    answer = owner.call("GET", f"/v2/images/{image_id}/file")
    assert answer.data == data
    assert answer.headers["Content-Length"] == str(len(data))
    assert answer.headers["Content-MD5"] == hashlib.md5(data).hexdigest()
    until_cached(admin, image_id)
    stored(service, image_id).unlink()
    answer = owner.call("GET", f"/v2/images/{image_id}/file")
    assert answer.data == data, "this can only come from the cache"
    assert answer.headers["Content-MD5"] == hashlib.md5(data).hexdigest()
    assert download(owner, image_id, Range="bytes=1048570-1048579") == data[1048570:1048580]
    assert download(owner, image_id, Range="bytes=-3") == data[-3:]


def test_a_range_of_what_is_not_cached_comes_from_the_store(owner: Person, admin: Person) -> None:
    image_id = image(owner, b"0123456789")
    assert download(owner, image_id, Range="bytes=2-4") == b"234"
    assert cached(admin) == {}


def test_a_store_asked_for_by_name_is_read(owner: Person, admin: Person, service: Service) -> None:
    image_id = image(owner, b"data")
    download(owner, image_id)
    until_cached(admin, image_id)
    stored(service, image_id).unlink()
    assert owner.call("GET", f"/v2/images/{image_id}/file?prefer=fast").status_code == 503


def test_policy_comes_before_the_cache(owner: Person, admin: Person, service: Service) -> None:
    image_id = image(owner, b"data")
    download(owner, image_id)
    until_cached(admin, image_id)
    assert Person(service.app, owner.project, "reader").call("GET", f"/v2/images/{image_id}/file").status_code == 403
    assert Person(service.app, "stranger").call("GET", f"/v2/images/{image_id}/file").status_code == 404
    assert owner.call("POST", f"/v2/images/{image_id}/actions/deactivate").status_code == 204
    assert owner.call("GET", f"/v2/images/{image_id}/file").status_code == 403
    assert download(admin, image_id) == b"data"


def test_a_deleted_image_leaves_the_cache(owner: Person, admin: Person, folder: Path) -> None:
    image_id = image(owner, b"data")
    download(owner, image_id)
    until_cached(admin, image_id)
    assert owner.call("DELETE", f"/v2/images/{image_id}").status_code == 204
    assert cached(admin) == {}
    assert list((folder / "data").iterdir()) == []


def test_what_is_larger_than_the_cache_goes_past_it(owner: Person, admin: Person) -> None:
    data = os.urandom(21 * MIB)
    image_id = image(owner, data)
    assert download(owner, image_id) == data
    assert cached(admin) == {}


def test_parallel_misses_read_the_store_once(service: Service, owner: Person, monkeypatch: pytest.MonkeyPatch) -> None:
    data = os.urandom(8 * MIB)
    image_id = image(owner, data)
    store = service.stores.get("fast")
    opened, real = [], store.open

    def slow(url: str, offset: int = 0, length: int | None = None) -> Iterator[bytes]:
        opened.append((offset, length))
        for piece in real(url, offset, length):
            time.sleep(0.02)
            yield piece

    monkeypatch.setattr(store, "open", slow)
    got: list[bytes] = []
    threads = [threading.Thread(target=lambda: got.append(download(owner, image_id))) for _ in range(24)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(got) == 24
    assert set(got) == {data}
    assert opened == [(0, len(data))]


def test_a_source_that_breaks_is_read_again(
    service: Service, owner: Person, admin: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who has sent the first part already goes on where it stands."""
    data = os.urandom(6 * MIB)
    image_id = image(owner, data)
    store = service.stores.get("fast")
    opened, real = [], store.open

    def breaking(url: str, offset: int = 0, length: int | None = None) -> Iterator[bytes]:
        opened.append(offset)
        first = len(opened) == 1
        for number, piece in enumerate(real(url, offset, length)):
            if first and number == 3:
                time.sleep(0.1)
                raise errors.StoreUnavailable("it broke", "fast")
            yield piece

    monkeypatch.setattr(store, "open", breaking)
    assert download(owner, image_id) == data
    assert opened == [0, 0]
    until_cached(admin, image_id)


def test_damaged_data_of_the_store_is_never_whole(service: Service, owner: Person, admin: Person) -> None:
    data = os.urandom(5 * MIB)
    image_id = image(owner, data)
    with stored(service, image_id).open("r+b") as file:
        file.seek(3 * MIB)
        file.write(bytes([data[3 * MIB] ^ 1]))
    with pytest.raises(errors.FillDamaged):  # a server breaks the connection off here
        owner.call("GET", f"/v2/images/{image_id}/file").get_data()
    answer = owner.call("GET", f"/v2/images/{image_id}/file")
    assert (answer.status_code, (answer.json or {})["error"]) == (503, "data_damaged")
    assert cached(admin) == {}


def test_after_a_damaged_copy_the_next_one_is_read(
    service: Service, caching: Caching, owner: Person, admin: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = os.urandom(3 * MIB)
    image_id = image(owner, data)
    before = service.database.images.get_any(image_id)
    copy = service.stores.get("slow").put("second-copy", iter([data]))
    service.database.images.commit(
        ImageChanged(before, replace(before, locations=(*before.locations, copy), version=before.version + 1))
    )
    with stored(service, image_id).open("r+b") as file:
        file.write(bytes([data[0] ^ 1]))
    follows, store, driver = threading.Event(), service.stores.get("fast"), caching._cache.driver
    read, claim = store.open, driver.claim

    def claimed(*words: Any) -> Any:
        made = claim(*words)
        if not isinstance(made, Fill):
            follows.set()
        return made

    def late(url: str, offset: int = 0, length: int | None = None) -> Iterator[bytes]:
        """Nobody is sent the next copy in place of this one because he has come late."""
        assert follows.wait(30)
        yield from read(url, offset, length)

    monkeypatch.setattr(driver, "claim", claimed)
    monkeypatch.setattr(store, "open", late)
    with pytest.raises(errors.FillDamaged):
        owner.call("GET", f"/v2/images/{image_id}/file").get_data()
    assert download(owner, image_id) == data
    until_cached(admin, image_id)


def test_silent_damage_is_found_by_the_cleaner(
    service: Service, caching: Caching, owner: Person, admin: Person, folder: Path
) -> None:
    """A flipped bit that changes no time: only hashing finds it."""
    data = os.urandom(MIB)
    image_id = image(owner, data)
    download(owner, image_id)
    until_cached(admin, image_id)
    path = entry(folder, image_id)
    about = path.stat()
    with path.open("r+b") as file:
        file.write(bytes([data[0] ^ 1]))
    os.utime(path, ns=(about.st_atime_ns, about.st_mtime_ns))
    (found,) = (x for x in caching._cache.driver.entries() if x.image_id == image_id)
    assert caching._cache.verify(image_id, found.seal) is False
    assert cached(admin) == {}
    assert download(owner, image_id) == data


def test_loud_damage_is_found_by_the_next_download(owner: Person, admin: Person, folder: Path) -> None:
    data = os.urandom(MIB)
    image_id = image(owner, data)
    download(owner, image_id)
    until_cached(admin, image_id)
    time.sleep(0.02)
    with entry(folder, image_id).open("r+b") as file:
        file.write(bytes([data[0] ^ 1]))
    assert download(owner, image_id) == data


def test_a_broken_cache_stops_no_download(owner: Person, admin: Person, folder: Path) -> None:
    data = os.urandom(MIB)
    image_id, other = image(owner, data), image(owner, data)
    download(owner, image_id)
    until_cached(admin, image_id)
    away = folder.with_name("away")
    folder.rename(away)
    try:
        assert download(owner, image_id) == data
        assert download(owner, other) == data
        assert admin.call("GET", "/v2/cache").status_code == 503
        assert owner.call("DELETE", f"/v2/images/{other}").status_code == 204
    finally:
        away.rename(folder)
    assert download(owner, image_id) == data


def test_a_driver_that_fails_stops_no_download(
    caching: Caching, owner: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    image_id = image(owner, b"data")

    def fail(*_args: object, **_more: object) -> None:
        raise RuntimeError("a mistake of the driver")

    for name in ("open", "claim", "drop"):
        monkeypatch.setattr(caching._cache.driver, name, fail)
    assert download(owner, image_id) == b"data"
    assert owner.call("DELETE", f"/v2/images/{image_id}").status_code == 204
    monkeypatch.undo()


# -- jobs ------------------------------------------------------------------------------------------
def run(service: Service, job: type[CacheJob], *, dry_run: bool = False, **settings: float) -> dict[str, list[str]]:
    """What it found: image ids by kind."""
    scheduled = Scheduled(
        "cache_job",
        job(make_section(job_options(job.interval, job.options), **settings), service.tools),
        3600.0,
        machine="tests",
    )
    done = service.machine.run(scheduled, dry_run=dry_run)
    assert done.outcome is RunOutcome.DONE, done.text()
    found: dict[str, list[str]] = {}
    for finding in done.report.findings:
        found.setdefault(finding.kind, []).append(finding.subject)
    return found


def test_cleaner_drops_orphans_and_verifies_what_is_due(
    caching: Caching, owner: Person, admin: Person, service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(service, CacheCleaner, verify_after=0.0)
    kept, lost = image(owner, b"kept"), image(owner, b"lost")
    for image_id in (kept, lost):
        download(owner, image_id)
        until_cached(admin, image_id)
    with monkeypatch.context() as patched:
        patched.setattr(caching._cache.driver, "drop", lambda _id: False)  # another node has deleted it
        assert owner.call("DELETE", f"/v2/images/{lost}").status_code == 204
    assert run(service, CacheCleaner, dry_run=True) == {"orphan": [lost]}
    assert set(cached(admin)) == {kept, lost}
    assert run(service, CacheCleaner) == {"orphan": [lost]}
    assert set(cached(admin)) == {kept}
    assert run(service, WholeCacheCleaner, dry_run=True) == {"to be verified": [kept]}
    before = caching._cache.driver.entries()[0].verified
    assert run(service, WholeCacheCleaner) == {}
    assert caching._cache.driver.entries()[0].verified > before


def test_prefetch_reports(caching: Caching, owner: Person, service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    image_id, large, driver = image(owner, b"data"), image(owner, bytes(21 * MIB)), caching._cache.driver
    for each in ("gone", image_id, large):
        driver.queue(each)
    wanted = {"not active": ["gone"], "to be fetched": [image_id, large]}
    assert run(service, CachePrefetcher, dry_run=True) == wanted
    assert list(driver.queued()) == ["gone", image_id, large]
    assert run(service, CachePrefetcher) == {"not active": ["gone"], "fetched": [image_id], "too large": [large]}
    assert list(driver.queued()) == []


def test_a_fetch_that_is_cut_off_is_made_later(caching: Caching, owner: Person, service: Service) -> None:
    """Whoever stops the service does not wait for a large image."""
    image_id = image(owner, os.urandom(5 * MIB))
    caching._cache.driver.queue(image_id)

    def stopped() -> None:
        raise errors.JobStopped("the process is stopping")

    with pytest.raises(errors.JobStopped):
        caching.fetch(image_id, stopped)
    assert caching.queued() == [image_id]
    assert run(service, CachePrefetcher) == {"fetched": [image_id]}
    assert caching.queued() == []
