"""What import steps make: within the project's limit before it is written, judged before it is anybody's image."""

from __future__ import annotations

import gzip
import os
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parents[1]))
sys.path.insert(0, str(Path(__file__).parents[1] / "api"))
sys.path.insert(0, str(Path(__file__).parent))

import disks
import lab
from api import Person
from glancecore_method_web_download.driver import WebDownload
from glancecore_step_convert.driver import Convert
from image_ways import STEPS, built, settled, show
from images import samples

from glancecore.assembly.lifecycle import Service
from glancecore.domain.image import Image
from glancecore.domain.staged import Staged
from glancecore.kernel.transfer import hashing
from glancecore.kernel.transfer.staged_data import StagedData
from glancecore.ports.import_method import FetchedBody, FetchWork
from glancecore.ports.import_step import ImportWork

pytestmark = pytest.mark.long

LIMIT = 2_000_000


@pytest.fixture(scope="module")
def service() -> Iterator[Service]:
    lab.need("qemu-utils")
    with built(STEPS, {"DEFAULT": {"user_storage_quota": LIMIT}}) as made:
        yield made


@pytest.fixture
def owner(service: Service) -> Person:
    return Person(service.app, f"p-{uuid.uuid4().hex[:6]}")


@pytest.fixture
def hashed(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Sizes of what is hashed."""
    found = list[int]()
    update = hashing.Hashes.update

    def counted(self: hashing.Hashes, piece: bytes) -> None:
        found.append(len(piece))
        update(self, piece)

    monkeypatch.setattr(hashing.Hashes, "update", counted)
    return found


def imported(person: Person, data: bytes, **fields: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    """The image and its task after glance-direct."""
    image_id = person.create(**fields)["id"]
    answer = person.call("PUT", f"/v2/images/{image_id}/stage", data, Content_Type="application/octet-stream")
    assert answer.status_code == 204, answer.text
    assert (
        person.call("POST", f"/v2/images/{image_id}/import", {"method": {"name": "glance-direct"}}).status_code == 202
    )
    image = settled(person, image_id)
    return image, (person.call("GET", f"/v2/images/{image_id}/tasks").json or {})["tasks"][0]


def large_qcow2(tmp_path: Path, size: str) -> bytes:
    samples.qemu_img("create", "-f", "qcow2", tmp_path / "disk", size)
    return (tmp_path / "disk").read_bytes()


def check_limit(person: Person, image: dict[str, Any], task: dict[str, Any], hashed: list[int], came: int) -> None:
    assert (task["status"], task["error"]) == ("failure", "quota_exceeded")
    assert image["status"] == "uploading", "the user may make room, and import again"
    assert sum(hashed) == came, "what was made was not hashed"
    assert person.call("DELETE", f"/v2/images/{image['id']}").status_code == 204
    taken = person.create()["id"]
    assert person.upload(taken, bytes(LIMIT)).status_code == 204, "nothing stays reserved"


def test_unpacked_data_stays_below_the_limit(owner: Person, hashed: list[int]) -> None:
    data = gzip.compress(os.urandom(1000) + bytes(53_000_000))
    check_limit(owner, *imported(owner, data), hashed, len(data))


def test_a_converted_disk_stays_below_the_limit(owner: Person, hashed: list[int], tmp_path: Path) -> None:
    data = large_qcow2(tmp_path, "60M")
    check_limit(owner, *imported(owner, data, disk_format="qcow2"), hashed, len(data))


def test_image_size_cap_is_for_what_comes_out(owner: Person, hashed: list[int], tmp_path: Path) -> None:
    data = large_qcow2(tmp_path, "3G")
    image, task = imported(owner, data, disk_format="qcow2")
    assert (image["status"], task["status"], task["error"]) == ("queued", "failure", "conversion_failed")
    assert sum(hashed) == len(data)


def test_what_fits_is_counted_as_what_it_became(owner: Person) -> None:
    data = os.urandom(LIMIT // 2 - 1000) + bytes(1000)
    image, task = imported(owner, gzip.compress(data))
    assert (image["status"], image["size"]) == ("active", len(data)), task
    assert owner.upload(owner.create()["id"], bytes(LIMIT // 2)).status_code == 204
    assert owner.upload(owner.create()["id"], b"x").status_code == 413


def test_format_and_data_change_at_once(owner: Person, monkeypatch: pytest.MonkeyPatch) -> None:
    """A process that dies between them would leave a qcow2 that is called raw."""
    seen = list[str | None]()
    put = StagedData.put_file

    def look(self: StagedData, image: Image, *rest: Any) -> Staged:
        seen.append(show(owner, image.id)["disk_format"])
        assert image.disk_format == "raw", "it is judged as what it will be"
        return put(self, image, *rest)

    monkeypatch.setattr(StagedData, "put_file", look)
    image, task = imported(owner, disks.honest("qcow2"), disk_format="qcow2")
    assert (image["status"], image["disk_format"]) == ("active", "raw"), task
    assert seen == ["qcow2"]


@pytest.mark.parametrize(("begins", "status"), [(b"", "queued"), (b"text\n", "active")])
def test_a_step_that_only_renames_is_judged(
    owner: Person, monkeypatch: pytest.MonkeyPatch, begins: bytes, status: str
) -> None:
    def rename(self: Convert, work: ImportWork) -> None:
        work.set_formats(disk_format="aki" if begins else "vmdk")

    monkeypatch.setattr(Convert, "run", rename)
    descriptor = disks.descriptor(b'RW 8 FLAT "/etc/passwd" 0', first=b"# x\n").replace(b"version=1\n", b"")
    image, task = imported(owner, begins + descriptor)
    assert image["status"] == status, task
    assert image["disk_format"] == ("aki" if begins else "raw")
    if not begins:
        assert task["error"] == "unsafe_content"


def test_a_method_says_what_the_data_is_before_it_comes(owner: Person, monkeypatch: pytest.MonkeyPatch) -> None:
    """Afterwards it is judged by that."""

    def fetch(self: WebDownload, work: FetchWork, offset: int = 0, validator: str | None = None) -> FetchedBody:
        work.set_formats(disk_format="vmdk")
        return FetchedBody(0, 4, iter([b"data"]))

    monkeypatch.setattr(WebDownload, "fetch", fetch)
    image_id = owner.create()["id"]
    assert (
        owner.call(
            "POST", f"/v2/images/{image_id}/import", {"method": {"name": "web-download", "uri": "http://127.0.0.1:1/x"}}
        ).status_code
        == 202
    )
    image = settled(owner, image_id)
    assert (image["status"], image["disk_format"]) == ("queued", "raw")
