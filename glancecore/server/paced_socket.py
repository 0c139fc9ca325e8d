"""Reading from a client that may be slow."""

from __future__ import annotations

import socket
import ssl
import time

from glancecore.sdk.pace import Pace, PaceLimits, TooSlow

#: Seconds after which a thread that waits for a client looks at the clock.
TICK = 1.0


class PacedSocket:
    """What is read from a client in a thread. See ``Connection.wait``."""

    def __init__(self, sock: socket.socket, limits: PaceLimits) -> None:
        self._socket = sock
        self._pace, self._waits = Pace(limits), True
        # behind TLS a piece can't be waited for as a whole
        self._flags = 0 if isinstance(sock, ssl.SSLSocket) else socket.MSG_WAITALL

    def begin(self, limits: PaceLimits, *, waits: bool) -> None:
        """The next request. ``waits``: the socket blocks, for a ``TICK`` at a time; else all of the request must be
        there."""
        self._pace, self._waits = Pace(limits), waits

    def recv(self, size: int) -> bytes:
        """As of a socket that blocks. Raises TooSlow, OSError."""
        while True:
            start = time.monotonic()
            try:
                data = self._socket.recv(size)
            except (BlockingIOError, TimeoutError, ssl.SSLWantReadError) as exc:
                if not self._waits:
                    raise TooSlow("the request ends too early") from exc
                self._pace.add(time.monotonic() - start, 0)
            else:
                self._pace.add(time.monotonic() - start, len(data))
                return data

    def recv_into(self, view: memoryview) -> int:
        """Fills it, or gives what has come within about a ``TICK``; 0 at the end of the connection. Raises TooSlow,
        OSError."""
        while True:
            start = time.monotonic()
            try:
                count = self._socket.recv_into(view, len(view), self._flags)
            except (BlockingIOError, TimeoutError, ssl.SSLWantReadError) as exc:
                if not self._waits:
                    raise TooSlow("the request ends too early") from exc
                self._pace.add(time.monotonic() - start, 0)
            else:
                self._pace.add(time.monotonic() - start, count)
                return count
