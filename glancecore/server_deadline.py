"""How long the header of a request may take: a client that sends it byte by byte would hold a thread for ever."""

from __future__ import annotations

import contextlib
import socket
import threading
import time


class HeaderDeadlines:
    """Ends the connections whose header has not come in time. ``seconds``: for the whole header, with its TLS handshake."""

    #: Seconds between two looks.
    STEP = 0.5

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._waiting: dict[int, tuple[float, socket.socket]] = {}
        self._lock = threading.Lock()
        threading.Thread(target=self._watch, name="header-deadlines", daemon=True).start()

    def begin(self, key: int, sock: socket.socket) -> None:
        """``key`` names the connection."""
        with self._lock:
            self._waiting[key] = time.monotonic() + self._seconds, sock

    def end(self, key: int) -> None:
        """The header is there, or the connection is done with. Safe to call twice."""
        with self._lock:
            self._waiting.pop(key, None)

    def _watch(self) -> None:
        while True:
            time.sleep(self.STEP)
            now = time.monotonic()
            with self._lock:  # so that a connection that ends just now is not closed under another's name
                for end, sock in self._waiting.values():
                    if end < now:
                        with contextlib.suppress(OSError):
                            sock.shutdown(socket.SHUT_RD)  # its thread reads the end of the stream
