"""Clients that are slow, silent or too many, and what everybody else notices of them: nothing."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import socket
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import lab
import pytest
import requests
from client import HEADERS_AUTH, Client
from waiting import until

MIB = 1 << 20


def _headers(project: str) -> str:
    return f"X-Identity-Status: Confirmed\r\nX-User-Id: u\r\nX-Project-Id: {project}\r\nX-Roles: member,reader\r\n"


def _ask(
    service: lab.Service, line: str, project: str = "demo", more: str = "", buffer: int = 1 << 16
) -> socket.socket:
    made = _connected(service, buffer)
    made.sendall(f"{line} HTTP/1.1\r\nHost: x\r\n{_headers(project)}{more}\r\n".encode())
    return made


def _connected(service: lab.Service, buffer: int = 1 << 16) -> socket.socket:
    made = socket.socket()
    made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer)
    if buffer < 1 << 16:  # over loopback the server's buffer would else be large
        made.setsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG, 1400)
    made.settimeout(30)
    made.connect(("127.0.0.1", service.port))
    return made


def _upload(service: lab.Service, project: str = "demo", length: int = MIB) -> socket.socket:
    image_id = Client(service.url, project).create()["id"]
    return _ask(
        service,
        f"PUT /v2/images/{image_id}/file",
        project,
        f"Content-Type: application/octet-stream\r\nContent-Length: {length}\r\n",
    )


def _metric(service: lab.Service, name: str) -> float:
    text = requests.get(f"{service.url}/metrics", timeout=30).text
    return sum(float(line.rpartition(" ")[2]) for line in text.splitlines() if line.startswith(name))


@contextlib.contextmanager
def _crowd(service: lab.Service, folder: Path, **options: object) -> Iterator[subprocess.Popen[str]]:
    (folder / "crowd.json").write_text(json.dumps(options))
    process = subprocess.Popen(
        [sys.executable, lab.REPO / "tests" / "crowd.py", service.url, folder / "crowd.json"],
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def test_a_thousand_that_wait_and_a_thousand_slow_transfers(tmp_path: Path) -> None:
    """With the defaults. Nobody else waits for them, all that keep the least rate arrive, and a worker stays small."""
    with lab.service(lab.merged(HEADERS_AUTH, {"DEFAULT": {"workers": 2}})) as service:
        one, two, other = (Client(service.url, x) for x in ("one", "two", "other"))
        data = os.urandom(MIB) * 8
        source = {x: x.create()["id"] for x in (one, two)}
        for client, image_id in source.items():
            assert client.upload(image_id, data).status_code == 204
        own = other.create()["id"]
        uploads = [
            [_headers(name), client.create()["id"], bool(number % 2)]
            for number in range(250)
            for name, client in (("one", one), ("two", two))
        ]
        downloads = [
            [_headers(name), source[client]] for _ in range(250) for name, client in (("one", one), ("two", two))
        ]
        with _crowd(
            service, tmp_path, waiting=1000, uploads=uploads, downloads=downloads, up=1024, down=50 * 1024, rounds=12
        ) as crowd:
            assert crowd.stdout is not None
            assert crowd.stdout.readline() == "ready\n"
            for _ in range(40):
                assert requests.get(f"{service.url}/healthcheck", timeout=60).text == "OK"
                assert other.show(own)["status"] == "queued"
                time.sleep(0.1)
            memory = [
                int(
                    next(
                        x for x in Path(f"/proc/{pid}/status").read_text().splitlines() if x.startswith("VmRSS")
                    ).split()[1]
                )
                >> 10
                for pid in service.workers
            ]
            found = json.loads(crowd.stdout.read())
        assert found["answers"] == {"waited": 1000, "upload HTTP/1.1 204 NO CONTENT": 500, "download whole": 500}
        assert {digest for _, digest in found["downloaded"]} == {hashlib.sha512(data).hexdigest()}
        shown = {x["id"]: x["os_hash_value"] for client in (one, two) for x in _all(client)}
        assert all(shown[image_id] == digest for image_id, digest in found["uploaded"])
        assert max(memory) < 300, memory


def _all(client: Client) -> list[dict[str, str]]:
    found: list[dict[str, str]] = []
    path = "/v2/images?limit=1000"
    while path:
        page = client.call("GET", path).json()
        found += page["images"]
        path = page.get("next", "")
    return found


def test_a_body_of_metadata_that_comes_byte_by_byte_holds_no_thread() -> None:
    with lab.service(lab.merged(HEADERS_AUTH, {"server": {"threads": 1, "client_timeout": 1}})) as service:
        client, body = Client(service.url), b'{"disk_format": "raw", "container_format": "bare", "name": "slow"}'
        slow = [
            _ask(service, "POST /v2/images", more=f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n")
            for _ in range(3)
        ]
        for connection in slow:
            connection.sendall(body[:10])
        assert client.call("GET", "/v2/images").status_code == 200
        slow[0].sendall(body[10:])
        assert slow[0].recv(12) == b"HTTP/1.1 201"
        assert slow[1].recv(12) == b"HTTP/1.1 408", "an answer, not silence"
        for connection in slow:
            connection.close()


def test_probes_are_answered_while_no_metadata_can_be(tmp_path: Path) -> None:
    """Threads that wait for a database that hangs are not those of the probes."""
    with lab.service(lab.merged(HEADERS_AUTH, {"server": {"threads": 2}}), folder=tmp_path) as service:
        with contextlib.closing(sqlite3.connect(tmp_path / "glance.sqlite", isolation_level=None)) as database:
            database.execute("begin immediate")
            stuck = [
                _ask(service, "POST /v2/images", more="Content-Type: application/json\r\nContent-Length: 2\r\n")
                for _ in range(6)
            ]
            for connection in stuck:
                connection.sendall(b"{}")
            for _ in range(5):
                assert requests.get(f"{service.url}/healthcheck", timeout=30).text == "OK"
            assert _metric(service, "glance_http_requests_total") > 0
            database.execute("rollback")
        for connection in stuck:
            assert connection.recv(12).startswith(b"HTTP/1.1 ")
            connection.close()


@pytest.mark.parametrize(
    ("option", "status"),
    [("max_transfers", 503), ("max_transfers_per_address", 429), ("max_transfers_per_project", 429)],
)
def test_one_transfer_too_many_is_told_when_to_try_again(option: str, status: int) -> None:
    with lab.service(lab.merged(HEADERS_AUTH, {"server": {option: 2}})) as service:
        client = Client(service.url)
        image_id = client.create()["id"]
        busy = [_upload(service) for _ in range(2)]
        for connection in busy:
            connection.sendall(bytes(300_000))
        until(lambda: _metric(service, "glance_server_transfers") == 2)
        refused = client.upload(image_id, bytes(10))
        assert (refused.status_code, refused.headers["Retry-After"]) == (status, "5")
        assert refused.json()["error"] == ("server_busy" if status == 503 else "too_many_transfers")
        assert client.show(image_id)["status"] == "queued"
        assert _metric(service, "glance_server_refused_total") == 1
        others = Client(service.url, "others")
        theirs = others.create()["id"]
        assert others.upload(theirs, bytes(10)).status_code == (
            204 if option == "max_transfers_per_project" else status
        )
        busy[0].sendall(bytes(MIB - 300_000))
        assert busy[0].recv(12) == b"HTTP/1.1 204"
        until(lambda: client.upload(image_id, bytes(10)).status_code == 204)
        for connection in busy:
            connection.close()


@pytest.mark.parametrize("chunked", [False, True], ids=["length", "chunked"])
def test_an_upload_below_the_least_rate_is_broken_off(chunked: bool) -> None:
    """However steadily its bytes come."""
    with lab.service(
        lab.merged(HEADERS_AUTH, {"server": {"min_transfer_rate": 1000, "transfer_rate_window": 2}})
    ) as service:
        client = Client(service.url)
        image_id = client.create()["id"]
        framing = "Transfer-Encoding: chunked" if chunked else "Content-Length: 1000000"
        connection = _ask(
            service, f"PUT /v2/images/{image_id}/file", more=f"Content-Type: application/octet-stream\r\n{framing}\r\n"
        )
        connection.settimeout(0.1)
        end, answer = time.monotonic() + 60, b""
        while not answer:
            assert time.monotonic() < end
            with contextlib.suppress(TimeoutError):
                connection.sendall(b"2\r\nxx\r\n" if chunked else b"xx")
                answer = connection.recv(1000)
        assert answer.startswith(b"HTTP/1.1 400 ")
        assert b"1000 bytes a second" in answer
        connection.close()
        until(lambda: client.show(image_id)["status"] == "queued")


def test_a_download_below_the_least_rate_is_broken_off() -> None:
    with lab.service(
        lab.merged(HEADERS_AUTH, {"server": {"min_transfer_rate": 10_000, "transfer_rate_window": 2}})
    ) as service:
        client, size = Client(service.url), 32 * MIB
        image_id = client.create()["id"]
        assert client.upload(image_id, bytes(size)).status_code == 204
        slow, steady = (_ask(service, f"GET /v2/images/{image_id}/file") for _ in range(2))
        got = 0
        for _ in range(80):  # 8 s: 100 bytes a second and 500,000
            assert slow.recv(10)
            got += len(steady.recv(50_000))
            time.sleep(0.1)
        while piece := steady.recv(MIB):
            got += len(piece)
            if got > size:
                break
        assert got > size, "with its header"
        count = 0
        with contextlib.suppress(ConnectionResetError):
            while piece := slow.recv(MIB):
                count += len(piece)
        assert count < size
        assert _metric(service, 'glance_server_refused_total{reason="slow download"}') == 1
        slow.close()
        steady.close()


def test_a_header_without_end_is_refused() -> None:
    with (
        lab.service(HEADERS_AUTH) as service,
        socket.create_connection(("127.0.0.1", service.port), timeout=30) as connection,
    ):
        connection.sendall(b"GET / HTTP/1.1\r\n")
        with contextlib.suppress(ConnectionError):
            for _ in range(200):
                connection.sendall(b"X-A: " + b"a" * 1000 + b"\r\n")
        assert connection.recv(12) == b"HTTP/1.1 431"


@pytest.mark.parametrize(
    "sent",
    [
        b"G",
        b"POST /v2/images HTTP/1.1\r\nHost: x\r\nContent-Length: 200000\r\n\r\n{",
        b"GET / HTTP/1.1\r\nHost: x\r\n\r\n" * 300,
    ],
    ids=["header", "body", "answer"],
)
def test_those_that_wait_make_room_for_those_that_ask(sent: bytes) -> None:
    with lab.service(
        lab.merged(
            HEADERS_AUTH,
            {"DEFAULT": {"workers": 1}, "server": {"threads": 4, "worker_connections": 20, "client_timeout": 600}},
        )
    ) as service:
        idle = [_connected(service, buffer=4096) for _ in range(40)]
        for connection in idle:
            with contextlib.suppress(ConnectionError):
                connection.sendall(sent)
        for _ in range(3):
            assert requests.get(f"{service.url}/healthcheck", timeout=30).text == "OK"
        with contextlib.suppress(ConnectionResetError):
            while idle[0].recv(MIB):
                pass
        for connection in idle:
            connection.close()


def test_who_has_just_come_makes_room_for_nobody() -> None:
    """All other connections are busy, and the last one waits for its header: no other client is there that it could
    make room for."""
    with lab.service(
        lab.merged(
            HEADERS_AUTH,
            {"DEFAULT": {"workers": 1}, "server": {"threads": 5, "worker_connections": 6, "client_timeout": 600}},
        )
    ) as service:
        busy = [_upload(service) for _ in range(5)]
        for connection in busy:
            connection.sendall(b"x" * 1000)
        until(lambda: _metric(service, 'glance_server_connections{state="header"}') == 0)
        last = _connected(service)
        time.sleep(1)
        last.sendall(b"GET /healthcheck HTTP/1.1\r\nHost: x\r\n\r\n")
        assert last.recv(12) == b"HTTP/1.1 200"
        for connection in (*busy, last):
            connection.close()


def test_bodies_that_do_not_come_take_little_memory() -> None:
    """Without a login. The oldest make room for others, whose bodies come."""
    with lab.service(lab.merged(HEADERS_AUTH, {"DEFAULT": {"workers": 1}})) as service:
        size = 250_000
        waiting = [_connected(service) for _ in range(600)]
        for connection in waiting:
            with contextlib.suppress(ConnectionError):
                connection.sendall(
                    b"POST /v2/images HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % size + bytes(size - 1)
                )
        assert _metric(service, 'glance_server_connections{state="body"}') <= 269
        assert Client(service.url).create()["status"] == "queued"
        assert waiting[0].recv(1) == b""
        waiting[-1].sendall(b" ")
        assert waiting[-1].recv(12) == b"HTTP/1.1 401"
        for connection in waiting:
            connection.close()
