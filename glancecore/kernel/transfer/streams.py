"""Streams on their way to a store, and out of one."""

from __future__ import annotations

from collections.abc import Iterable, Iterator


class MeteredSource:
    """Remembers what its source raised, so that the facade can tell it from what the driver raised."""

    def __init__(self, chunks: Iterable[bytes]) -> None:
        self._chunks = chunks
        self.failure: BaseException | None = None
        self.seen = 0

    def __iter__(self) -> Iterator[bytes]:
        try:
            for piece in self._chunks:
                self.seen += len(piece)
                yield piece
        except GeneratorExit:
            raise
        except BaseException as exc:
            self.failure = exc
            raise


def part(pieces: Iterator[bytes], offset: int, length: int | None) -> Iterator[bytes]:
    """Bytes ``offset`` to ``offset + length`` of a stream that can only be read from its beginning."""
    at, end = 0, None if length is None else offset + length
    try:
        for piece in pieces:
            first, at = at, at + len(piece)
            if at <= offset:
                continue
            yield piece[max(0, offset - first) : None if end is None else end - first]
            if end is not None and at >= end:
                return
    finally:
        close = getattr(pieces, "close", None)
        if close:
            close()
