"""Reading an open file, piece by piece."""

from __future__ import annotations

import os
from collections.abc import Iterator

from glancecore.domain import errors
from glancecore_store_file.timeouts import Calls


class Reader(Iterator[bytes]):
    """An iterator, not a generator: it can be closed before it was started."""

    def __init__(self, calls: Calls, file: int, offset: int, end: int, chunk: int, store: str) -> None:
        self._calls, self._file, self._at, self._end, self._chunk, self._store = calls, file, offset, end, chunk, store

    def __next__(self) -> bytes:
        if self._file < 0 or self._at >= self._end:
            self.close()
            raise StopIteration
        piece = self._calls(os.pread, self._file, min(self._chunk, self._end - self._at), self._at)
        if not piece:
            raise errors.StoreUnavailable(
                f"store {self._store}: the file became {self._end - self._at} bytes shorter", self._store, "open"
            )
        self._at += len(piece)
        return piece

    def close(self) -> None:
        file, self._file = self._file, -1
        if file >= 0:
            self._calls.last(lambda: os.close(file))

    def __del__(self) -> None:
        self.close()
