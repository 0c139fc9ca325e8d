"""An upload that is refused at its first bytes: a client that sends all of it before it reads learns why, over TLS as
well."""

from __future__ import annotations

import contextlib
import socket
import ssl
import subprocess
from collections.abc import Iterator

import lab
import pytest
import requests
from client import HEADERS_AUTH, Client
from images import samples
from waiting import until

MIB = 1 << 20
#: More than buffers of the system hold.
SIZE = 96 * MIB


@pytest.fixture(scope="module", params=["http", "https"])
def client(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    folder = tmp_path_factory.mktemp("refused")
    cert, key = folder / "cert.pem", folder / "key.pem"
    subprocess.run(
        [
            "openssl",
            "req",
            "-x509",
            "-newkey",
            "rsa:2048",
            "-nodes",
            "-days",
            "2",
            "-subj",
            "/CN=localhost",
            "-addext",
            "subjectAltName=IP:127.0.0.1",
            "-keyout",
            key,
            "-out",
            cert,
        ],
        check=True,
        capture_output=True,
    )
    tls = {"DEFAULT": {"cert_file": cert, "key_file": key}} if request.param == "https" else {}
    limits = {
        "DEFAULT": {"image_size_cap": 64 * MIB, "user_storage_quota": "48MB", "workers": 1},
        "server": {"lingering_time": 30},
    }
    with _service(lab.merged(HEADERS_AUTH, limits, tls), request.param) as made:
        made.session.trust_env, made.session.verify = False, str(cert)
        until(lambda: _answers(made))
        yield made


@contextlib.contextmanager
def _service(config: lab.Config, scheme: str) -> Iterator[Client]:
    with lab.service(config, start=False) as service, service.log.open("wb") as log:
        process = lab.launch("glance-api", "--config-file", service.config_file, cwd=service.folder, log=log)
        try:
            yield Client(f"{scheme}://127.0.0.1:{service.port}")
        finally:
            lab.end(process, lab.signal.SIGTERM)


def _answers(client: Client) -> bool:
    try:
        return client.call("GET", "/healthcheck").status_code == 200
    except requests.ConnectionError:
        return False


def _pieces(first: bytes, count: int = SIZE // MIB) -> Iterator[bytes]:
    yield first.ljust(MIB, b"\0")
    for _ in range(count - 1):
        yield bytes(MIB)


@pytest.mark.parametrize("where", ["file", "stage"])
@pytest.mark.parametrize(
    ("case", "status", "words"),
    [
        ("size", 413, "image_size_cap"),
        ("quota", 413, "limit"),
        ("chunked quota", 413, "limit"),
        ("format", 415, "qcow2"),
        ("chunked format", 415, "qcow2"),
    ],
)
def test_the_refusal_arrives(client: Client, case: str, status: int, words: str, where: str) -> None:
    content = samples.path("qcow2-backing-file").read_bytes() if "format" in case else b""
    count = SIZE // MIB if case == "size" else 60 if "quota" in case else 40
    image_id = client.create(disk_format="qcow2" if content else "raw")["id"]
    body = _pieces(content, count)
    data = body if "chunked" in case else b"".join(body)
    answer = client.session.put(
        f"{client.url}/v2/images/{image_id}/{where}",
        data=data,
        timeout=120,
        headers={"Content-Type": "application/octet-stream"},
    )
    assert answer.status_code == status, answer.text
    shown = client.show(image_id)
    assert shown["status"] == "queued"
    assert words in shown["os_glance_last_error"]
    assert client.delete(image_id).status_code == 204


def test_without_a_login(client: Client) -> None:
    answer = requests.Session()
    answer.trust_env, answer.verify = False, client.session.verify
    with answer as stranger:
        assert (
            stranger.put(
                f"{client.url}/v2/images/x/file",
                data=bytes(SIZE),
                timeout=120,
                headers={"Content-Type": "application/octet-stream"},
            ).status_code
            == 401
        )


def test_who_only_reads_is_let_go(client: Client) -> None:
    """The rest need not come: silence ends it."""
    port = int(client.url.rpartition(":")[2])
    image_id = client.create()["id"]
    with socket.create_connection(("127.0.0.1", port), timeout=30) as plain, _wrapped(plain, client) as connection:
        connection.sendall(
            (
                f"PUT /v2/images/{image_id}/file HTTP/1.1\r\nHost: x\r\nX-Identity-Status: Confirmed\r\nX-User-Id:"
                " u\r\nX-Project-Id: demo\r\nX-Roles: member,reader\r\nContent-Type:"
                f" application/octet-stream\r\nContent-Length: {SIZE}\r\n\r\n"
            ).encode()
        )
        assert connection.recv(12) == b"HTTP/1.1 413"
        until(lambda: _lingering(client) == 0)


def test_who_sends_on_for_ever_is_not_heard_for_ever(client: Client) -> None:
    port = int(client.url.rpartition(":")[2])
    with socket.create_connection(("127.0.0.1", port), timeout=30) as plain, _wrapped(plain, client) as connection:
        connection.sendall(
            "PUT /v2/images/x/file HTTP/1.1\r\nHost: x\r\nContent-Type: application/octet-stream\r\nContent-Length:"
            f" {1 << 50}\r\n\r\n".encode()
        )
        assert connection.recv(12) == b"HTTP/1.1 401"
        until(lambda: _lingering(client) == 1)
        until(lambda: not _takes(connection), 120)


def _takes(connection: socket.socket) -> bool:
    try:
        connection.sendall(bytes(10_000))
    except OSError:
        return False
    return True


def _lingering(client: Client) -> float:
    text = client.call("GET", "/metrics").text
    return sum(
        float(line.rpartition(" ")[2])
        for line in text.splitlines()
        if line.startswith("glance_server_connections{") and 'state="lingering"' in line
    )


def _wrapped(plain: socket.socket, client: Client) -> socket.socket:
    if client.url.startswith("http:"):
        return plain
    return ssl.create_default_context(cafile=str(client.session.verify)).wrap_socket(plain, server_hostname="127.0.0.1")
