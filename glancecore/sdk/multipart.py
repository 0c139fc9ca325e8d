"""Sending a stream to a backend in parts: cut, spooled, sent by several threads, any part more than once. For
stores."""

from __future__ import annotations

import os
import tempfile
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

from glancecore.domain import errors
from glancecore.ports.store import CHUNK
from glancecore.sdk import log_lines

Sent = TypeVar("Sent")


class PartStopped(Exception):
    """The transfer was given up: what is still being sent must stop."""


class UploadPart(Iterable[bytes]):
    """One part of the stream, in a file without a name: memory does not grow with its size, and every ``iter`` begins
    anew.

    ``number`` counts from 1. ``size`` in bytes.
    """

    def __init__(self, number: int, room: int, folder: str | None, stop: threading.Event) -> None:
        self.number, self.size = number, 0
        self._room, self._stop = room, stop
        self._file = tempfile.TemporaryFile(dir=folder, buffering=0)  # noqa: SIM115 - close() is called by who sends it

    def __iter__(self) -> Iterator[bytes]:
        """Raises PartStopped when another part has failed."""
        at = 0
        while at < self.size:
            if self._stop.is_set():
                raise PartStopped
            piece = self.read(at, CHUNK)
            at += len(piece)
            yield piece

    def read(self, at: int, length: int) -> bytes:
        """Up to ``length`` bytes from byte ``at`` of the part; none at its end."""
        return os.pread(self._file.fileno(), min(length, self.size - at), at)

    def fill(self, data: memoryview) -> memoryview:
        """Takes what fits; the rest."""
        taken, rest = data[: self._room - self.size], data[self._room - self.size :]
        while taken:
            written = self._file.write(taken)
            self.size += written
            taken = taken[written:]
        return rest

    @property
    def full(self) -> bool:
        return self.size == self._room

    def close(self) -> None:
        self._file.close()


def send_in_parts(
    chunks: Iterable[bytes],
    send: Callable[[UploadPart], Sent],
    room: Callable[[int], int],
    threads: int,
    folder: str | None = None,
) -> list[Sent]:
    """Cut ``chunks`` into parts and ``send`` them, up to ``threads`` at once; the answers in the order of the parts.

    ``room``: bytes of the part of that number. ``folder``: where the parts are spooled (None: the system's place for
    temporary files); at most ``threads`` + 1 of them exist at a time. A stream without bytes has no part. The first
    failure ends it all: what runs is stopped and waited for, then the failure is raised, those of ``chunks`` unchanged.
    Raises StoreUnavailable when ``folder`` has no room."""
    stop, slots = threading.Event(), threading.BoundedSemaphore(threads)
    sent: list[Future[Sent]] = []
    filling: UploadPart | None = None

    def work(part: UploadPart) -> Sent:
        try:
            if stop.is_set():
                raise PartStopped
            return send(part)
        except BaseException:
            stop.set()
            raise
        finally:
            part.close()
            slots.release()

    def submit(part: UploadPart) -> None:
        slots.acquire()
        sent.append(pool.submit(work, part))  # begins at once: there are as many threads as slots

    pool = ThreadPoolExecutor(threads, thread_name_prefix="part", initializer=log_lines.carry())
    try:
        for piece in chunks:
            rest = memoryview(piece).cast("B")
            while rest and not stop.is_set():
                filling = filling or _opened(len(sent) + 1, room, folder, stop)
                rest = _filled(filling, rest)
                if filling.full:
                    submit(filling)
                    filling = None
            if stop.is_set():
                break
        if filling is not None and not stop.is_set():
            submit(filling)
            filling = None
        return _answers(sent)
    finally:
        if not all(each.done() for each in sent):
            stop.set()
        pool.shutdown()
        if filling is not None:
            filling.close()


def _answers(sent: list[Future[Sent]]) -> list[Sent]:
    """Raises what failed first, not what was stopped because of it."""
    failures = [failure for each in sent if (failure := each.exception())]
    for failure in sorted(failures, key=lambda failure: isinstance(failure, PartStopped)):
        raise failure
    return [each.result() for each in sent]


def _opened(number: int, room: Callable[[int], int], folder: str | None, stop: threading.Event) -> UploadPart:
    try:
        return UploadPart(number, room(number), folder, stop)
    except OSError as exc:
        raise _no_room(exc) from exc


def _filled(part: UploadPart, data: memoryview) -> memoryview:
    try:
        return part.fill(data)
    except OSError as exc:
        raise _no_room(exc) from exc


def _no_room(exc: OSError) -> errors.StoreUnavailable:
    return errors.StoreUnavailable(
        f"the data can't be buffered: {(exc.strerror or type(exc).__name__).lower()}", operation="put"
    )


def exactly(chunks: Iterable[bytes], size: int | None) -> Iterator[bytes]:
    """``chunks`` as they are. Raises SizeMismatch as soon as they are more than ``size`` bytes, or at the end when
    fewer."""
    came = 0
    for piece in chunks:
        came += len(piece)
        if size is not None and came > size:
            raise errors.SizeMismatch(f"more than {size} bytes came, {size} were declared")
        yield piece
    if size is not None and came != size:
        raise errors.SizeMismatch(f"{came} bytes came, {size} were declared")
