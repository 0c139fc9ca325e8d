"""Reading an object; what breaks is taken up again by ``RangeReader``."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from http import HTTPStatus
from typing import Any

from glancecore.domain import errors
from glancecore.sdk.http_ranges import RangeReader
from glancecore_store_s3.trouble import status_of, store_errors


def read_object(
    store: str, client: Any, where: Mapping[str, str], offset: int, length: int | None, retries: int
) -> Iterator[bytes]:
    """``where``: Bucket and Key."""

    def ask(wanted: str | None) -> _Answer | None:
        try:
            with store_errors(store, "open"):
                return _Answer(store, client.get_object(**where, **({} if wanted is None else {"Range": wanted})))
        except errors.StoreUnavailable as exc:
            if status_of(exc.__cause__) == HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
                return None
            raise

    return RangeReader(ask, store, offset, length, retries)


class _Answer:
    def __init__(self, store: str, answer: Mapping[str, Any]) -> None:
        self._store, self._body = store, answer["Body"]
        self.etag = str(answer.get("ETag", ""))
        self.content_length = str(answer.get("ContentLength", ""))
        self.content_range = str(answer.get("ContentRange", ""))

    def read(self, size: int) -> bytes:
        with store_errors(self._store, "open"):
            piece: bytes = self._body.read(size)
            return piece

    def close(self, *, whole: bool) -> None:
        if whole:
            try:
                with store_errors(self._store, "open"):
                    self._body.read()  # nothing: that ends the answer, and its connection can be used again
            except errors.StoreError:
                pass
            else:
                return
        self._body.close()
