"""The trail's files in one folder: ``audit.jsonl``, which is appended to, and those before it, named by their first
line's number.

Any number of processes of one machine write: one at a time, under a lock. A line is there when it is on the disk. What
a process that died left of a line was acknowledged to nobody, and is cut off."""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import stat
import threading
import time
from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from glancecore_notify_audit.chain import Broken, Line, Link, following, read, written

CURRENT = "audit.jsonl"
_LOCK = ".lock"
#: Files before the current one; what else lies in the folder is none of the trail.
_EARLIER = re.compile(r"audit-\d{12,}\.jsonl")
#: What each line begins with.
_BEGIN = b'{"seq":'
#: Seconds between two looks at a lock that another process has.
_POLL = 0.02
#: Bytes that are read at once.
_STEP = 1 << 18
#: Events that are known again when they come twice, as far as they are in so many bytes of a file's end.
_REMEMBERED, _WINDOW = 256, 4 << 20
_READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC
_WRITE = os.O_RDWR | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC


class Busy(Exception):
    """Another process does not give the lock back."""


@dataclass(slots=True)
class _End:
    """The end of the last whole line: ``size`` bytes of its file lie before. ``link`` None: it is not known what the
    next line follows."""

    size: int = 0
    link: Link | None = None
    recent: deque[object] = field(default_factory=lambda: deque(maxlen=_REMEMBERED))

    def go_on(self, descriptor: int, size: int, key: bytes) -> None:
        """To the last whole line before ``size``. Raises Broken."""
        for line in _lines(descriptor, self.size, size):
            self.add(following(line[:-1], key, self.link), len(line))

    def add(self, line: Line, length: int) -> None:
        self.size += length
        self.link = line.link
        self.recent.append(line.content.get("id"))


class Trail:
    """Thread-safe. Raises OSError, Broken, Busy."""

    def __init__(self, folder: Path, key: bytes, file_size: int, timeout: float) -> None:
        self._folder, self._key, self._file_size, self._timeout = folder, key, file_size, timeout
        self._mutex = threading.Lock()
        self._file: int | None = None
        self._end = _End()

    def append(self, content: Mapping[str, object]) -> None:
        """It is on the disk when this returns. One whose ``id`` is that of one of the last ones is there already."""
        with self._mutex, _opened_as(self._lock()):
            out = self._current()
            if content["id"] in self._end.recent:
                return
            line, _ = written(content, self._end.link or Link(), self._key)
            try:
                _write(out, line)
            except OSError:
                with contextlib.suppress(
                    OSError
                ):  # else whoever looks at the file next makes it durable, or cuts it off
                    os.ftruncate(out, self._end.size)
                    os.fsync(out)
                self.close()
                raise
            self._end.add(read(line[:-1], None), len(line))
            if self._end.size >= self._file_size:
                with contextlib.suppress(OSError):  # the line is there; the next one tries again
                    self._turn_over(out)

    def close(self) -> None:
        if self._file is not None:
            os.close(self._file)
            self._file = None

    # -- inside ------------------------------------------------------------------------------------
    def _lock(self) -> int:
        """It is held as long as this is open."""
        path, end = self._folder / _LOCK, time.monotonic() + self._timeout
        while True:
            lock = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o640)
            with contextlib.suppress(BlockingIOError):
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                if _same(lock, path):  # nobody has removed it meanwhile
                    return lock
            os.close(lock)
            if time.monotonic() > end:
                raise Busy(f"another process holds {_LOCK} for more than {self._timeout:g} seconds")
            time.sleep(_POLL)

    def _current(self) -> int:
        """The open file, with its end as it is now: another process may have written to it, or begun another one."""
        path = self._folder / CURRENT
        if self._file is not None and not _same(self._file, path):
            self.close()
        known = self._file is not None
        if self._file is None:
            self._end_turn_over(path)
            try:
                self._file = os.open(path, _WRITE)
            except FileNotFoundError:
                self._file = os.open(path, _WRITE | os.O_CREAT | os.O_EXCL, 0o640)
                _sync(self._folder)
        try:
            if not known or os.fstat(self._file).st_size != self._end.size:
                self._look(self._file, known=known)
        except BaseException:
            self.close()
            raise
        return self._file

    def _look(self, out: int, *, known: bool) -> None:
        """From the end that is known to the one that is there. What is found is made durable before it is told of."""
        about = os.fstat(out)
        if not stat.S_ISREG(about.st_mode):
            raise Broken(f"{CURRENT} is no file")
        os.fsync(out)
        if not known or about.st_size < self._end.size:
            self._end = self._before()
            self._end.size = 0
            _skip(out, about.st_size, self._end)
        self._end.go_on(out, about.st_size, self._key)
        rest = os.pread(out, len(_BEGIN), self._end.size)
        if not _BEGIN.startswith(rest):
            raise Broken(f"{CURRENT} ends with what is no part of a line")
        if rest:
            os.ftruncate(out, self._end.size)
            os.fsync(out)

    def _before(self) -> _End:
        """The end of the file before the current one."""
        made, earlier = _End(), [x for x in files(self._folder) if x.name != CURRENT]
        if earlier:
            with _opened(earlier[-1], _READ) as last:
                size = os.fstat(last).st_size
                _skip(last, size, made)
                made.go_on(last, size, self._key)
            if made.size != size or not size:
                raise Broken(f"{earlier[-1].name} is empty, or ends within a line")
        return made

    def _turn_over(self, out: int) -> None:
        path = self._folder / CURRENT
        first = read(next(_lines(out, 0, self._end.size))[:-1], None).link.seq
        os.link(path, self._folder / f"audit-{first:012}.jsonl")  # which replaces none
        path.unlink()
        _sync(self._folder)

    def _end_turn_over(self, path: Path) -> None:
        """Which a process may have left half done."""
        if (found := files(self._folder))[-1:] == [path] and len(found) > 1 and path.samefile(found[-2]):
            path.unlink()
            _sync(self._folder)


