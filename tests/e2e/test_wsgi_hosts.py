"""Other servers in front of or around the application: uWSGI, and nginx before glance-api."""

from __future__ import annotations

import hashlib
import os
import re
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import lab
import pytest
from client import HEADERS_AUTH, Client

DATA = os.urandom(3_000_000)
#: Bytes of the image that goes through nginx.
BIG = 64 << 20


# -- uWSGI -----------------------------------------------------------------------------------------
@dataclass(frozen=True)
class Hosted:
    port: int
    folder: Path

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"


def _start(service: lab.Service, port: int) -> subprocess.Popen[bytes]:
    """The settings are those of docs/deploying.md. uWSGI comes from an environment of its own, the application from
    ours."""
    venv = lab.venv("uwsgi", "pyuwsgi==2.0.30")
    packages = next((venv / "lib").glob("python3*/site-packages"))
    env = {**os.environ, "OS_GLANCE_CONFIG_FILE": str(service.config_file), "PYTHONPATH": str(packages)}
    (service.folder / "uwsgi.ini").write_text(
        _documented("ini", "[uwsgi]")
        .replace("127.0.0.1:9292", f"127.0.0.1:{port}")
        .replace("socket-timeout = 60", "socket-timeout = 5")
    )
    with (service.folder / "uwsgi.log").open("wb") as log:
        return subprocess.Popen(
            [sys.executable, venv / "bin" / "uwsgi", "--ini", service.folder / "uwsgi.ini"],
            env=env,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
        )


def _documented(kind: str, beginning: str) -> str:
    """A code block of docs/deploying.md."""
    blocks = re.findall(
        rf"^```{kind}\n(.*?)^```", (lab.REPO / "docs" / "deploying.md").read_text(), re.MULTILINE | re.DOTALL
    )
    return str(next(x for x in blocks if x.startswith(beginning)))


@pytest.fixture(scope="module")
def uwsgi(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hosted]:
    folder, port = tmp_path_factory.mktemp("uwsgi"), lab.free_port()
    with lab.service(HEADERS_AUTH, folder=folder, start=False) as service:
        process = _start(service, port)
        try:
            assert lab.answers(port, 60, process), (folder / "uwsgi.log").read_text()
            yield Hosted(port, folder)
        finally:
            process.terminate()
            process.wait(30)


def test_uwsgi_does_not_start_open_to_everybody(tmp_path: Path) -> None:
    with lab.service(folder=tmp_path, start=False) as service:
        process = _start(service, lab.free_port())
        assert process.wait(60) != 0
        assert "allow_open_access = true" in (tmp_path / "uwsgi.log").read_text()


def test_uwsgi_takes_uploads_with_a_length(uwsgi: Hosted) -> None:
    client = Client(uwsgi.url)
    image_id = client.create()["id"]
    assert client.upload(image_id, DATA).status_code == 204
    shown = client.show(image_id)
    assert (shown["status"], shown["os_hash_value"]) == ("active", hashlib.sha512(DATA).hexdigest())
    assert client.download(image_id).content == DATA
    part = client.download(image_id, Range="bytes=1000-1999")
    assert (part.status_code, part.content) == (206, DATA[1000:2000])
    assert client.delete(image_id).status_code == 204


@pytest.mark.parametrize("sent", [0, 1_000_000, len(DATA) - 1])
def test_uwsgi_never_makes_a_truncated_upload_active(uwsgi: Hosted, sent: int) -> None:
    client = Client(uwsgi.url)
    image_id = client.create()["id"]
    with socket.create_connection(("127.0.0.1", uwsgi.port), timeout=20) as connection:
        connection.sendall(_head(client, image_id, f"Content-Length: {len(DATA)}") + DATA[:sent])
        connection.shutdown(socket.SHUT_WR)
        while connection.recv(1000):
            pass
    end = time.monotonic() + 20
    while (status := client.show(image_id)["status"]) != "queued":
        assert status == "saving", f"a truncated upload became {status}"
        assert time.monotonic() < end, "still saving"
        time.sleep(0.05)
    assert not [x for x in (uwsgi.folder / "images").iterdir() if x.is_file() and not x.name.startswith(".")]
    assert client.upload(image_id, DATA).status_code == 204
    assert client.delete(image_id).status_code == 204


