"""The body of an upload with a declared length, read from the socket straight into the pieces that are handed on.

gunicorn's own reader copies each byte several times; for a body of gigabytes that is a third of the upload's CPU time.
"""

from __future__ import annotations

import io
from typing import Protocol

from glancecore.server.paced_socket import PacedSocket

#: Bytes of the first piece. A client that fills each piece at once gets larger ones, so that many slow ones cost little
#: memory.
FIRST_PIECE = 16 << 10


class Unreader(Protocol):
    """gunicorn's buffer of what was read beyond the header."""

    def take_buffered(self) -> bytes: ...

    def unread(self, data: bytes) -> None: ...


class LengthBody(io.RawIOBase):
    """``wsgi.input`` for a body of ``length`` bytes. A read gives what has come; nothing at the end of the body or of
    the connection."""

    def __init__(self, unreader: Unreader, sock: PacedSocket, length: int) -> None:
        super().__init__()
        self._unreader = unreader
        self._socket = sock
        self._left = length
        self._piece = FIRST_PIECE
        #: gunicorn asks: after a failed read the connection can't be used again.
        self.failed = False

    @property
    def left(self) -> int:
        """Bytes that have not been read."""
        return self._left

    def readable(self) -> bool:
        return True

    def read(self, size: int | None = -1) -> bytes:
        """``size`` bytes, or fewer when the client is slow; none at the end."""
        wanted = self._left if size is None or size < 0 else min(size, self._left)
        if not wanted:
            return b""
        if held := self._unreader.take_buffered():
            self._unreader.unread(held[wanted:])
            self._left -= len(held[:wanted])
            return held[:wanted]
        piece = bytearray(min(wanted, self._piece))
        with memoryview(piece) as view:
            got = self._fill(view)
        if got < len(piece):
            del piece[got:]
        else:
            self._piece *= 2
        return piece  # type: ignore[return-value] # as good as bytes for hashing and writing, and one copy less

    def readinto(self, buffer: bytearray) -> int:  # type: ignore[override]
        """For readline and the like, which RawIOBase makes of it."""
        with memoryview(buffer) as view:
            return self._fill(view[: self._left])

    def _fill(self, view: memoryview) -> int:
        held = self._unreader.take_buffered()
        if held:
            got = min(len(held), len(view))
            view[:got] = held[:got]
            if held[got:]:
                self._unreader.unread(held[got:])
        else:
            try:
                got = self._socket.recv_into(view)
            except BaseException:
                self.failed = True
                raise
        self.failed = not got
        self._left -= got
        return got
