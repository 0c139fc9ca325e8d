"""Reading an object; what breaks is taken up again by ``RangeReader``."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from http import HTTPStatus
from typing import Any

from swiftclient import ClientException, Connection

from glancecore.domain import errors
from glancecore.ports.store import CHUNK
from glancecore.sdk.http_ranges import RangeReader
from glancecore_store_swift.account import Account
from glancecore_store_swift.places import Place
from glancecore_store_swift.trouble import store_errors


def read_object(
    place: Place, offset: int, length: int | None, retries: int, query: Callable[[], str | None]
) -> Iterator[bytes]:
    """``query``: makes what is asked after the ``?``, anew for each request."""
    account = place.account

    def ask(wanted: str | None) -> _Answer | None:
        asked, connection = query(), account.take("open")
        connection.retries = retries
        try:
            with store_errors(account.store, "open"):
                headers, body = connection.get_object(
                    place.container,
                    place.key,
                    resp_chunk_size=CHUNK,
                    query_string=asked,
                    headers={} if wanted is None else {"Range": wanted},
                )
        except BaseException as exc:
            account.give_back(connection, kept=isinstance(exc, errors.BlobNotFound) or _nothing_left(exc))
            if _nothing_left(exc):
                return None
            raise
        return _Answer(account, connection, headers, body.resp)

    return RangeReader(ask, account.store, offset, length, retries)


def _nothing_left(exc: BaseException) -> bool:
    return isinstance(exc.__cause__, ClientException) and bool(
        exc.__cause__.http_status == HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE
    )


class _Answer:
    def __init__(self, account: Account, connection: Connection, headers: Mapping[str, str], body: Any) -> None:
        self._account, self._connection, self._body = account, connection, body
        self.etag = headers.get("etag", "").strip('"')  # on some paths with quotes, on others without
        self.content_length = headers.get("content-length", "")
        self.content_range = headers.get("content-range", "")

    def read(self, size: int) -> bytes:
        with store_errors(self._account.store, "open"):
            piece: bytes = self._body.read(size)
            return piece

    def close(self, *, whole: bool) -> None:
        self._account.give_back(self._connection, kept=whole)
