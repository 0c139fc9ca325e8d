"""The tools of the bench: a client that costs next to nothing, and what a process tree has used, from /proc."""

from __future__ import annotations

import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

TICKS = os.sysconf("SC_CLK_TCK")
PAGE = 1 << 20
#: Random, so that nothing on the way is cheaper than it would be with a real image; repeated to any length.
BLOCK = memoryview(os.urandom(PAGE))


class Refused(Exception):
    """An answer that the bench did not expect."""


class Client:
    """One keep-alive connection with identity headers, on a bare socket."""

    def __init__(self, port: int, headers: str = "") -> None:
        self.port, self.headers, self._rest = port, headers, b""
        self._socket, self._sink, self._used = self._connect(), bytearray(4 * PAGE), time.monotonic()

    def _connect(self) -> socket.socket:
        made = socket.create_connection(("127.0.0.1", self.port), timeout=600)
        made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return made

    def close(self) -> None:
        self._socket.close()

    def _send(self, data: bytes) -> None:
        """On a new connection when this one was idle so long that the server may have closed it (gunicorn: 2
        seconds)."""
        if time.monotonic() - self._used > 1:
            self._socket.close()
            self._socket = self._connect()
        self._socket.sendall(data)

    def request(self, method: str, path: str, body: bytes = b"", kind: str = "application/json") -> bytes:
        """The body of a 2xx answer; anything else raises Refused."""
        content = f"Content-Type: {kind}\r\nContent-Length: {len(body)}\r\n" if body else ""
        self._send(f"{method} {path} HTTP/1.1\r\nHost: bench\r\n{self.headers}{content}\r\n".encode() + body)
        return self._answer(method, path)

    def place(self, method: str, path: str, headers: str) -> str:
        """The path that a 2xx answer without a body gives as its location; anything else raises Refused."""
        self._send(
            f"{method} {path} HTTP/1.1\r\nHost: bench\r\nContent-Length: 0\r\n{self.headers}{headers}\r\n".encode()
        )
        head, _ = self._head(method, path)
        self._used = time.monotonic()
        return urlsplit(head[b"location"].decode()).path

    def upload(
        self,
        path: str,
        size: int,
        *,
        chunked: bool = False,
        method: str = "PUT",
        kind: str = "application/octet-stream",
        headers: str = "",
    ) -> None:
        """``chunked``: in pieces of 64 KiB without a length, as glanceclient sends."""
        how = "Transfer-Encoding: chunked" if chunked else f"Content-Length: {size}"
        self._send(
            f"{method} {path} HTTP/1.1\r\nHost: bench\r\n{self.headers}{headers}"
            f"Content-Type: {kind}\r\n{how}\r\n\r\n".encode()
        )
        step = 1 << 16
        frames = memoryview(
            b"".join(b"%x\r\n" % step + bytes(BLOCK[at : at + step]) + b"\r\n" for at in range(0, PAGE, step))
        )
        for _ in range(size // PAGE):
            self._socket.sendall(frames if chunked else BLOCK)
        if chunked:
            self._socket.sendall(b"0\r\n\r\n")
        self._answer(method, path)

    def download(self, path: str) -> int:
        """The number of bytes received; the kernel throws them away, so that the client's copying is not measured."""
        self._send(f"GET {path} HTTP/1.1\r\nHost: bench\r\n{self.headers}\r\n".encode())
        head, rest = self._head("GET", path)
        size = left = int(head[b"content-length"])
        left -= len(rest)
        while left > 0:
            # Linux drops what a TCP socket has received when asked to with MSG_TRUNC, and copies nothing
            got = self._socket.recv_into(self._sink, min(left, len(self._sink)), socket.MSG_TRUNC)
            if not got:
                raise Refused(f"GET {path}: the answer ended {left} bytes early")
            left -= got
        self._used = time.monotonic()
        return size

    def _head(self, method: str, path: str) -> tuple[dict[bytes, bytes], bytes]:
        data = self._rest
        self._rest = b""
        while b"\r\n\r\n" not in data:
            more = self._socket.recv(1 << 18)
            if not more:
                raise Refused(f"{method} {path}: no answer")
            data += more
        head, rest = data.split(b"\r\n\r\n", 1)
        status, *lines = head.split(b"\r\n")
        if not status.split(b" ")[1].startswith(b"2"):
            raise Refused(f"{method} {path}: {status.decode()} {rest[:300]!r}")
        return {
            name.strip().lower(): value.strip() for name, _, value in (line.partition(b":") for line in lines)
        }, rest

    def _answer(self, method: str, path: str) -> bytes:
        head, rest = self._head(method, path)
        if b"chunked" in head.get(b"transfer-encoding", b""):
            while not rest.endswith(b"0\r\n\r\n"):
                rest += self._socket.recv(1 << 18)
            body = b""
            while rest:
                size, _, rest = rest.partition(b"\r\n")
                body, rest = body + rest[: int(size, 16)], rest[int(size, 16) + 2 :]
        else:
            parts, left = [rest], int(head.get(b"content-length", b"0")) - len(rest)
            while left > 0:
                parts.append(self._socket.recv(min(left, 1 << 18)))
                left -= len(parts[-1])
            body = b"".join(parts)
        self._used = time.monotonic()
        if head.get(b"connection", b"").lower() == b"close":
            self._socket.close()
            self._socket = self._connect()
        return body


# -- processes -------------------------------------------------------------------------------------
def tree(root: int) -> Iterator[int]:
    """The process and all its descendants."""
    parents: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and (fields := _stat(int(entry.name))):
            parents.setdefault(int(fields[1]), []).append(int(entry.name))
    waiting = [root]
    while waiting:
        pid = waiting.pop()
        yield pid
        waiting += parents.get(pid, [])


def _stat(pid: int) -> list[str]:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2].split()
    except OSError:
        return []


def cpu_seconds(root: int) -> float:
    """User and system time of the tree, and of children that ended and were waited for."""
    return sum(sum(map(int, fields[11:15])) for pid in tree(root) if (fields := _stat(pid))) / TICKS


def memory_mib(root: int) -> tuple[float, float]:
    """RSS and PSS of the whole tree."""
    total = {"Rss:": 0, "Pss:": 0}
    for pid in tree(root):
        try:
            lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()[1:]
        except OSError:
            continue
        for line in lines:
            name, value, *_ = line.split()
            if name in total:
                total[name] += int(value)
    return total["Rss:"] / 1024, total["Pss:"] / 1024


# -- measuring -------------------------------------------------------------------------------------
@dataclass(frozen=True)
class Cost:
    """Of one operation: ``cpu_ms`` of the whole service, and how many are done in a second."""

    cpu_ms: float
    per_second: float
    count: int


def cost(
    pid: int, make: Callable[[int], Callable[[], object]], clients: int, seconds: float, most: int = 1 << 30
) -> Cost:
    """``make(n)`` gives client n's operation; each repeats it until the time is up or ``most`` were done in all."""
    operations, counts = [make(number) for number in range(clients)], [0] * clients
    errors: list[BaseException] = []
    gate = threading.Barrier(clients + 1)

    def work(number: int) -> None:
        gate.wait()
        try:
            while time.perf_counter() < end and counts[number] < most // clients:
                operations[number]()
                counts[number] += 1
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(clients)]
    for thread in threads:
        thread.start()
    before, began = cpu_seconds(pid), time.perf_counter()
    end = began + seconds
    gate.wait()
    for thread in threads:
        thread.join()
    took, used, done = time.perf_counter() - began, cpu_seconds(pid) - before, sum(counts)
    if errors:
        raise errors[0]
    return Cost(1000 * used / done, done / took, done)
