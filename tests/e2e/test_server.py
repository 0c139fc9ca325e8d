"""The server under load and at its end: parallel writers on SQLite, draining, memory, Range and TLS on a real
socket."""

from __future__ import annotations

import contextlib
import hashlib
import os
import signal
import socket
import ssl
import subprocess
import threading
import time
import urllib.request
from collections import Counter
from pathlib import Path

import lab
import pytest
import requests
from client import HEADERS_AUTH, Client

MIB = 1 << 20
HEADER = b"GET /versions HTTP/1.1\r\nX-Slow: "


def test_64_parallel_writers_on_sqlite_see_no_error() -> None:
    with lab.service(lab.merged(HEADERS_AUTH, {"DEFAULT": {"workers": 2}, "server": {"threads": 32}})) as service:
        answers: Counter[int] = Counter()
        lock = threading.Lock()

        def work(number: int) -> None:
            client = Client(service.url, project=f"p{number % 5}")
            for _ in range(4):
                image_id = client.create(tags=["t"], a="b")["id"]
                codes = [
                    client.patch(image_id, {"op": "add", "path": "/c", "value": "d"}).status_code,
                    client.upload(image_id, b"x").status_code,
                    client.delete(image_id).status_code,
                ]
                with lock:
                    answers.update(codes)

        threads = [threading.Thread(target=work, args=(x,)) for x in range(64)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert answers == {200: 256, 204: 512}


def test_a_running_upload_ends_well_when_the_server_is_told_to_stop() -> None:
    with lab.service(HEADERS_AUTH) as service:
        client = Client(service.url)
        image_id = client.create()["id"]
        started, told = threading.Event(), threading.Event()

        def slowly() -> object:
            for number in range(10):
                yield os.urandom(1000)
                if number == 2:
                    started.set()
                    told.wait(10)
                time.sleep(0.02)

        codes: list[int] = []
        uploading = threading.Thread(target=lambda: codes.append(client.upload(image_id, slowly()).status_code))  # type: ignore[arg-type]
        uploading.start()
        assert started.wait(10)
        assert service.process is not None
        service.process.send_signal(signal.SIGTERM)
        time.sleep(0.3)
        told.set()
        uploading.join()
        service.process.wait(30)
        assert codes == [204]
        service.start()
        assert Client(service.url).show(image_id)["size"] == 10_000


def test_workers_end_when_their_master_was_killed() -> None:
    """Or else they would hold the port, and answer with yesterday's configuration."""
    with lab.service(lab.merged(HEADERS_AUTH, {"DEFAULT": {"workers": 2}})) as service:
        assert service.process is not None
        workers = service.workers
        assert len(workers) == 2
        service.process.kill()
        end = time.monotonic() + 30
        while any(lab.state(x) not in "ZX" for x in workers):
            assert time.monotonic() < end, workers
            time.sleep(0.05)
        service.stop()
        service.start()
        assert not set(workers) & set(service.workers)


def test_memory_does_not_grow_with_the_image() -> None:
    with lab.service(HEADERS_AUTH) as service:
        client = Client(service.url)

        def peak() -> int:
            assert service.process is not None
            found = subprocess.run(
                ["pgrep", "-P", str(service.process.pid)], capture_output=True, text=True, check=True
            ).stdout
            text = Path(f"/proc/{found.split()[0]}/status").read_text()
            return int(next(x for x in text.splitlines() if x.startswith("VmHWM")).split()[1]) << 10

        def transfer(mib: int) -> str:
            block = os.urandom(MIB)
            image_id = str(client.create()["id"])
            assert client.upload(image_id, (block for _ in range(mib))).status_code == 204
            digest = hashlib.sha512()
            with client.session.get(f"{service.url}/v2/images/{image_id}/file", stream=True, timeout=60) as answer:
                for piece in answer.iter_content(MIB):
                    digest.update(piece)
            assert digest.hexdigest() == client.show(image_id)["os_hash_value"]
            return image_id

        transfer(8)
        small = peak()
        transfer(512)
        assert peak() - small < 48 * MIB


def _certificate(folder: Path) -> tuple[Path, Path]:
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
    return cert, key


def test_https(tmp_path: Path) -> None:
    cert, key = _certificate(tmp_path)
    config = lab.merged(HEADERS_AUTH, {"DEFAULT": {"cert_file": cert, "key_file": key}})
    with lab.service(config, start=False) as service:
        process = subprocess.Popen(
            [lab.BIN / "glance-api", "--config-file", service.config_file], stderr=subprocess.DEVNULL
        )
        try:
            context = ssl.create_default_context(cafile=str(cert))
            end = time.monotonic() + 30
            while True:
                try:
                    with urllib.request.urlopen(
                        f"https://127.0.0.1:{service.port}/healthcheck", context=context, timeout=5
                    ) as answer:
                        assert answer.read() == b"OK"
                    break
                except OSError:
                    assert time.monotonic() < end
                    time.sleep(0.1)
            client = Client(f"https://127.0.0.1:{service.port}")
            client.session.trust_env = False  # a CA bundle of the environment would win over ours
            client.session.verify = str(cert)
            image_id, data = client.create()["id"], os.urandom(3 * MIB)
            assert client.upload(image_id, data).status_code == 204
            assert client.download(image_id).content == data
            assert client.download(image_id, Range="bytes=5-9").content == data[5:10]
            _asks_without_waiting(service.port, cert, client.create()["id"])
            told = next(
                x
                for x in client.call("GET", "/metrics").text.splitlines()
                if x.startswith("glance_tls_certificate_expires_seconds")
            )
            assert time.time() + 86_400 < float(told.split()[-1]) < time.time() + 3 * 86_400
        finally:
            process.terminate()
            process.wait(40)


def _asks_without_waiting(port: int, cert: Path, image_id: str) -> None:
    """The next request is in the same record of TLS as the end of a body."""
    with (
        socket.create_connection(("127.0.0.1", port), timeout=30) as plain,
        ssl.create_default_context(cafile=str(cert)).wrap_socket(plain, server_hostname="127.0.0.1") as connection,
    ):
        connection.sendall(
            f"PUT /v2/images/{image_id}/file HTTP/1.1\r\nHost: x\r\nX-Identity-Status: Confirmed\r\nX-User-Id:"
            " u\r\nX-Project-Id: demo\r\nX-Roles: member,reader\r\nContent-Type:"
            " application/octet-stream\r\nContent-Length: 300000\r\n\r\n".encode()
            + bytes(300_000)
            + b"GET /healthcheck HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
        )
        answers = b""
        while piece := connection.recv(10_000):
            answers += piece
        assert answers.startswith(b"HTTP/1.1 204 "), answers
        assert answers.endswith(b"OK")


def test_a_unix_socket(tmp_path: Path) -> None:
    path = Path("/tmp") / f"glance-{os.getpid()}.sock"
    config = lab.merged(HEADERS_AUTH, {"DEFAULT": {"bind_host": f"unix:{path}"}})
    with lab.service(config, start=False, folder=tmp_path) as service:
        process = subprocess.Popen(
            [lab.BIN / "glance-api", "--config-file", service.config_file], stderr=subprocess.DEVNULL
        )
        try:
            end = time.monotonic() + 30
            while not path.exists():
                assert time.monotonic() < end
                time.sleep(0.1)
            assert path.stat().st_mode & 0o777 == 0o770, "strangers of the same machine can't connect"
            with socket.socket(socket.AF_UNIX) as connection:
                connection.connect(str(path))
                connection.sendall(
                    b"GET /v2/images HTTP/1.1\r\nHost: x\r\nX-Identity-Status: Confirmed\r\nX-User-Id: u\r\n"
                    b"X-Project-Id: p\r\nX-Roles: reader\r\nConnection: close\r\n\r\n"
                )
                assert connection.recv(100).startswith(b"HTTP/1.1 200 ")
            with socket.socket(
                socket.AF_UNIX
            ) as connection:  # what a client says of proxies is no more believed than elsewhere
                connection.connect(str(path))
                connection.sendall(
                    b"GET /evil/versions HTTP/1.1\r\nHost: x\r\nX-Forwarded-Proto: https\r\nSCRIPT_NAME:"
                    b" /evil\r\nConnection: close\r\n\r\n"
                )
                assert connection.recv(100).startswith(b"HTTP/1.1 404 ")
            with socket.socket(socket.AF_UNIX) as connection:
                connection.connect(str(path))
                connection.sendall(
                    b"GET /versions HTTP/1.1\r\nHost: x\r\nX-Forwarded-Proto: https\r\nConnection: close\r\n\r\n"
                )
                assert b'"http://x/v2/"' in connection.makefile("rb").read()
        finally:
            process.terminate()
            process.wait(40)
            path.unlink(missing_ok=True)


@pytest.mark.parametrize("sendfile", [True, False])
def test_ranges_with_and_without_the_kernels_help(sendfile: bool) -> None:
    with lab.service(lab.merged(HEADERS_AUTH, {"server": {"sendfile": sendfile}})) as service:
        client, data = Client(service.url), os.urandom(2_345_678)
        image_id = client.create()["id"]
        assert client.upload(image_id, data).status_code == 204
        assert client.download(image_id).content == data
        for asked, part in (
            ("bytes=0-0", data[:1]),
            ("bytes=1000000-2000000", data[1000000:2000001]),
            ("bytes=-5", data[-5:]),
        ):
            answer = client.download(image_id, Range=asked)
            assert (answer.status_code, answer.content) == (206, part)
        assert client.show(image_id)["status"] == "active", "the connection is still in step"


@pytest.mark.parametrize("chunked", [False, True], ids=["length", "chunked"])
def test_an_upload_that_is_refused_before_its_end_does_not_cost_the_next_request(chunked: bool) -> None:
    """The answer says that the connection ends, so that no client sends its next request into a closed one."""
    with lab.service(lab.merged(HEADERS_AUTH, {"DEFAULT": {"user_storage_quota": "1MB"}})) as service:
        client = Client(service.url)
        image_id = client.create()["id"]
        for _ in range(40):
            data = bytes(2 * MIB)
            answer = client.upload(image_id, iter([data[: MIB + 1], data[MIB + 1 :]]) if chunked else data)
            assert answer.status_code == 413
            assert client.show(image_id)["status"] == "queued"
        client.session.close()


@pytest.mark.parametrize("part", ["header", "header behind TLS", "handshake"])
def test_a_beginning_that_comes_byte_by_byte_is_not_waited_for(tmp_path: Path, part: str) -> None:
    """Otherwise a few such clients would hold all threads."""
    cert, key = _certificate(tmp_path)
    tls = part != "header"
    config = {
        "server": {"threads": 2, "header_timeout": 2},
        **({"DEFAULT": {"cert_file": cert, "key_file": key}} if tls else {}),
    }
    with lab.service(config, start=False) as service:
        process = subprocess.Popen(
            [lab.BIN / "glance-api", "--config-file", service.config_file], stderr=subprocess.DEVNULL
        )
        try:
            client = Client(f"http{'s' if tls else ''}://127.0.0.1:{service.port}")
            client.session.trust_env, client.session.verify = False, str(cert) if tls else True
            _until_it_answers(client)
            slow = [
                _connected(
                    service.port,
                    cert if part == "header behind TLS" else None,
                    _hello() if part == "handshake" else HEADER,
                )
                for _ in range(2)
            ]
            end, at = time.monotonic() + 60, 0
            while slow:
                assert time.monotonic() < end
                slow = [x for x in slow if _still_open(x, _hello()[10 + at : 11 + at] if part == "handshake" else b"x")]
                at += 1
            assert client.call("GET", "/versions").status_code == 200
        finally:
            process.terminate()
            process.wait(40)


def _until_it_answers(client: Client) -> None:
    end = time.monotonic() + 30
    while True:
        try:
            client.call("GET", "/healthcheck")
        except requests.ConnectionError:
            assert time.monotonic() < end
            time.sleep(0.1)
        else:
            client.session.close()
            return


def _hello() -> bytes:
    """How a TLS connection begins."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    with contextlib.suppress(ssl.SSLWantReadError):
        context.wrap_bio(incoming, outgoing).do_handshake()
    return outgoing.read()


def _connected(port: int, cert: Path | None, first: bytes) -> socket.socket:
    made = socket.create_connection(("127.0.0.1", port), timeout=30)
    if cert:
        made = ssl.create_default_context(cafile=str(cert)).wrap_socket(made, server_hostname="127.0.0.1")
    made.sendall(first[:10] if first is not HEADER else first)
    made.settimeout(0.2)
    return made


def _still_open(connection: socket.socket, byte: bytes) -> bool:
    """One more byte; closed when the server has ended it."""
    try:
        connection.send(byte)
        if connection.recv(1000):
            return True
    except TimeoutError:
        return True
    except OSError:
        pass
    connection.close()
    return False
