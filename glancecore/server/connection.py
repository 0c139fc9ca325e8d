"""One client: what has come of its next request, before any thread is spent on it."""

from __future__ import annotations

import enum
import fcntl
import re
import select
import socket
import ssl
import struct
import termios
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from gunicorn.util import split_request_uri

from glancecore.sdk.pace import Pace, PaceLimits, TooSlow
from glancecore.server.answer import GRACE, Answer
from glancecore.server.paced_socket import TICK
from glancecore.server.shares import Transfer

#: Bodies of up to this many bytes are waited for without a thread.
SMALL_BODY = 256 << 10
#: What is read at a time.
READ = 64 << 10
_LENGTH = re.compile(rb"\r\ncontent-length:[ \t]*(\d{1,18})[ \t]*(?=\r\n|\Z)", re.IGNORECASE)
_CODING = re.compile(rb"\r\n(?:transfer-encoding|expect)[ \t]*:", re.IGNORECASE)


class State(enum.StrEnum):
    HANDSHAKE = "handshake"
    #: Kept for the client's next request.
    IDLE = "idle"
    HEADER = "header"
    BODY = "body"
    #: A thread works on it, or will.
    RUNNING = "running"
    #: An answer that waits until the client takes more.
    SENDING = "sending"
    #: The last answer is sent; what the client still sends is thrown away, or it would never read the answer.
    LINGERING = "lingering"
    CLOSED = "closed"


_WAITING = frozenset({State.HANDSHAKE, State.HEADER, State.BODY, State.IDLE, State.LINGERING})


@dataclass(frozen=True, slots=True)
class Head:
    """What is to be known before a request is parsed. ``size``: bytes of the header, and of the body when it is a small
    one; ``slow``: the body may take long to come."""

    method: str
    path: str
    size: int
    slow: bool


class Connection:
    """``address``: empty for a Unix socket."""

    __slots__ = (
        "_head",
        "_searched",
        "_waits",
        "address",
        "answer",
        "buffer",
        "callback",
        "client",
        "deadline",
        "expected",
        "lane",
        "pace",
        "parser",
        "seen",
        "server",
        "slow",
        "sock",
        "started",
        "state",
        "tls",
        "transfer",
    )

    def __init__(self, sock: socket.socket, client: Any, deadline: float, tls: ssl.SSLContext | None) -> None:
        self.client = client
        self.address = str(client[0]) if isinstance(client, tuple) else ""
        self.server = sock.getsockname()
        if tls is not None:
            sock.setblocking(False)
            sock = tls.wrap_socket(sock, server_side=True, do_handshake_on_connect=False)
        else:
            # what a thread waits for at a time
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, _spell(TICK))
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, _spell(GRACE))
        sock.setblocking(False)
        self.sock = sock
        self.tls = tls is not None
        self._waits = False
        self.state = State.HANDSHAKE if tls is not None else State.HEADER
        self.deadline = deadline
        self.buffer = bytearray()
        #: Bytes of it that are known to hold no end of a header.
        self._searched = 0
        self._head: Head | None = None
        #: Bytes that the worker keeps room for while they come.
        self.expected = 0
        self.parser: Any = None
        self.answer: Answer | None = None
        self.transfer: Transfer | None = None
        self.lane: Any = None
        self.pace: Pace | None = None
        #: Bytes that the client had got at the last look.
        self.seen = 0
        self.started = 0.0
        #: A thread may have to wait for its body.
        self.slow = False
        self.callback: Callable[[Connection], None] = _nothing

    def wait(self, on: bool) -> None:
        """Reads wait for the client from here on, a ``TICK`` at a time, and writes for ``GRACE``; or neither waits."""
        if on is not self._waits:
            self._waits = on
            self.sock.settimeout((TICK if self.tls else None) if on else 0.0)

    def shake_hands(self) -> int:
        """What epoll is to wait for, 0 when it is done. Raises OSError."""
        try:
            self.sock.do_handshake()  # type: ignore[attr-defined]
        except ssl.SSLWantReadError:
            return select.EPOLLIN
        except ssl.SSLWantWriteError:
            return select.EPOLLOUT
        return 0

    def receive(self) -> bool:
        """Whether bytes have come, or may still come; False at the end of the stream. Raises OSError."""
        while True:
            try:
                data = self.sock.recv(READ)
            except (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
                return True
            if not data:
                return False
            self.buffer += data
            if not isinstance(self.sock, ssl.SSLSocket) or not self.sock.pending():
                return True

    def gives_way(self) -> bool:
        """It waits for its client, and no transfer is lost with it."""
        return self.state in _WAITING or (self.state is State.SENDING and self.transfer is None)

    def held_back(self) -> bool:
        """Whether there are bytes that epoll does not tell of: of the last record of TLS, behind what was read of
        it."""
        return isinstance(self.sock, ssl.SSLSocket) and self.sock.pending() > 0

    def head(self) -> Head | None:
        """None while the header has not come whole."""
        if self._head is not None:
            return self._head
        end = self.buffer.find(b"\r\n\r\n", max(0, self._searched - 3))
        self._searched = len(self.buffer)
        if end < 0:
            return None
        head = bytes(self.buffer[:end])
        words = (
            head.removeprefix(b"\r\n").partition(b"\r\n")[0].decode("latin-1").split(" ")
        )  # the parser lets one empty line pass
        method, target = (words[0], words[1]) if len(words) > 2 else ("", "")
        size, slow = end + 4, _CODING.search(head) is not None
        found = _LENGTH.search(head)
        if found and not slow:
            length = int(found[1])
            slow = length > SMALL_BODY
            size += 0 if slow else length
        self._head = Head(method, _path(target), size, slow)
        return self._head

    def take(self) -> bytes:
        """All that has come; a new request begins behind it."""
        taken = bytes(self.buffer)
        self.buffer.clear()
        self._searched, self._head = 0, None
        return taken

    def taken(self) -> int:
        """Bytes of the answer that the client's side has got."""
        assert self.answer is not None  # noqa: S101
        waiting = struct.unpack("i", fcntl.ioctl(self.sock.fileno(), termios.TIOCOUTQ, b"\0\0\0\0"))[0]
        return self.answer.sent - int(waiting)

    def sending(self, limits: PaceLimits) -> Answer:
        """The answer, which waits until the client takes more of it."""
        assert self.answer is not None  # noqa: S101
        self.state = State.SENDING
        if self.pace is None:
            self.pace, self.seen = Pace(limits), self.taken()
        return self.answer

    def takes_enough(self) -> None:
        """Since the last look, a ``TICK`` ago. Raises TooSlow, OSError."""
        assert self.pace is not None  # noqa: S101
        taken = self.taken()
        self.pace.add(TICK, max(0, taken - self.seen))
        self.seen = taken

    def sends_enough(self) -> bool:
        """It keeps the least rate, and is not silent: most clients read no answer before they have sent all."""
        assert self.pace is not None  # noqa: S101
        count, self.seen = self.seen, 0
        try:
            self.pace.add(TICK, count)
        except TooSlow:
            return False
        return True

    def close(self) -> None:
        self.state = State.CLOSED
        self.sock.close()

    def within(self, seconds: float) -> None:
        self.deadline = time.monotonic() + seconds


def _path(target: str) -> str:
    """As the parser finds it: a target may be a whole URL."""
    try:
        return str(split_request_uri(target).path)
    except ValueError:
        return ""


def _nothing(_connection: Connection) -> None:
    pass


def _spell(seconds: float) -> bytes:
    """As the kernel takes it."""
    return struct.pack("ll", int(seconds), int(seconds % 1 * 1_000_000))
