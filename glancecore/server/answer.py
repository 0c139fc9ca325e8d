"""One answer on its way to the client, in steps that never wait: what a slow client has not taken waits without a
thread."""

from __future__ import annotations

import io
import os
import select
import socket
import ssl
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from gunicorn.http.wsgi import FileWrapper, Response

#: What one system call may send.
_MOST = 1 << 30
#: Seconds that a thread waits for a client that is about to take more, before the answer waits without it.
GRACE = 0.05
_TCP = (socket.AF_INET, socket.AF_INET6)


class BufferedResponse(Response):  # type: ignore[misc]
    """gunicorn's, which puts what is to be sent into ``pending`` instead of the socket."""

    def __init__(self, req: Any, sock: Any, cfg: Any) -> None:
        super().__init__(req, sock, cfg)
        self.pending: deque[memoryview] = deque()
        self.headers_sent: bool

    def send_headers(self) -> None:
        if not self.headers_sent:
            lines = [*self.default_headers(), *(f"{name}: {value}\r\n" for name, value in self.headers), "\r\n"]
            self.pending.append(memoryview("".join(lines).encode("latin-1")))
            self.headers_sent = True

    def _emit_body(self, data: bytes) -> None:
        if self.chunked:
            self.pending.append(memoryview(b"%X\r\n" % len(data)))
        self.pending.append(memoryview(data))
        if self.chunked:
            self.pending.append(memoryview(b"\r\n"))

    def close(self) -> None:
        self.send_headers()
        if self.chunked and not self._omits_body:
            self.pending.append(memoryview(b"0\r\n\r\n"))

    @property
    def omits_body(self) -> bool:
        return bool(self._omits_body)


class Answer:
    """``body``: what the application returned."""

    def __init__(
        self, response: BufferedResponse, body: Iterable[bytes], sock: socket.socket, *, sendfile: bool
    ) -> None:
        self.response = response
        self.body = body
        self._socket = sock
        #: Bytes that the kernel has taken, the header's included, and those of a file.
        self.sent = self.body_sent = 0
        self.environ: dict[str, Any] = {}
        #: Makes the thread that calls it log as of this request.
        self.told: Callable[[], None] = lambda: None
        #: What epoll is to wait for; behind TLS a sender may have to read first.
        self.wants = select.EPOLLOUT
        self._file: int | None = None
        self._offset = self._left = 0
        self._pieces: Iterator[bytes] | None = None
        if (
            sendfile
            and isinstance(body, FileWrapper)
            and not isinstance(sock, ssl.SSLSocket)
            and self._takes_file(body)
        ):
            self._corked(True)
        else:
            self._pieces = iter(body)

    def send(self, budget: int | None = None) -> bool:
        """Whether all is sent. False: the client takes no more at the moment, or ``budget`` bytes have been sent in
        this call.

        With a ``budget`` the socket must not block; without one, it should for ``GRACE`` seconds, but for TLS: a thread
        waits for up to ``GRACE`` seconds for a client that is about to take more. Raises OSError: the client has gone;
        EOFError: a file has no such bytes; what the application's body raises."""
        begun_at, tls = self.sent, isinstance(self._socket, ssl.SSLSocket)
        while self._more():
            if budget is not None and self.sent - begun_at >= budget:
                return False
            try:
                self._step()
            except (BlockingIOError, ssl.SSLWantWriteError):
                self.wants = select.EPOLLOUT
            except ssl.SSLWantReadError:
                self.wants = select.EPOLLIN
            else:
                continue
            if budget is not None or not (tls and self._soon()):
                return False
        return True

    def _soon(self) -> bool:
        poll = select.poll()
        poll.register(self._socket, self.wants)
        return bool(poll.poll(GRACE * 1000))

    def _more(self) -> bool:
        """Whether there is something to send; the next piece of the body is made when there was none."""
        pending = self.response.pending
        while not pending and self._file is None and self._pieces is not None:
            piece = next(self._pieces, None)
            if piece is None:
                self._pieces = None
                self.response.close()
            else:
                self.response.write(piece)
        return bool(pending) or self._left > 0

    def _step(self) -> None:
        pending = self.response.pending
        if pending:
            if isinstance(self._socket, ssl.SSLSocket):
                count = self._socket.send(pending[0])
            else:
                count = self._socket.sendmsg(list(pending)[:16])
            self.sent += count
            while count:
                if count < len(pending[0]):
                    pending[0] = pending[0][count:]
                    break
                count -= len(pending.popleft())
            return
        assert self._file is not None  # noqa: S101 (else there were nothing more)
        count = os.sendfile(self._socket.fileno(), self._file, self._offset, min(self._left, _MOST))
        if not count:
            raise EOFError(f"the file ends {self._left} bytes too early")
        self._offset, self._left = self._offset + count, self._left - count
        self.sent, self.body_sent = self.sent + count, self.body_sent + count

    def _takes_file(self, body: FileWrapper) -> bool:
        response = self.response
        try:
            file = body.filelike.fileno()
            offset = os.lseek(file, 0, os.SEEK_CUR)
        except (AttributeError, OSError, io.UnsupportedOperation):
            return False
        if response.response_length is None:
            return False
        response.send_headers()
        if not response.omits_body:
            self._file, self._offset, self._left = file, offset, response.response_length
        return True

    def done(self) -> None:
        """Whole or broken off: what is held back goes, and the application's part is closed."""
        try:
            self._corked(False)
        finally:
            close = getattr(self.body, "close", None)
            if close:
                close()

    def _corked(self, on: bool) -> None:
        """Send whole packets only, until the end, as nginx does (tcp_nopush): half as fast again over loopback."""
        if self._file is not None and self._socket.family in _TCP:
            try:
                self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_CORK, int(on))
            except OSError:
                if on:
                    raise
