"""glance-upload and glance-download with a real service: broken off on both sides, gone on with, and seen to be
whole."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import lab
import pytest
from client import HEADERS_AUTH, Client
from waiting import until

MIB = 1 << 20
CONFIG = lab.merged(
    HEADERS_AUTH,
    {
        "DEFAULT": {"auth_strategy": "none", "enabled_extensions": "tus", "workers": 2},
        "periodic": {"embedded": False},
        "lease": {"ttl": 2, "reap_interval": 0.2},
    },
)


@pytest.fixture(scope="module")
def service() -> Iterator[lab.Service]:
    with lab.service(CONFIG) as found:
        yield found


@pytest.fixture(scope="module")
def plain() -> Iterator[lab.Service]:
    """It has no extension."""
    with lab.service(lab.merged(CONFIG, {"DEFAULT": {"enabled_extensions": ""}})) as found:
        yield found


class User:
    """Somebody with a home of his own."""

    def __init__(self, url: str, home: Path) -> None:
        self.url, self.home = url, home
        self.client = Client(url)

    def started(self, *words: str | Path) -> subprocess.Popen[str]:
        env = {
            "PATH": os.environ["PATH"],
            "HOME": str(self.home),
            "LC_ALL": "C.UTF-8",
            "OS_AUTH_TYPE": "none",
            "OS_ENDPOINT": self.url,
        }
        return subprocess.Popen(
            [str(lab.BIN / str(words[0])), *map(str, words[1:])],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=env,
        )

    def run(self, *words: str | Path, ok: bool = True) -> str:
        """What it prints; when it is to fail, what it says."""
        process = self.started(*words)
        out, said = process.communicate(timeout=240)
        assert (process.returncode == 0) == ok, out + said
        return out.strip() if ok else said

    def image(self, image_id: str) -> dict[str, Any]:
        return self.client.show(image_id)

    def only(self) -> str:
        """The one image that is there."""
        (found,) = self.client.call("GET", "/v2/images").json()["images"]
        return str(found["id"])

    def offset(self) -> int:
        images = self.client.call("GET", "/v2/images?status=saving").json()["images"]
        uploads = [
            x
            for image in images
            for x in self.client.call(
                "GET", f"/v2/images/{image['id']}/uploads", headers={"Tus-Resumable": "1.0.0"}
            ).json()["uploads"]
        ]
        return max((x["offset"] for x in uploads), default=0)


@pytest.fixture
def user(service: lab.Service, tmp_path: Path) -> Iterator[User]:
    found = User(service.url, tmp_path)
    yield found
    for image in found.client.call("GET", "/v2/images").json()["images"]:
        assert found.client.delete(image["id"]).status_code == 204


@pytest.fixture(scope="module")
def disk(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("disks") / "disk.img"
    path.write_bytes(os.urandom(24 * MIB + 17))
    return path


def sha512(path: Path) -> str:
    return hashlib.sha512(path.read_bytes()).hexdigest()


def test_up_and_down(user: User, disk: Path, tmp_path: Path) -> None:
    image_id = user.run(
        "glance-upload",
        disk,
        "--name",
        "a disk",
        "--tag",
        "x",
        "--property",
        "os_distro=debian",
        "--visibility",
        "private",
    )
    image = user.image(image_id)
    assert (image["name"], image["tags"], image["os_distro"], image["visibility"], image["disk_format"]) == (
        "a disk",
        ["x"],
        "debian",
        "private",
        "raw",
    )
    assert (image["status"], image["size"], image["os_hash_value"]) == ("active", disk.stat().st_size, sha512(disk))
    assert user.run("glance-download", "a disk", tmp_path / "out") == image_id
    assert sha512(tmp_path / "out") == sha512(disk)
    assert sorted(x.name for x in tmp_path.glob("out*")) == ["out"]
    assert list((tmp_path / ".local/state/osc-glancecore").iterdir()) == [], "what has ended is forgotten"
    again = user.run("glance-upload", disk)
    assert again != image_id


def test_an_empty_file(user: User, tmp_path: Path) -> None:
    (tmp_path / "empty.img").write_bytes(b"")
    image_id = user.run("glance-upload", tmp_path / "empty.img")
    assert (user.image(image_id)["status"], user.image(image_id)["size"]) == ("active", 0)
    user.run("glance-download", image_id, tmp_path / "out")
    assert (tmp_path / "out").read_bytes() == b""


def test_a_service_without_the_extension_gets_one_request(plain: lab.Service, disk: Path, tmp_path: Path) -> None:
    user = User(plain.url, tmp_path)
    image_id = user.run("glance-upload", disk)
    assert user.image(image_id)["os_hash_value"] == sha512(disk)


def test_an_upload_that_was_killed_goes_on(user: User, disk: Path) -> None:
    process = user.started("glance-upload", disk, "--piece-size", "1")
    until(lambda: user.offset() > 3 * MIB)
    process.kill()
    process.communicate()
    image_id, offset = user.only(), user.offset()
    assert offset < disk.stat().st_size
    said = user.started("glance-upload", disk, "--piece-size", "1")
    out, told = said.communicate(timeout=240)
    assert (said.returncode, out.strip()) == (0, image_id), told
    assert f"image {image_id} was made before" in told
    assert user.image(image_id)["os_hash_value"] == sha512(disk)
    assert told.count("bytes are there; going on behind them") == 1
    assert int(told.split(" bytes are there")[0].split(" of ")[0].split()[-1]) >= offset, (
        "what had come was not sent again"
    )


def test_a_service_that_is_killed_meanwhile(disk: Path, tmp_path: Path) -> None:
    with lab.service(CONFIG) as service:
        user = User(service.url, tmp_path)
        process = user.started("glance-upload", disk, "--piece-size", "1")
        for step in (3, 9):
            until(lambda: user.offset() > step * MIB)  # noqa: B023
            service.stop(signal.SIGKILL)
            service.start()
        out, said = process.communicate(timeout=240)
        assert process.returncode == 0, said
        assert user.image(out.strip())["os_hash_value"] == sha512(disk)


def test_a_file_that_has_changed_is_another_one(user: User, tmp_path: Path) -> None:
    path = tmp_path / "disk.img"
    path.write_bytes(os.urandom(4 * MIB))
    process = user.started("glance-upload", path, "--piece-size", "1")
    until(lambda: user.offset() > 0 or process.poll() is not None)
    process.kill()
    process.communicate()
    first = user.only()
    path.write_bytes(os.urandom(4 * MIB))
    assert user.run("glance-upload", path) != first


def test_what_the_service_refuses_is_told_in_its_words(user: User, tmp_path: Path) -> None:
    path = tmp_path / "disk.qcow2"
    path.write_bytes(b"no disk at all" * 1000)
    assert "qcow2" in user.run("glance-upload", path, ok=False)
    assert "say --disk-format" in user.run("glance-upload", "/etc/hostname", ok=False)
    assert "KEY=VALUE" in user.run("glance-upload", path, "--property", "x", ok=False)
    assert "No such file" in user.run("glance-upload", tmp_path / "nothing.raw", ok=False)
    assert "no image nobody" in user.run("glance-download", "nobody", tmp_path / "out", ok=False)
    queued = user.client.create()["id"]
    assert "queued" in user.run("glance-download", queued, tmp_path / "out", ok=False)
    path = tmp_path / "disk.raw"
    path.write_bytes(b"data")
    assert user.run("glance-upload", path, "--image", queued) == queued
    assert "has its data" in user.run("glance-upload", path, "--image", queued, ok=False)


def test_of_several_images_the_ids_are_told(user: User, tmp_path: Path) -> None:
    ids = [user.client.create(name="twins")["id"] for _ in range(2)]
    said = user.run("glance-download", "twins", tmp_path / "copy.raw", ok=False)
    assert "several images have the name twins; say the id: " in said
    assert all(x in said for x in ids)


def test_a_file_that_is_not_there_is_told_by_its_name(user: User, tmp_path: Path) -> None:
    missing = tmp_path / "missing.raw"
    assert user.run("glance-upload", missing, ok=False) == f"glance-upload: {missing}: No such file or directory\n"


def test_a_service_that_is_not_there_is_not_waited_for_for_ever(tmp_path: Path) -> None:
    (tmp_path / "disk.raw").write_bytes(b"data")
    user = User(f"http://127.0.0.1:{lab.free_port()}", tmp_path)
    assert "glance-upload: " in user.run("glance-upload", tmp_path / "disk.raw", "--patience", "0.1", ok=False)


# -- down ------------------------------------------------------------------------------------------
def test_a_download_that_was_killed_goes_on(user: User, service: lab.Service, tmp_path: Path) -> None:
    path, out = tmp_path / "disk.img", tmp_path / "out"
    path.write_bytes(os.urandom(200 * MIB))
    image_id = user.run("glance-upload", path)
    process = user.started("glance-download", image_id, out, "--parallel", "1")
    notes = tmp_path / "out.part.json"
    until(lambda: process.poll() is not None or (notes.exists() and len(json.loads(notes.read_text())["done"]) >= 3))
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert not out.exists()
    done = len(json.loads(notes.read_text())["done"])
    before = service.log.stat().st_size
    user.run("glance-download", image_id, out)
    assert sha512(out) == sha512(path)
    told = service.log.read_text()[before:].count("image.send id=")
    assert told <= 7 - done + 1 < 7, (
        "what had come was not asked for again; the killed one's last request may be told late"
    )


def test_a_part_that_was_damaged_meanwhile_is_found(user: User, tmp_path: Path) -> None:
    path, out = tmp_path / "disk.img", tmp_path / "out"
    path.write_bytes(os.urandom(70 * MIB))
    image_id = user.run("glance-upload", path)
    process = user.started("glance-download", image_id, out, "--parallel", "1")
    until(lambda: (tmp_path / "out.part.json").exists() or process.poll() is not None)
    process.kill()
    process.communicate()
    if not out.exists():
        with (tmp_path / "out.part").open("r+b") as file:
            file.write(b"\0" * 100)
        assert "is not what image" in user.run("glance-download", image_id, out, ok=False)
        assert sorted(x.name for x in tmp_path.glob("out*")) == []
    user.run("glance-download", image_id, out, "--force")
    assert sha512(out) == sha512(path)


def test_a_file_that_is_there_is_not_replaced(user: User, disk: Path, tmp_path: Path) -> None:
    image_id, out = user.run("glance-upload", disk), tmp_path / "out"
    out.write_text("mine")
    assert "--force" in user.run("glance-download", image_id, out, ok=False)
    assert out.read_text() == "mine"
    user.run("glance-download", image_id, out, "--force")
    assert sha512(out) == sha512(disk)


def test_a_service_that_dies_during_a_download(disk: Path, tmp_path: Path) -> None:
    path = tmp_path / "disk.img"
    path.write_bytes(os.urandom(150 * MIB))
    with lab.service(CONFIG) as service:
        user = User(service.url, tmp_path)
        image_id = user.run("glance-upload", path)
        process = user.started("glance-download", image_id, tmp_path / "out", "--parallel", "2")
        until(lambda: (tmp_path / "out.part.json").exists() or process.poll() is not None)
        service.stop(signal.SIGKILL)
        service.start()
        _, said = process.communicate(timeout=240)
        assert process.returncode == 0, said
        assert sha512(tmp_path / "out") == sha512(path)
    with contextlib.suppress(FileNotFoundError):
        path.unlink()
