"""No active image ever makes qemu-img read a file of the host: hostile data through every way in, judged by the real
program."""

from __future__ import annotations

import contextlib
import gzip
import hashlib
import io
import sys
import tempfile
import threading
import uuid
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar

import pytest

sys.path.insert(0, str(Path(__file__).parents[1]))
sys.path.insert(0, str(Path(__file__).parents[1] / "api"))
sys.path.insert(0, str(Path(__file__).parent))

import disks
import lab
from api import Person
from image_ways import STEPS, built, by_staging, settled, show

from glancecore.assembly.lifecycle import Service

pytestmark = pytest.mark.long

FORMATS = ("raw", "qcow2", "vmdk", "vhd", "vhdx", "vdi", "iso", "aki", "ploop")
#: Harmless as what it may be called: other bytes of the same kind are packages and disks of honest people.
HARMLESS = {
    "vmdk descriptor without version": {"raw", "aki", "ploop"},
    "vmdk descriptor behind a long comment": {"raw", "aki", "ploop"},
    "vmdk descriptor behind a very long comment": {"raw", "aki", "ploop"},
    "package with a vmdk descriptor as name": {"raw", "aki", "ploop"},
}


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    """A short path: some formats have little room for names."""
    lab.need("qemu-utils")
    with tempfile.TemporaryDirectory(prefix="h") as made:
        yield Path(made)


@pytest.fixture(scope="module")
def host_file(folder: Path) -> Path:
    file = folder / "s"
    file.write_bytes(b"the host's secret " * 256)
    return file


@pytest.fixture(scope="module")
def hostile(host_file: Path) -> dict[str, bytes]:
    return disks.hostile(host_file)


@pytest.fixture(scope="module")
def service() -> Iterator[Service]:
    with built() as made:
        yield made


@pytest.fixture(scope="module")
def working() -> Iterator[Service]:
    """With steps that make other data of what comes."""
    lab.need("qemu-utils")
    with built(STEPS) as made:
        yield made


