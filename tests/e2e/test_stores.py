"""Each store on its real backend, through the whole service: a large image up, down, in part, to another store, and
away."""

from __future__ import annotations

import hashlib
import itertools
import os
import random
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import lab
import pytest
import requests
from client import HEADERS_AUTH, Client
from periodic import ALONE, Jobs, copied, kinds
from stores import REMOTES, Remote

from glancecore import conf as configuration
from glancecore.assembly.stores import load_stores
from glancecore.ports.store import Cap

#: Bytes; several times what a process may take.
LARGE = 1 << 29
#: A folder has no server to take away: the file store's own tests hang and unmount it.
BREAKABLE = sorted(name for name, remote in REMOTES.items() if remote.away)
PIECE = random.Random(7).randbytes(1 << 20)
#: What a worker process of the service may have in memory, whatever it moves; bytes. The first import loads TaskFlow,
#: which stays.
MEMORY, TASKFLOW = 120 << 20, 40 << 20


def pieces(size: int) -> Iterator[bytes]:
    """``size`` bytes that are different in each piece."""
    for number in range(-(-size // len(PIECE))):
        yield (number.to_bytes(8, "big") + PIECE[8:])[: size - number * len(PIECE)]


def digest(source: Iterator[bytes]) -> str:
    found = hashlib.sha512()
    for piece in source:
        found.update(piece)
    return found.hexdigest()


@dataclass
class Setup:
    service: lab.Service
    remote: Remote
    client: Client
    #: What an earlier test that was killed may have left in the backend.
    before: frozenset[str] = frozenset()

    def blobs(self) -> list[str]:
        """Keys in the remote store that came in this test, asked of the backend by another process's eyes."""
        stores = load_stores(configuration.new(files=[str(self.service.config_file)]))
        try:
            store = stores.get("remote")._store
            assert store is not None
            assert Cap.LIST in store.caps
            return [x.key for x in store.list() if x.key not in self.before]
        finally:
            stores.close()

    def peak(self) -> int:
        """Most memory that a process of the service has had at once, in bytes."""
        assert self.service.process is not None
        parent = self.service.process.pid
        family = {parent, *self.service.workers}
        lines = [
            line
            for pid in family
            for line in Path(f"/proc/{pid}/status").read_text().splitlines()
            if line.startswith("VmHWM")
        ]
        return max(int(line.split()[1]) << 10 for line in lines)


@pytest.fixture(params=sorted(REMOTES))
def setup(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Setup]:
    remote = REMOTES[request.param]
    config = lab.merged(
        HEADERS_AUTH,
        ALONE,
        {
            "DEFAULT": {
                "enabled_backends": f"file:file, remote:{remote.driver}",
                "enabled_import_methods": "[copy-image]",
            },
            "remote": remote.options(tmp_path),
            "lease": {"ttl": 4, "reap_interval": 0.5},
        },
    )
    with lab.service(config, cold=True) as service:
        made = Setup(service, remote, Client(service.url, roles="admin,member,reader"))
        made.before = frozenset(made.blobs())
        yield made
        made.client.session.close()


def test_a_large_image_through_its_whole_life(setup: Setup) -> None:
    client, expected = setup.client, digest(pieces(LARGE))
    image_id = client.create()["id"]
    assert client.upload(image_id, pieces(LARGE), **{"x-image-meta-store": "remote"}).status_code == 204
    image = client.show(image_id)
    assert (image["status"], image["size"], image["os_hash_value"], image["stores"]) == (
        "active",
        LARGE,
        expected,
        "remote",
    )
    with client.session.get(f"{client.url}/v2/images/{image_id}/file", stream=True, timeout=120) as answer:
        assert digest(answer.iter_content(1 << 20)) == expected
    for first, last in ((0, 0), (LARGE // 2 - 3, LARGE // 2 + 5_000_000), (LARGE - 10, LARGE - 1)):
        part = client.download(image_id, Range=f"bytes={first}-{last}")
        assert part.status_code == 206
        skip = first // len(PIECE)
        wanted = b"".join(itertools.islice(pieces(LARGE), skip, last // len(PIECE) + 1))[
            first - skip * len(PIECE) : last + 1 - skip * len(PIECE)
        ]
        assert part.content == wanted
    assert setup.blobs() == [image_id]
    assert setup.peak() < MEMORY
    copying = {"method": {"name": "copy-image"}, "stores": ["file"]}
    assert client.call("POST", f"/v2/images/{image_id}/import", copying).status_code == 202
    end = time.monotonic() + 120
    while "file" not in client.show(image_id)["stores"].split(","):
        assert time.monotonic() < end, client.call("GET", f"/v2/images/{image_id}/tasks").text
        time.sleep(0.2)
    with client.session.get(f"{client.url}/v2/images/{image_id}/file?prefer=file", stream=True, timeout=120) as answer:
        assert digest(answer.iter_content(1 << 20)) == expected
    assert setup.peak() < MEMORY + TASKFLOW
    assert client.delete(image_id).status_code == 204
    assert setup.blobs() == []


@pytest.mark.parametrize("setup", BREAKABLE, indirect=True)
def test_a_backend_that_goes_away_during_an_upload(setup: Setup) -> None:
    """A clear 503, or it goes on; the image can be uploaded again; nothing is orphaned."""
    client, size = setup.client, 64 << 20
    image_id = client.create()["id"]
    with_break = setup.remote.away
    assert with_break is not None

    def source() -> Iterator[bytes]:
        yield from itertools.islice(pieces(size), 20)
        with with_break():
            yield from itertools.islice(pieces(size), 20, 40)
            time.sleep(8)  # longer than the drivers' own patience here
        yield from itertools.islice(pieces(size), 40, None)

    try:
        status = client.upload(image_id, source(), **{"x-image-meta-store": "remote"}).status_code
    except requests.ConnectionError:  # answered and closed while we were still sending
        status = 503
    assert status in (204, 503)
    image = _settled(client, image_id)
    assert image["status"] == ("active" if status == 204 else "queued")
    if status == 503:
        assert "store remote" in image["os_glance_last_error"]
        assert client.upload(image_id, pieces(size), **{"x-image-meta-store": "remote"}).status_code == 204
    assert client.show(image_id)["os_hash_value"] == digest(pieces(size))
    assert client.delete(image_id).status_code == 204
    _until_empty(setup)


@pytest.mark.parametrize("setup", BREAKABLE, indirect=True)
def test_a_backend_that_goes_away_during_a_download(setup: Setup) -> None:
    """The download breaks off, or goes on, but never brings wrong bytes; the next one is right."""
    client, size = setup.client, 256 << 20
    image_id = client.create()["id"]
    assert client.upload(image_id, pieces(size), **{"x-image-meta-store": "remote"}).status_code == 204
    with_break = setup.remote.away
    assert with_break is not None
    with client.session.get(f"{client.url}/v2/images/{image_id}/file", stream=True, timeout=60) as answer:
        rest, found = answer.iter_content(1 << 20), hashlib.sha512()
        for piece in itertools.islice(rest, 20):
            found.update(piece)
        try:
            with with_break():
                time.sleep(1)
                for piece in rest:
                    found.update(piece)
        except (requests.ConnectionError, requests.exceptions.ChunkedEncodingError):
            pass
        else:
            assert found.hexdigest() == digest(pieces(size))
    with client.session.get(f"{client.url}/v2/images/{image_id}/file", stream=True, timeout=120) as answer:
        assert digest(answer.iter_content(1 << 20)) == digest(pieces(size))
    assert client.delete(image_id).status_code == 204
    _until_empty(setup)


def test_bit_rot(setup: Setup) -> None:
    """The auditor finds it within one pass and replaces the copy; until then it is the backend's lie, afterwards nobody
    is lied to."""
    client, data, jobs = setup.client, os.urandom(3_000_000), Jobs(setup.service)
    at_once = {"OS_PERIODIC_AUDITOR__BYTES_PER_SECOND": "0"}
    image_id, alone = str(client.create()["id"]), str(client.create()["id"])
    for each in (image_id, alone):
        assert client.upload(each, data, **{"x-image-meta-store": "remote"}).status_code == 204
    copied(client, image_id, "file")
    assert jobs.run("auditor", env=at_once)["findings"] == []
    assert setup.remote.rot is not None
    for each in (image_id, alone):
        setup.remote.rot(dict(setup.service.config["remote"]), each)
    assert client.call("GET", f"/v2/images/{image_id}/file?prefer=remote").content != data
    report = jobs.run("auditor", env=at_once)
    assert kinds(report) == ["damaged", "damaged", "lost", "repaired"]
    assert report["errors"] == []
    image = client.show(image_id)
    assert sorted(image["stores"].split(",")) == ["file", "remote"]
    for store in ("remote", "file"):
        assert client.call("GET", f"/v2/images/{image_id}/file?prefer={store}").content == data
    answer = client.download(alone)
    assert (answer.status_code, answer.json()["error"]) == (503, "data_damaged")
    assert len(setup.blobs()) == 2, "the damaged copy has gone, the new one is there"
    assert [x for x in jobs.run("auditor", env=at_once)["findings"] if x["subject"] == image_id] == []
    for each in (image_id, alone):
        assert client.delete(each).status_code == 204
    assert setup.blobs() == []


def test_orphans(setup: Setup) -> None:
    """What belongs to an image, in whatever form the backend keeps it, is never taken for an orphan; what does not is
    found."""
    client, jobs, size = setup.client, Jobs(setup.service), 120 << 20
    image_id, orphan = str(client.create()["id"]), str(uuid.uuid4())
    assert client.upload(image_id, pieces(size), **{"x-image-meta-store": "remote"}).status_code == 204
    stores = load_stores(configuration.new(files=[str(setup.service.config_file)]))
    try:
        stores.get("remote").put(orphan, iter([b"nobody's"]))
    finally:
        stores.close()
    time.sleep(2)  # backends tell whole seconds
    told = {"OS_PERIODIC_ORPHANS__GRACE": "0.5", "OS_PERIODIC_ORPHANS__DELETE": "true"}
    ours = {f"remote/{x}" for x in (image_id, orphan)}
    for more in (("--dry-run",), ()):
        report = jobs.run("orphans", *more, env=told)
        assert [x["subject"] for x in report["findings"] if x["subject"] in ours] == [f"remote/{orphan}"]
        assert report["errors"] == []
    assert setup.blobs() == [image_id]
    with client.session.get(f"{client.url}/v2/images/{image_id}/file", stream=True, timeout=120) as answer:
        assert digest(answer.iter_content(1 << 20)) == digest(pieces(size))
    assert client.delete(image_id).status_code == 204
    assert setup.blobs() == []


def _settled(client: Client, image_id: str) -> dict[str, object]:
    end = time.monotonic() + 60
    while time.monotonic() < end:
        image = client.show(image_id)
        if image["status"] not in ("saving", "importing"):
            return image
        time.sleep(0.2)
    raise AssertionError(image)


def _until_empty(setup: Setup) -> None:
    """What a writer could not remove while the backend was away is the reaper's."""
    end = time.monotonic() + 60
    while setup.blobs() and time.monotonic() < end:
        time.sleep(0.5)
    assert setup.blobs() == []


def test_direct_download(tmp_path: Path) -> None:
    """Asked for, a client is sent to the backend itself; with a signed URL that needs no login; not asked for, it is
    served."""
    for name, remote in REMOTES.items():
        if name in ("swift", "s3"):
            config = lab.merged(
                HEADERS_AUTH,
                {
                    "DEFAULT": {"enabled_backends": f"file:file, remote:{remote.driver}"},
                    "remote": {**remote.options(tmp_path), "direct_download": "asked", "direct_download_seconds": 60},
                },
            )
            with lab.service(config) as service:
                client, data = Client(service.url), os.urandom(3_000_000)
                image_id = client.create()["id"]
                assert client.upload(image_id, data, **{"x-image-meta-store": "remote"}).status_code == 204
                path = f"{client.url}/v2/images/{image_id}/file"
                sent_on = client.session.get(f"{path}?direct=true", allow_redirects=False, timeout=30)
                assert sent_on.status_code == 307
                assert sent_on.headers["Cache-Control"] == "no-store"
                assert requests.get(sent_on.headers["Location"], timeout=30).content == data
                part = requests.get(sent_on.headers["Location"], headers={"Range": "bytes=5-9"}, timeout=30)
                assert (part.status_code, part.content) == (206, data[5:10])
                for query in ("", "?direct=false"):
                    served = client.session.get(f"{path}{query}", allow_redirects=False, timeout=30)
                    assert (served.status_code, served.content) == (200, data)
                assert client.call("GET", f"/v2/images/{image_id}/file?direct=perhaps").status_code == 400
                assert Client(service.url, "strangers").download(image_id).status_code == 404
                assert client.delete(image_id).status_code == 204
