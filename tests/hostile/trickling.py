"""A web server that answers at once, and then sends a byte now and then."""

from __future__ import annotations

import contextlib
import re
import socket
import threading
from collections.abc import Iterator

#: As large as it says that data without ranges is.
ENDLESS = 1 << 40
#: What of that comes at once.
BEGINNING = 4 << 20


class Trickler:
    """``files`` by path: they come at once, and in ranges. A path of ``slow`` is answered at once to HEAD and to
    ranges, else with one byte every 50 ms; one of ``slower`` also to ranges; one that begins with /endless has no
    ranges. ``open``: connections that trickle at this moment."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.slow: set[str] = set()
        self.slower: set[str] = set()
        self.open = 0
        self._lock = threading.Lock()
        self._over = threading.Event()
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=128)
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        self._over.set()
        self._listener.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self._listener.accept()
                threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        with connection, contextlib.suppress(OSError):
            head = b""
            while b"\r\n\r\n" not in head:
                got = connection.recv(4096)
                if not got:
                    return
                head += got
            method, path, _ = head.decode("latin-1").split(" ", 2)
            wanted = re.search(rb"\r\nRange: bytes=(\d+)-(\d*)\r\n", head)
            if path.startswith("/endless"):
                self._answer(connection, f"200 OK\r\nContent-Length: {ENDLESS}")
                if method == "GET":
                    connection.sendall(bytes(BEGINNING))
                    self._trickle(connection)
                return
            data = self.files[path]
            if wanted:
                first, last = int(wanted[1]), min(len(data) - 1, int(wanted[2] or len(data) - 1))
                self._answer(
                    connection,
                    f"206 Partial Content\r\nContent-Range: bytes {first}-{last}/{len(data)}\r\nContent-Length:"
                    f" {last + 1 - first}",
                )
                if path in self.slower:
                    self._trickle(connection)
                else:
                    connection.sendall(data[first : last + 1])
                return
            self._answer(connection, f"200 OK\r\nContent-Length: {len(data)}")
            if method == "GET" and path in self.slow | self.slower:
                self._trickle(connection)
            elif method == "GET":
                connection.sendall(data)

    @staticmethod
    def _answer(connection: socket.socket, head: str) -> None:
        connection.sendall(f"HTTP/1.1 {head}\r\nConnection: close\r\n\r\n".encode())

    def _trickle(self, connection: socket.socket) -> None:
        with self._counted():
            connection.settimeout(0.05)
            while not self._over.is_set():
                connection.sendall(b"x")
                with contextlib.suppress(TimeoutError):
                    if not connection.recv(1):
                        return

    @contextlib.contextmanager
    def _counted(self) -> Iterator[None]:
        with self._lock:
            self.open += 1
        try:
            yield
        finally:
            with self._lock:
                self.open -= 1
