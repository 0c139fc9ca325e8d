"""An end for all that a connection waits for: a socket's own timeout is one for each read, and who sends a byte a
second would hold us for ever."""

from __future__ import annotations

import contextlib
import math
import socket
import threading
import time
import weakref
from contextvars import ContextVar
from types import TracebackType

#: When the one who asked stops waiting (``time.monotonic()``): nothing that is fetched for him goes on for longer.
DEADLINE: ContextVar[float] = ContextVar("deadline", default=math.inf)


class Cutter:
    """Connections that another thread may cut."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._socks: weakref.WeakSet[socket.socket] = weakref.WeakSet()
        self._over = False

    def add(self, sock: socket.socket) -> None:
        """Raises TimeoutError when all have been cut."""
        with self._lock:
            if self._over:
                raise TimeoutError
            self._socks.add(sock)

    def cut(self) -> None:
        """All that there are, and all that come."""
        with self._lock:
            self._over = True
            for sock in self._socks:
                _shut(sock)


#: Whoever may cut what this thread fetches.
CUTTER: ContextVar[Cutter | None] = ContextVar("cutter", default=None)


class Deadline:
    """``with Deadline(end) as deadline``: from ``end`` (``time.monotonic()``) on, the watched connection is cut and
    ``passed`` is true."""

    def __init__(self, end: float) -> None:
        self._end = min(end, DEADLINE.get())
        self._lock = threading.Lock()
        self._sock: socket.socket | None = None
        self._timer: threading.Timer | None = None
        self.passed = False

    def watch(self, sock: socket.socket) -> None:
        """It is this connection now. Raises TimeoutError when the time is over already."""
        with self._lock:
            if self.passed or time.monotonic() >= self._end:
                raise TimeoutError
            self._sock = sock

    @property
    def left(self) -> float:
        """Seconds. Raises TimeoutError when there are none."""
        seconds = self._end - time.monotonic()
        if self.passed or seconds <= 0:
            raise TimeoutError
        return seconds

    def __enter__(self) -> Deadline:
        self._timer = threading.Timer(max(0.0, self._end - time.monotonic()), self._cut)
        self._timer.daemon = True
        self._timer.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._timer is not None:
            self._timer.cancel()
        with self._lock:
            self._sock = None

    def _cut(self) -> None:
        with self._lock:
            self.passed = True
            if self._sock is not None:
                _shut(self._sock)


def _shut(sock: socket.socket) -> None:
    """Whoever reads or writes it notices at once; of TLS, too: without its goodbye."""
    with contextlib.suppress(OSError):
        socket.socket.shutdown(sock, socket.SHUT_RDWR)
