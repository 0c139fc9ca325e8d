"""The body of an upload with a declared length, read from the socket straight into the pieces that are handed on.

gunicorn's own reader copies each byte several times; for a body of gigabytes that is a third of the upload's CPU time.
"""

from __future__ import annotations

import io
import socket
from typing import Protocol

#: Bodies from this many bytes on are read this way; below, gunicorn's reader is as good.
LARGE = 256 << 10


class Unreader(Protocol):
    """gunicorn's buffer of what was read beyond the header."""

    def take_buffered(self) -> bytes: ...

    def unread(self, data: bytes) -> None: ...


class LengthBody(io.RawIOBase):
    """``wsgi.input`` for a body of ``length`` bytes. A short read means that the connection has ended."""

    def __init__(self, unreader: Unreader, sock: socket.socket, length: int) -> None:
        super().__init__()
        self._unreader = unreader
        self._socket = sock
        self._left = length
        #: gunicorn asks: after a failed read the connection can't be used again.
        self.failed = False

    @property
    def left(self) -> int:
        """Bytes that have not been read."""
        return self._left

    def readable(self) -> bool:
        return True

    def read(self, size: int | None = -1) -> bytes:
        """Exactly ``size`` bytes, fewer only at the end of the body or of the connection."""
        wanted = self._left if size is None or size < 0 else min(size, self._left)
        if not wanted:
            return b""
        piece = bytearray(wanted)
        with memoryview(piece) as view:
            got = self._fill(view)
        self._left -= got
        if got < wanted:
            self.failed = True
            del piece[got:]
        return piece  # type: ignore[return-value] # as good as bytes for hashing and writing, and one copy less

    def readinto(self, buffer: bytearray) -> int:  # type: ignore[override]
        """For readline and the like, which RawIOBase makes of it."""
        with memoryview(buffer) as view:
            got = self._fill(view[:self._left])
        self._left -= got
        return got

    def _fill(self, view: memoryview) -> int:
        got = 0
        held = self._unreader.take_buffered()
        if held:
            got = min(len(held), len(view))
            view[:got] = held[:got]
            if held[got:]:
                self._unreader.unread(held[got:])
        try:
            while got < len(view):
                count = self._socket.recv_into(view[got:])
                if not count:
                    break
                got += count
        except BaseException:
            self.failed = True
            raise
        return got
