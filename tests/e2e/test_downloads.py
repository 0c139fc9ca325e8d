"""Downloads of local files, with and without the kernel's help: who does the work, and what ends a client or a file
that fails."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import lab
import pytest
from client import HEADERS_AUTH, Client

MIB = 1 << 20
SIZE = 64 * MIB


@pytest.fixture(scope="module", params=[True, False], ids=["kernel", "copied"])
def service(request: pytest.FixtureRequest) -> Iterator[lab.Service]:
    with lab.service(
        lab.merged(HEADERS_AUTH, {"server": {"sendfile": request.param, "threads": 2, "client_timeout": 1}})
    ) as made:
        yield made


@pytest.fixture
def client(service: lab.Service) -> Client:
    return Client(service.url)


@pytest.fixture
def image_id(client: Client) -> str:
    image_id = str(client.create()["id"])
    assert client.upload(image_id, os.urandom(MIB) * 64).status_code == 204
    return image_id


def file_of(service: lab.Service, image_id: str) -> Path:
    return service.folder / "images" / image_id


def reads(service: lab.Service) -> int:
    """System calls that read, of all its processes until now: one that sends a file is one of them."""
    assert service.process is not None
    rows = [
        line.split()
        for pid in (service.process.pid, *service.workers)
        for line in Path(f"/proc/{pid}/io").read_text().splitlines()
    ]
    return sum(int(value) for name, value in rows if name == "syscr:")


def ask(service: lab.Service, image_id: str) -> socket.socket:
    made = socket.socket()
    made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 16)
    made.settimeout(20)
    made.connect(("127.0.0.1", service.port))
    made.sendall(
        f"GET /v2/images/{image_id}/file HTTP/1.1\r\nHost: x\r\nX-Identity-Status: Confirmed\r\nX-User-Id:"
        " user-demo\r\nX-Project-Id: demo\r\nX-Roles: member,reader\r\n\r\n".encode()
    )
    return made


def everything(connection: socket.socket) -> int:
    """Bytes until the server closes."""
    count = 0
    try:
        while piece := connection.recv(MIB):
            count += len(piece)
    except ConnectionResetError:
        pass
    return count


def test_the_kernel_does_the_work(service: lab.Service, client: Client, image_id: str) -> None:
    before = reads(service)
    assert client.download(image_id).content == file_of(service, image_id).read_bytes()
    spent = reads(service) - before
    assert (spent < 40) == bool(service.config["server"]["sendfile"]), spent


def test_clients_that_take_nothing_hold_no_thread_and_are_ended(
    service: lab.Service, client: Client, image_id: str
) -> None:
    silent = [ask(service, image_id) for _ in range(8)]
    try:
        for connection in silent:
            assert connection.recv(12) == b"HTTP/1.1 200"
        assert client.show(image_id)["status"] == "active", "there are two threads"
        time.sleep(5)  # several times client_timeout
        for connection in silent:
            assert everything(connection) < SIZE
    finally:
        for connection in silent:
            connection.close()


def test_a_slow_client_gets_everything(service: lab.Service, image_id: str) -> None:
    connection, count, size = ask(service, image_id), 0, None
    while size is None or count < size:
        if count < 3 * MIB:
            time.sleep(0.1)  # several times as long as client_timeout in all
        piece = connection.recv(1 << 17)
        assert piece, f"it ended after {count} bytes"
        if size is None:
            head, _, rest = piece.partition(b"\r\n\r\n")
            size, count = len(head) + 4 + SIZE, 0
            assert rest is not None
        count += len(piece)
    connection.close()


def test_a_file_that_is_shorter_than_the_image_ends_the_connection(
    service: lab.Service, client: Client, image_id: str
) -> None:
    os.truncate(file_of(service, image_id), SIZE // 2)
    connection = ask(service, image_id)
    head, _, rest = connection.recv(MIB).partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200") is True
    assert f"content-length: {SIZE}".encode() in head.lower()
    assert len(rest) + everything(connection) == SIZE // 2
    connection.close()
    assert client.show(image_id)["status"] == "active"
