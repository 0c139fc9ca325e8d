"""The trail's files in one folder: ``audit.jsonl``, which is appended to, and those before it, named by their first line's number.

Any number of processes of one machine write: one at a time, under a lock. A line is there when it is on the disk. What a process that died left of a line
was acknowledged to nobody, and is cut off.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import threading
import time
from collections import deque
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import BinaryIO

from glancecore_notify_audit.chain import Broken, Line, Link, following, read, written

CURRENT = "audit.jsonl"
_LOCK = ".lock"
#: Seconds between two looks at a lock that another process has.
_POLL = 0.02
#: Bytes that are read from a file's end at once.
_STEP = 1 << 16
#: Events that are known again when they come twice.
_REMEMBERED = 256


class Busy(Exception):
    """Another process does not give the lock back."""


class Trail:
    """Thread-safe. Raises OSError, Broken, Busy."""

    def __init__(self, folder: Path, key: bytes, file_size: int, timeout: float) -> None:
        self._folder, self._key, self._file_size, self._timeout = folder, key, file_size, timeout
        self._mutex = threading.Lock()
        self._file: BinaryIO | None = None
        self._size = 0
        self._end = Link()
        self._recent: deque[object] = deque(maxlen=_REMEMBERED)

    def append(self, content: Mapping[str, object]) -> None:
        """It is on the disk when this returns. One whose ``id`` is that of one of the last ones is there already."""
        with self._mutex, self._locked():
            out = self._current()
            if content["id"] in self._recent:
                return
            line, end = written(content, self._end, self._key)
            try:
                _write(out.fileno(), line)
            except OSError:
                self.close()  # what was written of the line is cut off before the next one
                raise
            self._end, self._size = end, self._size + len(line)
            self._recent.append(content["id"])
            if self._size >= self._file_size:
                self._turn_over()

    def close(self) -> None:
        if self._file is not None:
            with contextlib.suppress(OSError):
                self._file.close()
            self._file = None

    # -- inside ------------------------------------------------------------------------------------------------------
    @contextlib.contextmanager
    def _locked(self) -> Iterator[None]:
        with (self._folder / _LOCK).open("ab") as lock:
            end = time.monotonic() + self._timeout
            while True:
                try:
                    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    break
                except BlockingIOError:
                    if time.monotonic() > end:
                        raise Busy(f"another process holds {_LOCK} for more than {self._timeout:g} seconds") from None
                    time.sleep(_POLL)
            yield

    def _current(self) -> BinaryIO:
        """The open file, and its end as it is now: another process may have written to it, or begun another one."""
        path = self._folder / CURRENT
        if self._file is not None:
            try:
                there = path.stat()
            except FileNotFoundError:
                there = None
            ours = os.fstat(self._file.fileno())
            if there is None or (there.st_dev, there.st_ino) != (ours.st_dev, ours.st_ino) or there.st_size != self._size:
                self.close()
        if self._file is None:
            fresh = not path.exists()
            self._file = path.open("a+b")
            if fresh:
                path.chmod(0o640)
                _sync(self._folder)
            try:
                self._look(self._file)
            except BaseException:
                self.close()
                raise
        return self._file

    def _look(self, out: BinaryIO) -> None:
        lines = list(_last(out, _REMEMBERED))
        whole = out.seek(0, os.SEEK_END)
        kept = whole - (len(lines.pop()) if lines and not lines[-1].endswith(b"\n") else 0)
        if kept < whole:
            out.truncate(kept)
            os.fsync(out.fileno())
        found = [read(x.rstrip(b"\n"), None) for x in lines]
        if found:
            read(lines[-1].rstrip(b"\n"), self._key)
            self._end = found[-1].link
        else:
            self._end = self._before()
        self._size, self._recent = kept, deque((x.content.get("id") for x in found), _REMEMBERED)

    def _before(self) -> Link:
        earlier = files(self._folder)[:-1]
        if not earlier:
            return Link()
        with earlier[-1].open("rb") as last:
            lines = list(_last(last, 1))
        if not lines:
            raise Broken(f"{earlier[-1].name} is empty")
        return read(lines[-1].rstrip(b"\n"), self._key).link

    def _turn_over(self) -> None:
        path = self._folder / CURRENT
        with path.open("rb") as file:
            first = read(file.readline().rstrip(b"\n"), None).link.seq
        path.rename(self._folder / f"audit-{first:012}.jsonl")
        _sync(self._folder)
        self.close()


def files(folder: Path) -> list[Path]:
    """In the order of their lines."""
    return [*sorted(folder.glob("audit-*.jsonl")), *([folder / CURRENT] if (folder / CURRENT).exists() else [])]


def verified(folder: Path, key: bytes) -> Iterator[Line]:
    """Every line, each seen to follow the one before. The first one may have others before it that were taken away. Raises OSError, Broken naming
    file and line."""
    before: Link | None = None
    for path in files(folder):
        number = 0
        with path.open("rb") as file:
            try:
                for line in _whole(file):
                    number += 1
                    found = following(line, key, before)
                    before = found.link
                    yield found
            except Broken as exc:
                raise Broken(f"{path.name}, line {number}: {exc}") from exc


def _whole(file: BinaryIO) -> Iterator[bytes]:
    for line in file:
        if not line.endswith(b"\n"):
            raise Broken("the file ends within the line behind it: it is being written, or its writer died")
        yield line.rstrip(b"\n")


def _last(file: BinaryIO, count: int) -> Iterator[bytes]:
    """The last ``count`` lines, and what stands behind them, as they are in the file."""
    end = file.seek(0, os.SEEK_END)
    start, found = end, b""
    while start > 0 and found.count(b"\n") <= count:
        step = min(_STEP, start)
        start -= step
        file.seek(start)
        found = file.read(step) + found
    *whole, rest = found.split(b"\n")
    yield from (x + b"\n" for x in (whole if start == 0 else whole[-count:]))
    if rest:
        yield rest


def _write(descriptor: int, line: bytes) -> None:
    while line:
        line = line[os.write(descriptor, line):]
    os.fsync(descriptor)


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
