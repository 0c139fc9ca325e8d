"""Reading an object: where the connection breaks it is taken up again at the same byte, a bounded number of times."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from http import HTTPStatus

from swiftclient import ClientException, Connection

from glancecore.domain import errors
from glancecore.ports.store import CHUNK
from glancecore_store_swift.places import Place
from glancecore_store_swift.trouble import store_errors

_RANGE = re.compile(r"bytes (\d+)-(\d+)/(\d+)")
#: Servers count in 64 bits: a range that ends behind this is asked for without its end.
_LARGEST = 1 << 62
_PAUSE = 0.2


class Reader(Iterator[bytes]):
    """``length`` bytes (None: to the end) from ``offset``. An iterator, not a generator: what is absent raises when it is made,
    and it can be closed before it was started. ``query`` makes what is asked after the ``?``.
    """

    def __init__(self, place: Place, offset: int, length: int | None, retries: int, query: Callable[[], str | None]) -> None:
        self._place, self._retries, self._query = place, retries, query
        self._at, self._etag = offset, ""
        self._end = offset  # until the answer tells
        self._connection: Connection | None = None
        whole = offset == 0 and length is None
        self._ask(None if whole else None if length is None or offset + length > _LARGEST else offset + length, ranged=not whole)

    def __next__(self) -> bytes:
        while self._at < self._end and self._connection is not None:
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
        if self._connection is not None:
            if self._at >= self._end:
                self._place.account.give_back(self._connection, kept=True)
                self._connection = None
            else:
                self._drop()
        self._end = self._at

    def __del__(self) -> None:
        if hasattr(self, "_connection"):
            self.close()

    # -- inside ----------------------------------------------------------------------------------------------------------
    def _ask(self, end: int | None, *, ranged: bool) -> None:
        account, query = self._place.account, self._query()
        connection = account.take("open")
        connection.retries = self._retries
        kept = False
        try:
            with store_errors(account.store, "open"):
                headers, body = connection.get_object(
                    self._place.container, self._place.key, resp_chunk_size=CHUNK, query_string=query,
                    headers={"Range": f"bytes={self._at}-{'' if end is None else end - 1}"} if ranged else {})
        except errors.BlobNotFound:
            kept = True
            raise
        except errors.StoreUnavailable as exc:
            if isinstance(exc.__cause__, ClientException) and exc.__cause__.http_status == HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
                kept = True  # nothing lies behind the offset
                return
            raise
        else:
            kept = True
            self._connection, self._body = connection, body.resp
        finally:
            if self._connection is None:
                account.give_back(connection, kept=kept)
        try:
            self._check(headers, end, ranged=ranged)
        except BaseException:
            self._drop()
            raise

    def _check(self, headers: dict[str, str], end: int | None, *, ranged: bool) -> None:
        etag = headers.get("etag", "").strip('"')
        if self._etag and etag != self._etag:
            raise self._unavailable("the object was replaced while it was read")
        self._etag = etag
        if not ranged:
            if not headers.get("content-length", "").isdecimal():
                raise self._unavailable("Swift does not tell the size")
            self._end = int(headers["content-length"])
            return
        found = _RANGE.fullmatch(headers.get("content-range", ""))
        if not found:
            raise self._unavailable("Swift does not send the range that was asked for")
        start, last, size = map(int, found.groups())
        if start != self._at or last + 1 != min(size, size if end is None else end):
            raise self._unavailable("Swift sends another range than was asked for")
        self._end = last + 1

    def _read(self) -> bytes:
        with store_errors(self._place.account.store, "open"):
            piece: bytes = self._body.read(min(CHUNK, self._end - self._at))
        if not piece:
            raise self._unavailable(f"Swift sent {self._end - self._at} bytes less than it said")
        return piece

    def _resume(self) -> None:
        """Raises StoreUnavailable when that fails, or leads to other data."""
        end, self._retries = self._end, self._retries - 1
        time.sleep(_PAUSE)
        try:
            self._ask(end, ranged=True)
            if self._end != end:
                raise self._unavailable("the object became shorter while it was read")
        except BaseException:
            self._end = self._at
            raise

    def _drop(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            self._place.account.give_back(connection, kept=False)

    def _unavailable(self, what: str) -> errors.StoreUnavailable:
        store = self._place.account.store
        return errors.StoreUnavailable(f"store {store}: {what}", store, "open")
