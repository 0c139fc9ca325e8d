"""Reading a blob over HTTP: where the connection breaks it is taken up again at the same byte, a bounded number of
times. For stores."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from typing import Protocol

from glancecore.domain import errors
from glancecore.ports.store import CHUNK

_RANGE = re.compile(r"bytes (\d+)-(\d+)/(\d+)")
#: Servers count in 64 bits: a range that ends behind this is asked for without its end.
_LARGEST = 1 << 62
#: Seconds before the connection is taken up again.
_PAUSE = 0.2


class RangeAnswer(Protocol):
    """A backend's answer, as far as its headers have come. ``etag``, ``content_length``, ``content_range``: those
    headers, or ""."""

    etag: str
    content_length: str
    content_range: str

    def read(self, size: int) -> bytes:
        """Up to ``size`` bytes; none when no more come. Raises StoreUnavailable when the connection breaks."""

    def close(self, *, whole: bool) -> None:
        """``whole``: all was read, so that the connection can be used again. Raises nothing."""


class RangeReader(Iterator[bytes]):
    """``length`` bytes (None: to the end) from ``offset``. An iterator, not a generator: what is absent raises when it
    is made, and it can be closed before it was started.

    ``ask``: sends the request, with that Range header (None: for the whole), and gives its answer, or None when nothing
    lies behind the offset (416); what it raises passes. ``store``: the id, for messages. ``retries``: how often a
    broken connection is taken up again. Raises StoreUnavailable when it can't be, or the data is no longer the same
    (RFC 9110 sections 8.8.3, 14.4)."""

    def __init__(
        self, ask: Callable[[str | None], RangeAnswer | None], store: str, offset: int, length: int | None, retries: int
    ) -> None:
        self._answer: RangeAnswer | None = None
        self._send, self._store, self._retries = ask, store, retries
        self._at, self._etag = offset, ""
        self._end = offset  # until the answer tells
        self._ask(
            None if length is None or offset + length > _LARGEST else offset + length,
            ranged=offset > 0 or length is not None,
        )

    def __next__(self) -> bytes:
        while self._at < self._end and self._answer is not None:
            try:
                piece = self._read(self._answer)
            except errors.StoreUnavailable:
                if self._retries <= 0:
                    self.close()
                    raise
                self._resume()
                continue
            self._at += len(piece)
            return piece
        self.close()
        raise StopIteration

    def close(self) -> None:
        answer, self._answer = self._answer, None
        if answer is not None:
            answer.close(whole=self._at >= self._end)
        self._end = self._at

    def __del__(self) -> None:
        self.close()

    # -- inside ------------------------------------------------------------------------------------
    def _ask(self, end: int | None, *, ranged: bool) -> None:
        self._answer = self._send(f"bytes={self._at}-{'' if end is None else end - 1}" if ranged else None)
        if self._answer is not None:
            try:
                self._end = self._told(self._answer, end, ranged=ranged)
            except BaseException:
                self._end = self._at + 1  # something is unread: the connection is of no more use
                self.close()
                raise

    def _told(self, answer: RangeAnswer, end: int | None, *, ranged: bool) -> int:
        """Where it ends."""
        if self._etag and answer.etag != self._etag:
            raise self._unavailable("the data was replaced while it was read")
        self._etag = answer.etag
        if not ranged:
            if not answer.content_length.isdecimal():
                raise self._unavailable("the backend does not tell the size")
            return int(answer.content_length)
        found = _RANGE.fullmatch(answer.content_range)
        if not found:
            raise self._unavailable("the backend does not send the range that was asked for")
        start, last, size = map(int, found.groups())
        if start != self._at or last + 1 != min(size, size if end is None else end):
            raise self._unavailable("the backend sends another range than was asked for")
        return last + 1

    def _read(self, answer: RangeAnswer) -> bytes:
        piece = answer.read(min(CHUNK, self._end - self._at))
        if not piece:
            raise self._unavailable(f"the backend sent {self._end - self._at} bytes less than it said")
        return piece

    def _resume(self) -> None:
        end, self._retries = self._end, self._retries - 1
        self.close()
        time.sleep(_PAUSE)
        self._ask(end, ranged=True)
        if self._end != end:
            self.close()
            raise self._unavailable("the data became shorter while it was read")

    def _unavailable(self, what: str) -> errors.StoreUnavailable:
        return errors.StoreUnavailable(f"store {self._store}: {what}", self._store, "open")
