"""glance-replicator between the real Glance 33, our own service, and folders; broken off and run again."""

from __future__ import annotations

import contextlib
import json
import os
import random
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import bcrypt
import lab
import pytest
from client import HEADERS_AUTH, Client

from glancecore.remote.record import RemoteError, RemoteRecord

BIG = random.Random(3).randbytes(24 << 20)
IDENTITY = {
    "X-Identity-Status": "Confirmed",
    "X-User-Id": "u",
    "X-Project-Id": "demo",
    "X-Roles": "admin,member,reader",
}


def words(*args: object) -> list[str]:
    headers = [
        x
        for side in ("source", "target")
        for name, value in IDENTITY.items()
        for x in (f"--{side}-header", f"{name}: {value}")
    ]
    return [*headers, "--json", *map(str, args)]


def replicator(*args: object, code: int = 0) -> dict[str, Any]:
    done = lab.command("glance-replicator", *words(*args))
    assert done.returncode == code, done.stdout + done.stderr
    return dict(json.loads(done.stdout)) if done.stdout else {"error": done.stderr}


def outcomes(report: dict[str, Any]) -> dict[str, str]:
    return {x["id"]: x["outcome"] for x in report["images"]}


def admin(url: str) -> Client:
    return Client(url, roles="admin,member,reader")


@pytest.fixture(scope="module")
def glance() -> Iterator[str]:
    lab.down("peer")
    yield lab.up("peer", "headers", "sqlite", FRESH="1").url
    lab.down("peer")


@pytest.fixture
def ours() -> Iterator[str]:
    with lab.service(HEADERS_AUTH) as service:
        yield service.url


@pytest.fixture
def another() -> Iterator[str]:
    with lab.service(HEADERS_AUTH) as service:
        yield service.url


def filled(url: str) -> dict[str, bytes | None]:
    """By image id what it has; each in a state of its own."""
    client = admin(url)

    def made(data: bytes | None = b"", **fields: object) -> str:
        image_id = str(client.create(**fields)["id"])
        data = os.urandom(100_000) if data == b"" else data
        if data is not None:
            assert client.upload(image_id, data).status_code == 204
        found[image_id] = data
        return image_id

    found: dict[str, bytes | None] = {}
    made(name="é", tags=["b", "a"], colour="red", min_ram=7, min_disk=3)
    made(BIG, name="big", visibility="public", protected=True)
    made(name="hidden", os_hidden=True)
    shared = made(name="shared", visibility="shared")
    assert client.call("POST", f"/v2/images/{shared}/members", {"member": "friend"}).status_code == 200
    made(name="community", visibility="community")
    off = made(name="deactivated")
    assert client.call("POST", f"/v2/images/{off}/actions/deactivate").status_code == 204
    made(None, name="queued", container_format=None, disk_format=None)
    return found


def check(url: str, images: dict[str, bytes | None]) -> None:
    for image_id, data in images.items():
        image = admin(url).show(image_id)
        if data is None:
            assert image["status"] == "queued"
        else:
            answer = admin(url).download(image_id)
            assert answer.status_code == 200
            assert answer.content == data


def empty(url: str) -> None:
    """For the next test: what one test has left must not be seen by another."""
    client = admin(url)
    for hidden in ("false", "true"):
        for image in client.call("GET", f"/v2/images?visibility=all&os_hidden={hidden}&limit=100").json()["images"]:
            client.patch(image["id"], {"op": "replace", "path": "/protected", "value": False})
            assert client.delete(image["id"]).status_code == 204


def test_from_glance_to_ours_and_back(glance: str, ours: str) -> None:
    images = filled(glance)
    assert replicator("size", glance) == {"images": 6, "bytes": sum(len(x) for x in images.values() if x)}
    assert set(outcomes(replicator("compare", glance, ours, code=1)).values()) == {"missing"}
    assert outcomes(replicator("livecopy", glance, ours)) == dict.fromkeys(images, "copied")
    check(ours, images)
    assert set(outcomes(replicator("compare", glance, ours)).values()) == {"same"}
    assert [
        x["member_id"]
        for i in images
        if (found := admin(ours).show(i))["visibility"] == "shared" and found["name"] == "shared"
        for x in admin(ours).call("GET", f"/v2/images/{i}/members").json()["members"]
    ] == ["friend"]
    again = replicator("livecopy", glance, ours)
    assert (set(outcomes(again).values()), again["bytes"]) == ({"same"}, 0)

    empty(glance)
    changed = next(i for i, data in images.items() if data is not None)
    assert (
        admin(ours)
        .patch(changed, {"op": "add", "path": "/shade", "value": "dark"}, {"op": "remove", "path": "/colour"})
        .status_code
        == 200
    )
    # Glance keeps the ids of what was deleted: back it goes under ids of its own
    fresh = filled(ours)
    words = [x for image_id in fresh for x in ("--image", image_id)]
    assert outcomes(replicator(*words, "livecopy", ours, glance)) == dict.fromkeys(fresh, "copied")
    check(glance, fresh)
    assert set(outcomes(replicator(*words, "compare", ours, glance)).values()) == {"same"}
    first = next(iter(fresh))
    assert (
        admin(ours)
        .patch(first, {"op": "add", "path": "/shade", "value": "dark"}, {"op": "remove", "path": "/colour"})
        .status_code
        == 200
    )
    assert outcomes(replicator("--image", first, "compare", ours, glance, code=1)) == {first: "different"}
    assert outcomes(replicator("--image", first, "livecopy", ours, glance)) == {first: "updated"}
    assert outcomes(replicator("--image", first, "compare", ours, glance)) == {first: "same"}
    empty(glance)


