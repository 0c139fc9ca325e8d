"""How long the header of a request may take: a client that sends it byte by byte would hold a thread for ever."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from typing import Protocol


class Connection(Protocol):
    """gunicorn's; its socket is another one behind the TLS handshake."""

    sock: socket.socket


class HeaderDeadlines:
    """Ends the connections whose header has not come in time. ``seconds``: for the TLS handshake and the whole header."""

    #: Seconds between two looks.
    STEP = 0.5

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._waiting: dict[int, tuple[float, Connection]] = {}
        self._lock = threading.Lock()
        threading.Thread(target=self._watch, name="header-deadlines", daemon=True).start()

    def begin(self, connection: Connection) -> None:
        with self._lock:
            self._waiting[id(connection)] = time.monotonic() + self._seconds, connection

    def end(self, connection: Connection) -> None:
        """The header is there, or the connection is done with. Safe to call twice."""
        with self._lock:
            self._waiting.pop(id(connection), None)

    def _watch(self) -> None:
        while True:
            time.sleep(self.STEP)
            now = time.monotonic()
            with self._lock:  # so that a connection that ends just now is not closed under another's name
                for end, connection in self._waiting.values():
                    if end < now:
                        with contextlib.suppress(OSError):
                            # its thread reads the end of the stream; an SSLSocket's own method would take the TLS away under it
                            socket.socket.shutdown(connection.sock, socket.SHUT_RD)