class Handler(BaseHTTPRequestHandler):
    """Serves ``files`` by name; ``meanwhile`` is called when half has gone."""

    protocol_version = "HTTP/1.1"
    files: ClassVar[dict[str, bytes]] = {}
    meanwhile: ClassVar[dict[str, Callable[[], None]]] = {}

    def log_message(self, *args: object) -> None:
        pass

    def do_HEAD(self) -> None:
        self._answer(None)

    def do_GET(self) -> None:
        self._answer(self.path[1:])

    def _answer(self, name: str | None) -> None:
        data, first, last = self.files[self.path[1:]], 0, None
        asked = self.headers.get("Range", "").removeprefix("bytes=")
        if asked and data:
            begin, _, end = asked.partition("-")
            first, last = int(begin), min(int(end) if end else len(data) - 1, len(data) - 1)
        part = data if last is None else data[first : last + 1]
        self.send_response(200 if last is None else 206)
        if last is not None:
            self.send_header("Content-Range", f"bytes {first}-{last}/{len(data)}")
        self.send_header("Content-Length", str(len(part)))
        self.end_headers()
        if name is not None:
            with contextlib.suppress(ConnectionError):
                self.wfile.write(part[: len(part) // 2])
                self.meanwhile.get(name, lambda: None)()
                self.wfile.write(part[len(part) // 2 :])


@pytest.fixture(scope="module")
def web() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()


class Judge:
    """Asks qemu-img of what is active, once for the same bytes."""

    def __init__(self, folder: Path, host_file: Path) -> None:
        self._file, self._host_file = folder / "judged", host_file
        self._known: dict[tuple[bytes, str | None], str] = {}

    def of(self, data: bytes, disk_format: str) -> str:
        """How the host's file is reached; empty: it is not."""
        found = ""
        for told in (disk_format, None):
            key = hashlib.sha256(data).digest(), disks.QEMU.get(told, "raw") if told else None
            if key not in self._known:
                self._file.write_bytes(data)
                self._known[key] = disks.read_by_qemu(self._file, told, self._host_file)
            found = found or self._known[key]
        return found


@pytest.fixture(scope="module")
def judge(folder: Path, host_file: Path) -> Judge:
    return Judge(folder, host_file)


@pytest.fixture
def owner(service: Service) -> Person:
    return Person(service.app, f"p-{uuid.uuid4().hex[:6]}", "member,reader,service")


def check(judge: Judge, person: Person, image: dict[str, Any], what: object) -> bool:
    """Whether the image is active; then qemu-img finds nothing of the host in it."""
    if image["status"] != "active":
        return False
    data = person.call("GET", f"/v2/images/{image['id']}/file").data
    found = judge.of(data, image["disk_format"])
    assert not found, (what, image["disk_format"], image["container_format"], found)
    return True


NAMES = tuple(disks.hostile(Path("/h/s")))


def test_the_judge_can_tell(judge: Judge, hostile: dict[str, bytes]) -> None:
    """With the real program: else nothing below means anything."""
    caught = {name for name, data in hostile.items() if any(judge.of(data, x) for x in ("raw", "qcow2", "vmdk"))}
    assert caught >= {
        "qcow2 short with backing file",
        "qcow2 with data file",
        "qcow 1 with backing file",
        "qed by qemu with backing file",
        "vmdk descriptor",
        "vmdk descriptor without version",
        "vmdk descriptor behind a very long comment",
        "vmdk sparse of capacity 0",
        "vmdk sparse of capacity 0 names a neighbour",
        "vmdk with parent",
        "vmdk with parent behind its descriptor",
        "iso that begins as qcow2",
        "package with a vmdk descriptor as name",
    }, caught


@pytest.mark.parametrize("name", NAMES)
def test_no_declaration_makes_it_pass(owner: Person, judge: Judge, hostile: dict[str, bytes], name: str) -> None:
    for container in ("bare", "ova", "compressed"):
        for disk_format in FORMATS:
            image = owner.create(disk_format=disk_format, container_format=container)
            answer = owner.upload(image["id"], hostile[name])
            assert answer.status_code in (204, 415), (disk_format, container, answer.text)
            active = check(judge, owner, show(owner, image["id"]), name)
            assert active == (answer.status_code == 204)
            if active and container == "bare":
                assert disk_format in HARMLESS.get(name, ()), (disk_format, container)


@pytest.mark.parametrize("name", NAMES)
def test_no_cut_makes_it_pass(owner: Person, judge: Judge, hostile: dict[str, bytes], name: str) -> None:
    data = hostile[name]
    for disk_format, container in declared(name):
        image_id = ""  # a refused one takes other data
        for cut in cuts(len(data), most=1 << 30 if name.startswith("v") else 1 << 16):
            image_id = image_id or owner.create(disk_format=disk_format, container_format=container)["id"]
            answer = owner.upload(image_id, data[:cut])
            assert answer.status_code in (204, 415), (cut, disk_format, answer.text)
            if answer.status_code == 204:
                check(judge, owner, show(owner, image_id), (name, cut))
                image_id = ""


def cuts(size: int, most: int) -> list[int]:
    return sorted({x for x in (*disks.CUTS, size - 512, size - 1) if 0 < x < min(size, most)})


def declared(name: str) -> tuple[tuple[str, str], ...]:
    """As the disk that anything is, and where the declared format need not be true."""
    return ("raw", "bare"), (
        next((x for x in ("qcow2", "vmdk", "vhdx", "vhd", "vdi", "iso") if name.startswith(x)), "vmdk"),
        "ova",
    )


def by_download(person: Person, image_id: str, data: bytes, url: str) -> None:
    name = served(data)
    answer = person.call(
        "POST", f"/v2/images/{image_id}/import", {"method": {"name": "web-download", "uri": f"{url}/{name}"}}
    )
    assert answer.status_code == 202, answer.text


def by_location(person: Person, image_id: str, data: bytes, url: str) -> None:
    answer = person.call("POST", f"/v2/images/{image_id}/locations", {"url": f"{url}/{served(data)}"})
    assert answer.status_code in (202, 400, 415), answer.text


def by_verified_location(person: Person, image_id: str, data: bytes, url: str) -> None:
    answer = person.call(
        "POST",
        f"/v2/images/{image_id}/locations",
        {
            "url": f"{url}/{served(data)}",
            "validation_data": {"os_hash_algo": "sha512", "os_hash_value": hashlib.sha512(data).hexdigest()},
        },
    )
    assert answer.status_code in (202, 400, 415), answer.text


def by_patch(person: Person, image_id: str, data: bytes, url: str) -> None:
    """Declared as raw until the same request changes that."""
    wanted = show(person, image_id)["disk_format"]
    assert person.patch(image_id, {"op": "replace", "path": "/disk_format", "value": "raw"}).status_code == 200
    person.patch(
        image_id,
        {"op": "replace", "path": "/disk_format", "value": wanted},
        {"op": "add", "path": "/locations/-", "value": {"url": f"{url}/{served(data)}", "metadata": {}}},
    )


def served(data: bytes) -> str:
    name = uuid.uuid4().hex
    Handler.files[name] = data
    return name


#: One of each kind, for what takes most of a second each.
SOME = (
    "qcow2 short with backing file",
    "qcow2 with data file",
    "qcow 1 with backing file",
    "qed by qemu with backing file",
    "vmdk descriptor",
    "vmdk descriptor without version",
    "vmdk sparse of capacity 0 names a neighbour",
    "vmdk with parent behind its descriptor",
    "vhd with parent",
    "vhd fixed with parent",
    "vhdx with parent",
    "vdi with parent",
    "iso that begins as qcow2",
    "package with a vmdk descriptor as name",
)
WAYS = (by_staging, by_download, by_location, by_verified_location, by_patch)


def through(
    person: Person, judge: Judge, way: Callable[[Person, str, bytes, str], None], files: dict[str, bytes], web: str
) -> None:
    """All of them at once, then each is judged."""
    begun = []
    for name, data in files.items():
        for disk_format, container in declared(name):
            image = person.create(disk_format=disk_format, container_format=container)
            way(person, image["id"], data, web)
            begun.append((name, image["id"]))
    for name, image_id in begun:
        image = settled(person, image_id)
        if check(judge, person, image, (name, way.__name__)) and image["container_format"] == "bare":
            assert image["disk_format"] in HARMLESS.get(name, ()), name


@pytest.mark.parametrize("way", WAYS)
def test_no_way_in_is_blind(
    owner: Person, judge: Judge, hostile: dict[str, bytes], web: str, way: Callable[[Person, str, bytes, str], None]
) -> None:
    through(owner, judge, way, {x: hostile[x] for x in (SOME if way in (by_staging, by_download) else hostile)}, web)


@pytest.mark.parametrize("packed", [False, True], ids=["plain", "gzip"])
def test_no_step_makes_it_pass(working: Service, judge: Judge, hostile: dict[str, bytes], packed: bool) -> None:
    person = Person(working.app, f"p-{uuid.uuid4().hex[:6]}")
    through(person, judge, by_staging, {x: gzip.compress(hostile[x]) if packed else hostile[x] for x in SOME}, "")


@pytest.mark.parametrize("field", ["disk_format", "container_format"])
@pytest.mark.parametrize("steps", [False, True], ids=["plain", "steps"])
def test_formats_are_fixed_while_an_import_runs(
    service: Service, working: Service, judge: Judge, hostile: dict[str, bytes], web: str, field: str, steps: bool
) -> None:
    person = Person((working if steps else service).app, f"p-{uuid.uuid4().hex[:6]}")
    data = hostile["vmdk descriptor without version"].ljust(1 << 20, b"\n")
    name, answers = served(data), list[int]()
    image = person.create(disk_format="raw", container_format="bare")
    Handler.meanwhile[name] = lambda: answers.append(
        person.patch(
            image["id"],
            {"op": "replace", "path": f"/{field}", "value": {"disk_format": "vmdk", "container_format": "ova"}[field]},
        ).status_code
    )
    assert (
        person.call(
            "POST", f"/v2/images/{image['id']}/import", {"method": {"name": "web-download", "uri": f"{web}/{name}"}}
        ).status_code
        == 202
    )
    found = settled(person, image["id"])
    assert answers == [403]
    assert (found["status"], found["disk_format"], found["container_format"]) == ("active", "raw", "bare")
    check(judge, person, found, field)


class Body(io.BytesIO):
    """Calls ``meanwhile`` when half has been read."""

    def __init__(self, data: bytes, meanwhile: Callable[[], None]) -> None:
        super().__init__(data)
        self._half, self._meanwhile = len(data) // 2, meanwhile

    def read(self, size: int | None = -1) -> bytes:
        if self.tell() == self._half:
            self._meanwhile()
        return super().read(self._half)


@pytest.mark.parametrize(("way", "status"), [("file", "saving"), ("stage", "uploading")])
def test_formats_are_fixed_while_an_upload_or_a_staging_runs(
    owner: Person, service: Service, way: str, status: str
) -> None:
    image_id, answers = owner.create(disk_format="raw")["id"], list[tuple[str, int]]()

    def change() -> None:
        code = owner.patch(image_id, {"op": "replace", "path": "/disk_format", "value": "vmdk"}).status_code
        answers.append((show(owner, image_id)["status"], code))

    answer = service.app.test_client().open(
        f"/v2/images/{image_id}/{way}",
        method="PUT",
        input_stream=Body(b"a" * 2000, change),
        content_length=2000,
        environ_base={"REMOTE_ADDR": "127.0.0.1"},
        headers={
            "X-Identity-Status": "Confirmed",
            "X-User-Id": "u",
            "X-Project-Id": owner.project,
            "X-Roles": owner.roles,
            "Content-Type": "application/octet-stream",
        },
    )
    assert answer.status_code == 204, answer.text
    assert answers == [(status, 403)]
    assert show(owner, image_id)["disk_format"] == "raw"
    if way == "stage":
        assert owner.patch(image_id, {"op": "replace", "path": "/disk_format", "value": "vmdk"}).status_code == 403
