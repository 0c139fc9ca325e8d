"""Bytes into and out of an RBD image, several chunks under way at once, in constant memory."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from itertools import chain
from typing import Any

from glancecore.domain import errors
from glancecore_store_rbd.cluster import named_errors, rbd, succeed

#: Bytes of one request, and requests that are under way at once. More are faster, and take memory: see the README,
#: "Speed".
READ, READS = 1 << 20, 8
WRITE, WRITES = 1 << 20, 8
#: Bytes by which an image grows whose size is not known: at first, and at most; in between by doubling.
GROW, GROW_MOST = 8 << 20, 1 << 30


@contextmanager
def opened(pool: Any, name: str | None = None, image_id: str | None = None) -> Iterator[Any]:
    """The image, to write to it. What went wrong first is what the caller must know."""
    image = rbd.Image(pool, name, image_id=image_id)
    try:
        yield image
    except BaseException:
        _let_end(pool)
        with suppress(rbd.Error):
            image.close()
        raise
    image.close()


def _let_end(pool: Any) -> None:
    """Librbd tells that a request has failed before it has done with it, and it aborts the process when the image is
    closed in between. The thread that does so calls us back behind that, whatever the cluster says."""
    pool.aio_stat("rbd_directory", lambda *_: None).wait_for_complete_and_cb()


class _Request:
    """One asynchronous read or write. ``result`` waits for it. ``right``: the blob was seen to exist after it was
    done."""

    def __init__(self) -> None:
        self.right = False
        self._done = threading.Event()
        self._result = 0
        self._data = b""

    def wrote(self, completion: Any) -> None:
        self._result = completion.get_return_value()
        self._done.set()

    def read(self, completion: Any, data: bytes | None) -> None:
        self._data = data or b""
        self.wrote(completion)

    @property
    def done(self) -> bool:
        return self._done.is_set()

    @property
    def well(self) -> bool:
        return self._result >= 0

    def result(self, operation: str) -> bytes:
        self._done.wait()
        succeed(self._result, operation)
        return self._data


class Writer:
    """Writes pieces of any length to the end of an open image, which has ``start`` bytes, and room for ``size`` more if
    that is known; else it grows as needed. ``finish`` waits for the last one and cuts it to size."""

    def __init__(self, image: Any, size: int | None, *, sparse: bool, start: int = 0) -> None:
        self._image, self._sparse = image, sparse
        self._start = self._at = start
        self._room = start + (size or 0)
        self._held: list[bytes] = []
        self._held_size = 0
        self._running: deque[_Request] = deque()

    def write(self, piece: bytes) -> None:
        while piece:
            part = piece[: WRITE - self._held_size]
            self._held.append(part)
            self._held_size += len(part)
            piece = piece[len(part) :]
            if self._held_size == WRITE:
                self._send()

    def finish(self) -> None:
        """The cluster has all of it now."""
        self._send()
        if self._room != self._at:
            self._resize(self._at)
        self._settle()
        self._image.flush()

    def abandon(self) -> bool:
        """Wait for what is under way, whatever comes of it: the image can't be closed before. Whether the cluster has
        all that was sent: nothing comes later."""
        for request in self._running:
            request._done.wait()  # noqa: SLF001
        return all(request.well for request in self._running)

    def _send(self) -> None:
        data = b"".join(self._held)
        self._held, self._held_size = [], 0
        if not data:
            return
        end = self._at + len(data)
        if end > self._room:
            self._room = max(end, self._room + min(max(self._room - self._start, GROW), GROW_MOST))
            self._resize(self._room)
        if not (self._sparse and data.count(0) == len(data)):
            if len(self._running) == WRITES:
                self._running.popleft().result("write")
            request = _Request()
            self._image.aio_write(data, self._at, request.wrote)
            self._running.append(request)
        self._at = end

    def _resize(self, size: int) -> None:
        """Librbd waits for the writes that are under way as well; but of one that fails then, it tells from a thread of
        its own."""
        self._settle()
        self._image.resize(size)

    def _settle(self) -> None:
        while self._running:
            self._running.popleft().result("write")


class Reader(Iterator[bytes]):
    """Reads ahead. ``alive`` tells whether the blob still exists: a deleted image reads as zeros. An iterator, not a
    generator: it can be closed before it was started."""

    def __init__(
        self, store: str, image: Any, offset: int, length: int, alive: Callable[[], bool], close: Callable[[], None]
    ) -> None:
        self._store, self._image, self._alive, self._close = store, image, alive, close
        self._at, self._end = offset, offset + length
        self._running: deque[_Request] = deque()
        self._open = True

    def __next__(self) -> bytes:
        if not self._open:
            raise StopIteration
        with named_errors(self._store):
            while self._at < self._end and len(self._running) < READS:
                size = min(READ - self._at % READ, self._end - self._at)
                request = _Request()
                self._image.aio_read(self._at, size, request.read)
                self._running.append(request)
                self._at += size
            if not self._running:
                self.close()
                raise StopIteration
            request = self._running.popleft()
            piece = request.result("read")
            if not request.right:
                self._confirm(request)
        return piece

    def _confirm(self, request: _Request) -> None:
        """One question for all that has been read until it is asked."""
        read = [request, *(x for x in self._running if x.done)]
        if not self._alive():
            raise errors.BlobNotFound(f"store {self._store}: it was deleted meanwhile", self._store)
        for each in read:
            each.right = True

    def close(self) -> None:
        if self._open:
            self._open = False
            for request in self._running:
                request._done.wait()  # noqa: SLF001
            self._running.clear()
            self._close()

    def __del__(self) -> None:
        self.close()


def begun(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """The same, when as much has come as is written at once, or all."""
    rest, first, size = iter(pieces), list[bytes](), 0
    while size < WRITE and (piece := next(rest, None)) is not None:
        first.append(piece)
        size += len(piece)
    return chain(first, rest)


def total(pieces: Iterable[bytes], writer: Writer, size: int | None) -> None:
    """Write all pieces. Raises SizeMismatch as soon as there are more than ``size``, or in the end fewer."""
    seen = 0
    for piece in pieces:
        seen += len(piece)
        if size is not None and seen > size:
            raise errors.SizeMismatch(f"{size} bytes were declared, but more came")
        writer.write(bytes(piece))
    if size is not None and seen != size:
        raise errors.SizeMismatch(f"{size} bytes were declared, but {seen} came")
    writer.finish()
