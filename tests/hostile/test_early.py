"""Wrong data is refused at the first bytes that tell: by counting what the service has taken, not by the clock."""

from __future__ import annotations

import contextlib
import io
import socket
import sys
import threading
import uuid
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import ClassVar

import pytest

sys.path.insert(0, str(Path(__file__).parents[1]))
sys.path.insert(0, str(Path(__file__).parents[1] / "api"))
sys.path.insert(0, str(Path(__file__).parent))

import disks
from api import Person
from image_ways import built, settled, show

from glancecore.assembly.lifecycle import Service

SIZE = 64 << 20
#: What may be read before the answer: some pieces, and what the network holds.
MOST = 16 << 20
#: (declared as, first bytes): wrong, and known to be so at once.
WRONG = {
    "a qcow2 as vmdk": ("vmdk", disks.qcow()),
    "a qcow2 as raw": ("raw", disks.qcow()),
    "a qcow2 as vhd": ("vhd", disks.qcow()),
    "zeros as qcow2": ("qcow2", b""),
    "zeros as vmdk": ("vmdk", b""),
    "zeros as vhdx": ("vhdx", b""),
    "zeros as vdi": ("vdi", b""),
    "zeros as iso": ("iso", b""),
    "a backing file": ("qcow2", disks.qcow(backing=b"/etc/passwd").ljust(1024, b"\0")),
    "a descriptor": ("vmdk", disks.descriptor(b'RW 8 FLAT "/x" 0')),
}


class Zeros(io.RawIOBase):
    """``begin``, and then zeros up to ``SIZE``. Counts what is read."""

    def __init__(self, begin: bytes) -> None:
        self._begin, self._at, self.taken = begin, 0, 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, where: int, whence: int = io.SEEK_SET) -> int:
        self._at = where if whence == io.SEEK_SET else SIZE + where
        return self._at

    def tell(self) -> int:
        return self._at

    def read(self, size: int = -1) -> bytes:
        size = min(SIZE - self._at, SIZE if size < 0 else size)
        found = self._begin[self._at : self._at + size].ljust(size, b"\0")
        self._at += size
        self.taken += size
        return found


@pytest.fixture(scope="module")
def service() -> Iterator[Service]:
    with built() as made:
        yield made


@pytest.fixture
def owner(service: Service) -> Person:
    return Person(service.app, f"p-{uuid.uuid4().hex[:6]}")


@pytest.mark.parametrize("way", ["file", "stage"])
@pytest.mark.parametrize("name", WRONG)
def test_an_upload_ends_at_the_bytes_that_tell(service: Service, owner: Person, name: str, way: str) -> None:
    disk_format, begin = WRONG[name]
    image_id, body = owner.create(disk_format=disk_format)["id"], Zeros(begin)
    answer = service.app.test_client().open(
        f"/v2/images/{image_id}/{way}",
        method="PUT",
        input_stream=body,
        content_length=SIZE,
        environ_base={"REMOTE_ADDR": "127.0.0.1"},
        headers={
            "X-Identity-Status": "Confirmed",
            "X-User-Id": "u",
            "X-Project-Id": owner.project,
            "X-Roles": owner.roles,
            "Accept": "application/json",
            "Content-Type": "application/octet-stream",
        },
    )
    assert answer.status_code == 415, answer.text
    assert body.taken <= 1 << 20, f"{body.taken} bytes were taken"
    assert show(owner, image_id)["status"] == "queued"


class Handler(BaseHTTPRequestHandler):
    begin: ClassVar[bytes] = b""
    sent: ClassVar[list[int]] = []
    ended: ClassVar[threading.Event] = threading.Event()

    def log_message(self, *args: object) -> None:
        pass

    def do_GET(self) -> None:
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 64 << 10)
        self.send_response(200)
        self.send_header("Content-Length", str(SIZE))
        self.end_headers()
        body, count = Zeros(self.begin), 0
        with contextlib.suppress(ConnectionError):
            while piece := body.read(64 << 10):
                self.wfile.write(piece)
                count += len(piece)
        self.sent.append(count)
        self.ended.set()


@pytest.fixture(scope="module")
def web() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()


@pytest.mark.parametrize("name", ["a qcow2 as raw", "zeros as qcow2", "a backing file"])
def test_a_download_ends_at_the_bytes_that_tell(owner: Person, web: str, name: str) -> None:
    disk_format, Handler.begin = WRONG[name]
    Handler.sent.clear()
    Handler.ended.clear()
    image_id = owner.create(disk_format=disk_format)["id"]
    assert (
        owner.call(
            "POST", f"/v2/images/{image_id}/import", {"method": {"name": "web-download", "uri": f"{web}/x"}}
        ).status_code
        == 202
    )
    image = settled(owner, image_id)
    assert image["status"] == "queued"
    assert Handler.ended.wait(30)
    assert Handler.sent[0] <= MOST, f"{Handler.sent[0]} bytes had gone"
    assert len(Handler.sent) == 1, "it is not asked for again"
    [task] = (owner.call("GET", f"/v2/images/{image_id}/tasks").json or {})["tasks"]
    assert task["error"] in ("format_mismatch", "unsafe_content")