def test_by_a_folder(ours: str, another: str, tmp_path: Path) -> None:
    images, folder = filled(ours), tmp_path / "dump"
    assert outcomes(replicator("dump", ours, folder)) == dict.fromkeys(images, "copied")
    assert {x.suffix for x in folder.iterdir()} == {".json", ".img"}
    assert set(outcomes(replicator("dump", ours, folder)).values()) == {"same"}

    big = next(i for i, data in images.items() if data == BIG)
    file = folder / f"{big}.img"
    file.rename(folder / f"{big}.img.part")  # as if broken off
    with (folder / f"{big}.img.part").open("r+b") as part:
        part.truncate(10 << 20)
    resumed = replicator("dump", ours, folder)
    assert outcomes(resumed)[big] == "copied"
    assert resumed["bytes"] == len(BIG) - (10 << 20)
    assert file.read_bytes() == BIG

    with file.open("r+b") as data:
        data.seek(5)
        data.write(b"xx")
    report = replicator("load", another, folder, code=1)
    assert outcomes(report)[big] == "failed"
    assert "another sha512" in next(x["text"] for x in report["images"] if x["id"] == big)
    assert admin(another).call("GET", f"/v2/images/{big}").status_code == 404
    check(another, {i: data for i, data in images.items() if i != big})
    assert file.exists(), "a dump is never removed by a load"


def test_damaged_leftovers_of_a_dump_are_noticed(ours: str, tmp_path: Path) -> None:
    client = admin(ours)
    image_id = client.create()["id"]
    assert client.upload(image_id, BIG).status_code == 204
    (tmp_path / f"{image_id}.img.part").write_bytes(bytes(1000))
    assert outcomes(replicator("dump", ours, tmp_path, code=1)) == {image_id: "failed"}
    assert outcomes(replicator("dump", ours, tmp_path)) == {image_id: "copied"}
    assert (tmp_path / f"{image_id}.img").read_bytes() == BIG