def files(folder: Path) -> list[Path]:
    """In the order of their lines."""
    earlier = sorted(x for x in folder.iterdir() if _EARLIER.fullmatch(x.name))
    return [*earlier, *([folder / CURRENT] if (folder / CURRENT).exists() else [])]


def verified(folder: Path, key: bytes) -> Iterator[Line]:
    """Every whole line that is there when this begins, each seen to follow the one before. The first one may have
    others before it that were taken away. Raises OSError, Broken naming file and line."""
    before: Link | None = None
    with contextlib.ExitStack() as stack:
        for path, descriptor in _all(folder, stack):
            size, number, seen = os.fstat(descriptor).st_size, 0, 0
            try:
                for line in _lines(descriptor, 0, size):
                    number, seen = number + 1, seen + len(line)
                    found = following(line[:-1], key, before)
                    before = found.link
                    yield found
                if seen != size and path.name != CURRENT:
                    raise Broken("the file ends within the line behind it")
            except Broken as exc:
                raise Broken(f"{path.name}, line {number}: {exc}") from exc


def _all(folder: Path, stack: contextlib.ExitStack) -> list[tuple[Path, int]]:
    """All files, open: as they were at one moment, though one may be begun meanwhile."""
    while True:
        names = files(folder)
        try:
            if len(names) > 1 and names[-1].name == CURRENT and os.path.samestat(names[-1].lstat(), names[-2].lstat()):
                names.pop()  # a process was killed in between
            found = [(x, stack.enter_context(_opened(x, _READ))) for x in names]
        except FileNotFoundError:  # the current one has just become an earlier one
            continue
        if files(folder)[: len(names)] == names and all(_same(descriptor, path) for path, descriptor in found):
            return found


def _lines(descriptor: int, start: int, end: int) -> Iterator[bytes]:
    """The whole lines between two places, with their ends."""
    parts: list[bytes] = []
    while start < end and (piece := os.pread(descriptor, min(_STEP, end - start), start)):
        start += len(piece)
        *whole, rest = piece.split(b"\n")
        for line in whole:
            yield b"".join([*parts, line, b"\n"])
            parts = []
        parts.append(rest)


def _skip(descriptor: int, size: int, end: _End) -> None:
    """Let ``end`` begin with a line of the last ones: what is before is not looked at again and again."""
    start = max(0, size - _WINDOW)
    if start and (line := next(_lines(descriptor, start, size), None)) is not None:
        end.size, end.link = start + len(line), None


def _same(descriptor: int, path: Path) -> bool:
    """Whether it is what stands there under that name."""
    try:
        return os.path.samestat(os.fstat(descriptor), path.lstat())
    except FileNotFoundError:
        return False


def _opened(path: Path, flags: int) -> contextlib.AbstractContextManager[int]:
    return _opened_as(os.open(path, flags))


@contextlib.contextmanager
def _opened_as(descriptor: int) -> Iterator[int]:
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _write(descriptor: int, line: bytes) -> None:
    while line:
        line = line[os.write(descriptor, line) :]
    os.fsync(descriptor)


def _sync(folder: Path) -> None:
    with _opened(folder, os.O_RDONLY | os.O_DIRECTORY) as descriptor:
        os.fsync(descriptor)