def test_uwsgi_refuses_chunked_uploads(uwsgi: Hosted) -> None:
    """uWSGI ends a broken chunked body like a complete one, so none is believed."""
    client = Client(uwsgi.url)
    image_id = client.create()["id"]
    answer = client.upload(image_id, iter([DATA]))
    assert answer.status_code == 411
    assert "Content-Length" in answer.text
    assert client.show(image_id)["status"] == "queued"
    assert client.delete(image_id).status_code == 204


def test_uwsgi_imports_in_a_process_beside_it(uwsgi: Hosted) -> None:
    client = Client(uwsgi.url)
    image_id = client.create()["id"]
    octets = {"Content-Type": "application/octet-stream", "Content-Length": str(len(DATA))}
    assert client.call("PUT", f"/v2/images/{image_id}/stage", headers=octets, data=DATA).status_code == 204
    assert (
        client.call("POST", f"/v2/images/{image_id}/import", {"method": {"name": "glance-direct"}}).status_code == 202
    )
    end = time.monotonic() + 60
    while client.show(image_id)["status"] != "active":
        assert time.monotonic() < end, client.call("GET", f"/v2/images/{image_id}/tasks").text
        time.sleep(0.1)
    assert client.download(image_id).content == DATA
    assert client.delete(image_id).status_code == 204


def _head(client: Client, image_id: str, framing: str) -> bytes:
    lines = [
        f"PUT /v2/images/{image_id}/file HTTP/1.1",
        "Host: x",
        "Content-Type: application/octet-stream",
        framing,
        *(f"{name}: {value}" for name, value in client.session.headers.items() if str(name).startswith("X-")),
    ]
    return "\r\n".join([*lines, "", ""]).encode()


# -- nginx -----------------------------------------------------------------------------------------
@pytest.fixture(scope="module")
def proxied(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, lab.Service]]:
    """A real nginx before a real glance-api, as docs/deploying.md has it."""
    lab.need("nginx-light")
    folder, port = tmp_path_factory.mktemp("nginx"), lab.free_port()
    with lab.service(lab.merged(HEADERS_AUTH, {"oslo_middleware": {"enable_proxy_headers_parsing": True}})) as service:
        (folder / "nginx.conf").write_text(_nginx(folder, port, service.url))
        process = subprocess.Popen(
            ["nginx", "-c", folder / "nginx.conf"],
            stdin=subprocess.DEVNULL,
            env={**os.environ, "PATH": f"{os.environ['PATH']}:/usr/sbin"},
        )
        try:
            assert lab.answers(port, 20, process)
            yield f"http://127.0.0.1:{port}", service
        finally:
            process.terminate()
            process.wait(20)