def test_killed_in_the_middle_and_run_again(ours: str, another: str) -> None:
    client = admin(ours)
    image_id = client.create(name="slow", visibility="public", protected=True)["id"]
    assert client.upload(image_id, BIG * 8).status_code == 204
    process = subprocess.Popen(
        [lab.BIN / "glance-replicator", *words("livecopy", ours, another)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    end = time.monotonic() + 60
    while admin(another).call("GET", f"/v2/images/{image_id}").json().get("status") != "saving":
        assert time.monotonic() < end
    process.send_signal(signal.SIGKILL)
    process.wait()
    half = admin(another).show(image_id)
    assert half["visibility"] == "private"
    while admin(another).show(image_id)["status"] == "saving":
        assert time.monotonic() < end
    done = outcomes(replicator("livecopy", ours, another))
    assert done[image_id] in ("copied", "same")  # the last bytes may have arrived before the signal
    check(another, {image_id: BIG * 8})


@contextlib.contextmanager
def cut_once(port: int, after: int) -> Iterator[str]:
    """The service of ``port`` behind a network that breaks the first answer that has ``after`` bytes, there."""
    left, lock = [1], threading.Lock()

    def down(server: socket.socket, client: socket.socket) -> None:
        came = 0
        with contextlib.suppress(OSError):
            while data := server.recv(65536):
                came += len(data)
                with lock:
                    broken = came > after and left[0]
                    left[0] -= bool(broken)
                if broken:
                    break
                client.sendall(data)
        for each in (server, client):
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)

    def up(client: socket.socket, server: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := client.recv(65536):
                server.sendall(data)
            server.shutdown(socket.SHUT_WR)

    def accept() -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = listener.accept()
                server = socket.create_connection(("127.0.0.1", port))
                sockets.extend((client, server))
                for work, ends in ((down, (server, client)), (up, (client, server))):
                    threads.append(threading.Thread(target=work, args=ends, daemon=True))
                    threads[-1].start()

    sockets: list[socket.socket] = []
    threads = [threading.Thread(target=accept, daemon=True)]
    with socket.create_server(("127.0.0.1", 0)) as listener:
        threads[0].start()
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            for each in (listener, *sockets):
                with contextlib.suppress(OSError):
                    each.shutdown(socket.SHUT_RDWR)
            for thread in threads:
                thread.join()
            for each in sockets:
                each.close()
    assert left == [0], "nothing was cut"


@pytest.mark.parametrize("to", ["folder", "service"])
def test_a_connection_that_breaks_is_taken_up_again(ours: str, another: str, tmp_path: Path, to: str) -> None:
    image_id = admin(ours).create()["id"]
    assert admin(ours).upload(image_id, BIG).status_code == 204
    with cut_once(int(ours.rpartition(":")[2]), 10 << 20) as source:
        report = replicator("dump", source, tmp_path) if to == "folder" else replicator("livecopy", source, another)
    assert outcomes(report) == {image_id: "copied"}
    if to == "folder":
        assert report["bytes"] < len(BIG), "it went on where it broke"
        assert (tmp_path / f"{image_id}.img").read_bytes() == BIG
    else:
        check(another, {image_id: BIG})


def test_what_is_not_carried_is_left_as_it_is_there(ours: str, another: str) -> None:
    image_id = admin(ours).create(colour="red", shade="dark")["id"]
    admin(another).create(id=image_id, colour="blue", own="x")
    assert outcomes(replicator("--without", "colour,own", "livecopy", ours, another)) == {image_id: "updated"}
    image = admin(another).show(image_id)
    assert (image["colour"], image["shade"], image["own"]) == ("blue", "dark", "x")


def test_an_image_that_was_registered_there_is_not_removed_for_wrong_data(
    ours: str, another: str, tmp_path: Path
) -> None:
    image_id = admin(ours).create()["id"]
    admin(ours).upload(image_id, b"data")
    replicator("dump", ours, tmp_path)
    (tmp_path / f"{image_id}.img").write_bytes(b"dada")
    admin(another).create(id=image_id, name="mine")
    assert outcomes(replicator("load", another, tmp_path, code=1)) == {image_id: "failed"}
    image = admin(another).show(image_id)
    assert (image["name"], image["status"]) == ("mine", "queued")


@pytest.mark.parametrize("image_id", ["../x", "a/b", ".hidden", ""])
def test_an_id_that_would_be_another_file_is_refused(image_id: str) -> None:
    with pytest.raises(RemoteError):
        RemoteRecord.of({"id": image_id, "status": "active"})


def test_other_data_under_the_same_id_is_left_alone(ours: str, another: str) -> None:
    image_id = admin(ours).create()["id"]
    admin(ours).upload(image_id, b"ours")
    admin(another).create(id=image_id)
    admin(another).upload(image_id, b"theirs")
    report = replicator("livecopy", ours, another, code=1)
    assert outcomes(report) == {image_id: "failed"}
    assert admin(another).download(image_id).content == b"theirs"


def test_a_cloud_of_clouds_yaml_with_http_basic(tmp_path: Path, ours: str) -> None:
    users = tmp_path / "users"
    users.write_text(f"admin:{bcrypt.hashpw(b'secret', bcrypt.gensalt(4)).decode()}\n")
    basic = {
        "DEFAULT": {"auth_strategy": "basic"},
        "auth_basic": {"http_basic_auth_user_file": users, "admins": "admin"},
    }
    with lab.service(basic) as service:
        (tmp_path / "clouds.yaml").write_text(
            json.dumps(
                {
                    "clouds": {
                        "mine": {
                            "auth_type": "http_basic",
                            "auth": {"username": "admin", "password": "secret", "endpoint": service.url},
                        }
                    }
                }
            )
        )
        image_id = admin(ours).create(name="x")["id"]
        admin(ours).upload(image_id, b"data")
        headers = [x for name, value in IDENTITY.items() for x in ("--source-header", f"{name}: {value}")]
        done = lab.command("glance-replicator", *headers, "--without", "owner", "livecopy", ours, "mine", cwd=tmp_path)
        assert done.returncode == 0, done.stderr
        assert done.stdout.splitlines() == [f"copied     {image_id}", "1 copied (4 bytes)"]


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (("size", "http://127.0.0.1:1"), "127.0.0.1:1"),
        (("size", "nowhere"), "cloud nowhere"),
        (("load", "http://127.0.0.1:1", "/nonexistent/folder"), "no such folder"),
    ],
)
def test_mistakes_are_told_in_one_line(args: tuple[str, ...], said: str) -> None:
    error = replicator(*args, code=1)["error"]
    assert said in error
    assert len(error.splitlines()) == 1
