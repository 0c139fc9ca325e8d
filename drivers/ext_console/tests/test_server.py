"""By a real server with two workers, which share sessions, and hold neither bodies nor answers."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import socket
import stat
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import lab
import pytest
import requests
from client import HEADERS_AUTH
from waiting import until

MIB = 1 << 20
SIZE = 64 * MIB
IDENTITY = {
    "X-Identity-Status": "Confirmed",
    "X-User-Id": "user-demo",
    "X-Project-Id": "demo",
    "X-Roles": "member,reader",
}


@pytest.fixture(scope="module")
def service() -> Iterator[lab.Service]:
    with lab.service(
        lab.merged(
            HEADERS_AUTH,
            {"DEFAULT": {"enabled_extensions": "console, tus", "workers": 2}, "periodic": {"embedded": False}},
        )
    ) as service:
        yield service


class Page:
    """What the page sends from a browser behind a proxy. Each request has a connection of its own, so either worker may
    get it."""

    def __init__(self, url: str) -> None:
        self.url, self.cookies, self.csrf = url, {}, ""

    def ask(self, method: str, path: str, **more: Any) -> requests.Response:
        headers = {
            **IDENTITY,
            "Accept": "application/json",
            "Sec-Fetch-Site": "same-origin",
            "Origin": self.url,
            "X-CSRF-Token": self.csrf,
            **more.pop("headers", {}),
        }
        answer = requests.request(
            method, f"{self.url}{path}", headers=headers, cookies=self.cookies, timeout=120, **more
        )
        self.cookies = {**self.cookies, **answer.cookies.get_dict()}
        return answer

    def login(self) -> None:
        answer = self.ask("POST", "/console/session", json={"method": "proxy"})
        assert answer.status_code == 200, answer.text
        self.csrf = answer.json()["csrf"]

    def image(self) -> str:
        answer = self.ask("POST", "/console/api/v2/images", json={"disk_format": "raw", "container_format": "bare"})
        assert answer.status_code == 201, answer.text
        return str(answer.json()["id"])

    def raw(self, *lines: str) -> bytes:
        """The header of a request, for a socket."""
        cookies = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        said = [
            *lines,
            f"Host: {self.url.removeprefix('http://')}",
            f"Cookie: {cookies}",
            f"X-CSRF-Token: {self.csrf}",
            *(f"{name}: {value}" for name, value in IDENTITY.items()),
        ]
        return ("\r\n".join(said) + "\r\n\r\n").encode()


@pytest.fixture
def page(service: lab.Service) -> Page:
    page = Page(service.url)
    page.login()
    return page


def held(service: lab.Service) -> int:
    """Bytes of memory that the workers have had at the most."""
    found = 0
    for pid in lab.children(service.process.pid):
        for line in Path(f"/proc/{pid}/status").read_text().splitlines():
            if line.startswith("VmHWM"):
                found += int(line.split()[1]) << 10
    return found


def arrived(service: lab.Service) -> int:
    """Bytes of the file, which has no name yet, that a worker writes."""
    sizes = [0]
    for pid in lab.children(service.process.pid):
        for fd in Path(f"/proc/{pid}/fd").iterdir():
            with contextlib.suppress(OSError):  # closed meanwhile
                found = fd.stat()
                sizes += [found.st_size] if stat.S_ISREG(found.st_mode) and not found.st_nlink else []
    return max(sizes)


def test_each_worker_knows_each_session(page: Page) -> None:
    image_id = page.image()
    assert {page.ask("GET", f"/console/api/v2/images/{image_id}").status_code for _ in range(20)} == {200}
    other = Page(page.url)
    other.login()
    assert page.ask("DELETE", "/console/sessions").status_code == 204
    assert {other.ask("GET", "/console/api/v2/images").status_code for _ in range(20)} == {401}


def test_a_body_is_taken_as_it_comes(service: lab.Service, page: Page) -> None:
    image_id, data = page.image(), os.urandom(SIZE)
    with socket.create_connection(("127.0.0.1", service.port)) as sock:
        sock.sendall(
            page.raw(
                f"PUT /console/api/v2/images/{image_id}/file HTTP/1.1",
                "Content-Type: application/octet-stream",
                f"Content-Length: {SIZE}",
                "Connection: close",
            )
        )
        sock.sendall(data[: SIZE // 2])
        until(lambda: arrived(service) >= SIZE // 4)
        assert page.ask("GET", f"/console/api/v2/images/{image_id}").json()["status"] == "saving"
        sock.sendall(data[SIZE // 2 :])
        assert sock.recv(1000).startswith(b"HTTP/1.1 204 ")
    assert (
        page.ask("GET", f"/console/api/v2/images/{image_id}").json()["os_hash_value"]
        == hashlib.sha512(data).hexdigest()
    )


def test_memory_does_not_grow_with_what_is_moved(service: lab.Service, page: Page) -> None:
    small = page.image()
    assert (
        page.ask(
            "PUT",
            f"/console/api/v2/images/{small}/file",
            data=b"x" * MIB,
            headers={"Content-Type": "application/octet-stream"},
        ).status_code
        == 204
    )
    before, image_id = held(service), page.image()
    pieces = (bytes(MIB) for _ in range(SIZE // MIB))
    assert (
        page.ask(
            "PUT",
            f"/console/api/v2/images/{image_id}/file",
            data=pieces,
            headers={"Content-Type": "application/octet-stream"},
        ).status_code
        == 204
    )
    answer = page.ask("GET", f"/console/api/v2/images/{image_id}/file", stream=True)
    assert answer.status_code == 200
    assert sum(len(x) for x in answer.iter_content(MIB)) == SIZE
    assert held(service) - before < SIZE // 2


def test_an_upload_that_broke_off_goes_on(page: Page) -> None:
    image_id, data = page.image(), os.urandom(3 * MIB)
    answer = page.ask(
        "POST",
        f"/console/api/v2/images/{image_id}/uploads",
        headers={"Tus-Resumable": "1.0.0", "Upload-Length": str(len(data))},
    )
    assert answer.status_code == 201, answer.text
    path = answer.headers["Location"].removeprefix(page.url)
    assert path.startswith("/console/api/")
    with socket.create_connection(("127.0.0.1", int(page.url.rpartition(":")[2]))) as sock:
        sock.sendall(
            page.raw(
                f"PATCH {path} HTTP/1.1",
                "Tus-Resumable: 1.0.0",
                "Upload-Offset: 0",
                "Content-Type: application/offset+octet-stream",
                f"Content-Length: {len(data)}",
            )
        )
        sock.sendall(data[: 2 * MIB])
    headers = {"Tus-Resumable": "1.0.0"}

    def offset() -> str | None:
        """None: the one that broke off has only now begun, and is the newer one."""
        answer = page.ask("HEAD", path, headers=headers)
        assert answer.status_code in (200, 409), (answer.status_code, dict(answer.headers))
        return answer.headers.get("Upload-Offset")

    until(lambda: offset() == str(2 * MIB))
    answer = page.ask(
        "PATCH",
        path,
        data=data[2 * MIB :],
        headers={**headers, "Upload-Offset": str(2 * MIB), "Content-Type": "application/offset+octet-stream"},
    )
    assert answer.status_code == 204, answer.text
    until(lambda: page.ask("GET", f"/console/api/v2/images/{image_id}").json()["status"] == "active")


def test_curl_gets_in_as_well(service: lab.Service, tmp_path: Path) -> None:
    """What is no browser says nothing of sites; the session's token is needed all the same."""
    jar = tmp_path / "jar"
    said = [x for name, value in IDENTITY.items() for x in ("-H", f"{name}: {value}")]

    def curl(*words: str) -> str:
        return subprocess.run(
            ["curl", "-sS", "-b", jar, "-c", jar, *said, *words], check=True, capture_output=True, text=True
        ).stdout

    token = json.loads(
        curl("-H", "Content-Type: application/json", "-d", '{"method": "proxy"}', f"{service.url}/console/session")
    )["csrf"]
    new = [
        "-H",
        "Content-Type: application/json",
        "-d",
        '{"name": "by curl"}',
        "-w",
        "%{http_code}",
        "-o",
        "/dev/null",
        f"{service.url}/console/api/v2/images",
    ]
    assert curl(*new) == "403"
    assert curl("-H", f"X-CSRF-Token: {token}", *new) == "201"
