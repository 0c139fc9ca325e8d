"""Reading an object: where the connection breaks it is taken up again at the same byte, a bounded number of times."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator, Mapping
from http import HTTPStatus
from typing import Any

from glancecore.domain import errors
from glancecore.ports.store import CHUNK
from glancecore_store_s3.trouble import status_of, store_errors

_RANGE = re.compile(r"bytes (\d+)-(\d+)/(\d+)")
#: Servers count in 64 bits: a range that ends behind this is asked for without its end.
_LARGEST = 1 << 62
_PAUSE = 0.2


class Reader(Iterator[bytes]):
    """``length`` bytes (None: to the end) from ``offset``. An iterator, not a generator: what is absent raises when it is made,
    and it can be closed before it was started.
    """

    def __init__(self, store: str, client: Any, where: Mapping[str, str], offset: int, length: int | None, retries: int) -> None:
        self._store, self._client, self._where, self._retries = store, client, where, retries
        self._at, self._etag = offset, ""
        self._end = offset  # until the answer tells
        self._body: Any = None
        whole = offset == 0 and length is None
        self._ask(None if length is None or offset + length > _LARGEST else offset + length, ranged=not whole)

    def __next__(self) -> bytes:
        while self._at < self._end and self._body is not None:
            try:
                piece = self._read()
            except errors.StoreUnavailable:
                self._drop()
                if self._retries <= 0:
                    self._end = self._at
                    raise
                self._resume()
                continue
            self._at += len(piece)
            return piece
        self.close()
        raise StopIteration

    def close(self) -> None:
        """The connection can be used again when all was read."""
        if self._body is not None and self._at >= self._end:
            try:
                with store_errors(self._store, "open"):
                    self._body.read()  # nothing: that ends the answer
            except errors.StoreError:
                self._drop()
            self._body = None
        self._drop()
        self._end = self._at

    def __del__(self) -> None:
        if hasattr(self, "_body"):
            self.close()

    # -- inside ----------------------------------------------------------------------------------------------------------
    def _ask(self, end: int | None, *, ranged: bool) -> None:
        wanted = {"Range": f"bytes={self._at}-{'' if end is None else end - 1}"} if ranged else {}
        try:
            with store_errors(self._store, "open"):
                answer = self._client.get_object(**self._where, **wanted)
        except errors.StoreUnavailable as exc:
            if status_of(exc.__cause__) == HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
                return  # nothing lies behind the offset
            raise
        self._body = answer["Body"]
        try:
            self._check(answer, end, ranged=ranged)
        except BaseException:
            self._drop()
            raise

    def _check(self, answer: Mapping[str, Any], end: int | None, *, ranged: bool) -> None:
        etag = answer.get("ETag", "")
        if self._etag and etag != self._etag:
            raise self._unavailable("the object was replaced while it was read")
        self._etag = etag
        if not ranged:
            self._end = int(answer["ContentLength"])
            return
        found = _RANGE.fullmatch(answer.get("ContentRange", ""))
        if not found:
            raise self._unavailable("the service does not send the range that was asked for")
        start, last, size = map(int, found.groups())
        if start != self._at or last + 1 != min(size, size if end is None else end):
            raise self._unavailable("the service sends another range than was asked for")
        self._end = last + 1

    def _read(self) -> bytes:
        with store_errors(self._store, "open"):
            piece: bytes = self._body.read(min(CHUNK, self._end - self._at))
        if not piece:
            raise self._unavailable(f"the service sent {self._end - self._at} bytes less than it said")
        return piece

    def _resume(self) -> None:
        """Raises StoreUnavailable when that fails, or leads to other data."""
        end, self._retries = self._end, self._retries - 1
        time.sleep(_PAUSE)
        try:
            self._ask(end, ranged=True)
            if self._body is None or self._end != end:
                raise self._unavailable("the object became shorter while it was read")
        except BaseException:
            self._drop()
            self._end = self._at
            raise

    def _drop(self) -> None:
        body, self._body = self._body, None
        if body is not None:
            body.close()

    def _unavailable(self, what: str) -> errors.StoreUnavailable:
        return errors.StoreUnavailable(f"store {self._store}: {what}", self._store, "open")