def _nginx(folder: Path, port: int, upstream: str) -> str:
    """The location block is the one in docs/deploying.md; this proxy is the login, and everybody is the same member to
    it."""
    block = _documented("nginx", "location").replace("http://127.0.0.1:9292", upstream)
    for name, value in (
        ("X-Identity-Status", "Confirmed"),
        ("X-User-Id", "user-demo"),
        ("X-Project-Id", "demo"),
        ("X-Roles", "member,reader"),
    ):
        assert f'proxy_set_header {name} "";' in block
        block = block.replace(f'proxy_set_header {name} "";', f'proxy_set_header {name} "{value}";')
    places = "".join(
        f"{kind}_temp_path {folder}/{kind}; " for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    user = "user root; " if os.geteuid() == 0 else ""
    return (
        f"{user}daemon off; pid {folder}/pid; error_log {folder}/error.log; worker_processes 1;\n"
        f"events {{ }}\nhttp {{ access_log off; {places}\nserver {{ listen 127.0.0.1:{port};\n{block}\n}} }}\n"
    )


def test_what_a_client_claims_to_be_ends_at_nginx(proxied: tuple[str, lab.Service]) -> None:
    url, _service = proxied
    image_id = Client(url).create()["id"]
    claims = {
        "X-Tenant-Id": "other",
        "OpenStack-System-Scope": "all",
        "X-User-Domain-Id": "d",
        "Forwarded": "for=127.0.0.1;host=evil;proto=https",
        "X-Forwarded-Host": "evil",
        "X-Forwarded-Proto": "https",
        "X-Forwarded-Prefix": "/evil",
        "X-Forwarded-For": "192.0.2.1",
    }
    stranger = Client(url, project="other", roles="admin")
    stranger.session.headers.update(claims)
    assert stranger.show(image_id)["owner"] == "demo", "who is the same member to nginx"
    made = stranger.call("POST", "/v2/images", {"visibility": "public"})
    assert made.status_code == 403, "no admin"
    made = stranger.call("POST", "/v2/images", {})
    assert made.json()["owner"] == "demo"
    assert made.headers["Location"] == f"{url}/v2/images/{made.json()['id']}"


def test_nginx_passes_a_chunked_upload_and_a_big_download(proxied: tuple[str, lab.Service]) -> None:
    url, service = proxied
    client, digest, piece = Client(url), hashlib.sha512(), os.urandom(1 << 20)
    image_id = client.create()["id"]
    assert client.upload(image_id, (piece for _ in range(BIG >> 20))).status_code == 204
    for _ in range(BIG >> 20):
        digest.update(piece)
    assert client.show(image_id)["os_hash_value"] == digest.hexdigest()
    seen = hashlib.sha512()
    with client.session.get(f"{url}/v2/images/{image_id}/file", stream=True, timeout=60) as answer:
        for part in answer.iter_content(1 << 20):
            seen.update(part)
    assert seen.hexdigest() == digest.hexdigest()
    assert (service.folder / "images" / image_id).stat().st_size == BIG
    assert client.delete(image_id).status_code == 204


def test_nginx_streams_instead_of_collecting_the_upload(proxied: tuple[str, lab.Service]) -> None:
    """The service works on the first pieces while the client still sends."""
    url, service = proxied
    client = Client(url)
    image_id = client.create()["id"]
    statuses = []

    def pieces() -> Iterator[bytes]:
        yield DATA
        end = time.monotonic() + 10
        while time.monotonic() < end and "saving" not in statuses:
            statuses.append(Client(service.url).show(image_id)["status"])
        yield DATA

    assert client.upload(image_id, pieces()).status_code == 204
    assert "saving" in statuses
    assert client.delete(image_id).status_code == 204


def test_a_truncated_upload_through_nginx_never_becomes_active(proxied: tuple[str, lab.Service]) -> None:
    url, service = proxied
    client = Client(url)
    for framing, data in (
        (f"Content-Length: {len(DATA)}", DATA[:-1]),
        ("Transfer-Encoding: chunked", b"%x\r\n%s\r\n" % (len(DATA), DATA)),
    ):
        image_id = client.create()["id"]
        with socket.create_connection(("127.0.0.1", int(url.rsplit(":", 1)[1])), timeout=20) as connection:
            connection.sendall(_head(client, image_id, framing) + data)
        end = time.monotonic() + 20
        while (status := client.show(image_id)["status"]) != "queued" or (
            service.folder / "images" / image_id
        ).exists():
            assert status in ("saving", "queued"), f"a truncated upload became {status}"
            assert time.monotonic() < end, "still saving"
            time.sleep(0.05)
        assert client.delete(image_id).status_code == 204


def test_links_name_the_proxy(proxied: tuple[str, lab.Service]) -> None:
    url, _ = proxied
    versions = Client(url).call("GET", "/versions").json()["versions"]
    assert versions[0]["links"][0]["href"] == f"{url}/v2/"
