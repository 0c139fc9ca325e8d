"""What a request sends, as the HTTP library wants it."""

from __future__ import annotations

import hashlib
from collections.abc import Generator, Iterable, Iterator
from typing import Any

from glancecore.ports.store import CHUNK


class SourceFailed(Exception):
    """Ends a request whose source has failed. No OSError: the client libraries take those for trouble with the
    connection."""


class Body:
    """What is sent, with its MD5. ``failure``: what its source raised.

    Its last piece is held back until the source has ended: when all the bytes that were announced have come, Swift has
    the object."""

    def __init__(self, chunks: Iterable[bytes]) -> None:
        self._chunks = chunks
        self.failure: BaseException | None = None
        self.reset()

    @property
    def md5(self) -> str:
        return self._md5.hexdigest()

    def reset(self, *_args: Any, **_kwargs: Any) -> None:
        """Asked for before it is sent again."""
        self._md5 = hashlib.md5(usedforsecurity=False)
        self._left = self._pieces()

    def read(self, _size: int = -1) -> bytes | memoryview:
        """The next piece, whatever is asked for: the HTTP library asks for 16 KiB at a time, which is slow, and takes
        more as well."""
        piece = next(self._left, b"")
        self._md5.update(piece)
        return piece

    def close(self) -> None:
        """Lets go of the last piece: the HTTP library's answers, which hold the body, live until the garbage collector
        comes."""
        self._left.close()

    def _pieces(self) -> Generator[bytes | memoryview]:
        held: bytes | memoryview = b""
        try:
            for piece in self._chunks:
                for each in (piece,) if len(piece) <= CHUNK else _cut(memoryview(piece).cast("B")):
                    if each and held:
                        yield held
                    held = each or held
        except GeneratorExit:
            raise
        except BaseException as exc:
            self.failure = exc
            raise SourceFailed from exc
        yield held


def _cut(large: memoryview) -> Iterator[memoryview]:
    for start in range(0, len(large), CHUNK):
        yield large[start : start + CHUNK]
