"""A body that breaks off never becomes an active image, whatever way it breaks off."""

from __future__ import annotations

import os
import socket
import struct
import time
from collections.abc import Iterator
from pathlib import Path

import lab
import pytest
from client import HEADERS_AUTH, Client

DATA = os.urandom(300_000)


@pytest.fixture(scope="module")
def service() -> Iterator[lab.Service]:
    with lab.service(lab.merged(HEADERS_AUTH, {"server": {"client_timeout": 2}})) as running:
        yield running


def _head(image_id: str, framing: str) -> bytes:
    return (
        f"PUT /v2/images/{image_id}/file HTTP/1.1\r\nHost: x\r\nContent-Type: application/octet-stream\r\n"
        f"X-Identity-Status: Confirmed\r\nX-User-Id: u\r\nX-Project-Id: demo\r\nX-Roles: member,reader\r\n"
        f"{framing}\r\n\r\n"
    ).encode()


def _chunk(data: bytes) -> bytes:
    return b"%x\r\n%s\r\n" % (len(data), data)


CHUNKED = "Transfer-Encoding: chunked"
#: name -> (framing header, what is sent before the connection ends)
BROKEN = {
    "length, nothing": (f"Content-Length: {len(DATA)}", b""),
    "length, some": (f"Content-Length: {len(DATA)}", DATA[:100_000]),
    "length, all but one byte": (f"Content-Length: {len(DATA)}", DATA[:-1]),
    "chunked, nothing": (CHUNKED, b""),
    "chunked, at the end of a chunk": (CHUNKED, _chunk(DATA)),
    "chunked, inside a chunk": (CHUNKED, _chunk(DATA)[:-5000]),
    "chunked, inside the size of a chunk": (CHUNKED, _chunk(DATA) + b"10"),
    "chunked, before the last line": (CHUNKED, _chunk(DATA) + b"0\r\n"),
    "chunked, size is no number": (CHUNKED, b"zz\r\n" + DATA),
}


@pytest.mark.parametrize("ending", ["fin", "rst", "silence"])
@pytest.mark.parametrize("case", BROKEN)
def test_a_broken_upload_leaves_a_queued_image_and_no_byte(service: lab.Service, case: str, ending: str) -> None:
    client = Client(service.url)
    image_id = client.create()["id"]
    framing, sent = BROKEN[case]
    with socket.create_connection(("127.0.0.1", service.port)) as connection:
        connection.sendall(_head(image_id, framing) + sent)
        time.sleep(0.1)
        if ending == "rst":
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        else:
            connection.settimeout(10)
            answer = _end(connection, half_close=ending == "fin")
            assert answer == b"" or b" 400 " in answer, answer
    _until_queued(client, image_id)
    assert _names(service.folder) == set()
    assert client.upload(image_id, DATA).status_code == 204
    assert client.download(image_id).content == DATA
    assert client.delete(image_id).status_code == 204
    assert _names(service.folder) == set()


def _end(connection: socket.socket, *, half_close: bool) -> bytes:
    """The beginning of the answer; nothing when the server has hung up already."""
    try:
        if half_close:
            connection.shutdown(socket.SHUT_WR)
        return connection.recv(100)
    except TimeoutError:
        pytest.fail("the server waits for ever")
    except OSError:
        return b""


def _until_queued(client: Client, image_id: str) -> None:
    end = time.monotonic() + 20
    while (status := client.show(image_id)["status"]) != "queued":
        assert status == "saving", f"a broken upload became {status}"
        assert time.monotonic() < end, "still saving"
        time.sleep(0.05)


def _names(folder: Path) -> set[str]:
    return {x.name for x in (folder / "images").iterdir() if x.is_file() and not x.name.startswith(".")}


def test_a_complete_upload_in_any_framing_becomes_active(service: lab.Service) -> None:
    client = Client(service.url)
    for body in (DATA, b"", iter([DATA[:10], DATA[10:]])):
        image_id = client.create()["id"]
        assert client.upload(image_id, body).status_code == 204
        assert client.show(image_id)["status"] == "active"
        assert client.delete(image_id).status_code == 204
