"""The data files: who fills one, who follows, who reads. Locks are the kernel's (flock), so a dead process holds none.

Every file is at its one name from the beginning; the index says whether it is whole. Whoever has it open holds a shared
lock on it: it is removed only by somebody who gets the exclusive one. Beside a file that is being filled lies its mark:
an empty file that the filler holds locked, and into which it writes one letter when it is done."""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from glancecore.domain import errors
from glancecore.ports.cache import Fill, Seal, Tail

#: What a mark says.
RUNNING, PUBLISHED, BROKEN, DAMAGED = b"", b"p", b"b", b"d"
#: Seconds between two looks at a file that grows, at least and at most, and between two looks whether its filler lives.
SOON, LATER, LIVES = 0.002, 0.05, 0.25


def shared(path: Path) -> int | None:
    """The file, open and locked against removal; None when it is not there or just being removed."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    try:
        fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
        if os.fstat(fd).st_nlink:
            return fd
    except BlockingIOError:
        pass
    except BaseException:
        os.close(fd)
        raise
    os.close(fd)
    return None


class Exclusive:
    """A file that may be removed: nobody has it open any more. ``held`` is False when somebody has."""

    def __init__(self, path: Path) -> None:
        self.path, self.held, self._fd = path, True, -1
        try:
            self._fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
            fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except FileNotFoundError:
            pass
        except BlockingIOError:
            self.held = False

    def remove(self) -> None:
        with suppress(FileNotFoundError):
            self.path.unlink()

    def close(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1


def filler_lives(mark: int | Path) -> bool:
    """Whether somebody holds the lock on that mark."""
    if isinstance(mark, Path):
        try:
            fd = os.open(mark, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
        except FileNotFoundError:
            return False
        try:
            return filler_lives(fd)
        finally:
            os.close(fd)
    try:
        fcntl.flock(mark, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    fcntl.flock(mark, fcntl.LOCK_UN)
    return False


class FileFill(Fill):
    """``end(mtime)`` makes the row ready and says whether it was still wanted; ``give_up`` takes the row away."""

    def __init__(
        self, data: Path, mark: Path, seal: Seal, ready: Callable[[int], bool], give_up: Callable[[], None]
    ) -> None:
        self._mark_path, self._folder, self._seal = mark, data.parent, seal
        self._ready, self._give_up = ready, give_up
        self._at, self._done = 0, False
        flags = os.O_CREAT | os.O_EXCL | os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC
        self._mark = os.open(mark, flags, 0o600)
        try:
            fcntl.flock(self._mark, fcntl.LOCK_EX)
            self._data = os.open(data, flags, 0o600)
            fcntl.flock(self._data, fcntl.LOCK_SH)
        except BaseException:
            os.close(self._mark)
            raise

    def write(self, piece: bytes) -> None:
        if self._at + len(piece) > self._seal.size:
            raise errors.SizeMismatch(f"more than {self._seal.size} bytes came")
        if not os.fstat(self._mark).st_nlink:
            raise errors.FillBroken("the entry was removed while it was filled")
        view = memoryview(piece)
        try:
            while view:
                written = os.pwrite(self._data, view, self._at)
                view, self._at = view[written:], self._at + written
        except OSError as exc:
            raise errors.CacheUnavailable(f"the cache can't be written: {exc.strerror}") from exc

    def publish(self) -> None:
        try:
            if self._at != self._seal.size:
                raise errors.SizeMismatch(f"{self._at} bytes came, not {self._seal.size}")
            os.fsync(self._data)
            _sync(self._folder)
            if not self._ready(os.fstat(self._data).st_mtime_ns):
                raise errors.FillBroken("the entry was removed while it was filled")
        except OSError as exc:
            self.abort()
            raise errors.CacheUnavailable(f"the cache can't be written: {exc.strerror}") from exc
        except BaseException:
            self.abort()
            raise
        self._finish(PUBLISHED)

    def abort(self, *, damaged: bool = False) -> None:
        if not self._done:
            self._finish(DAMAGED if damaged else BROKEN)
            with suppress(errors.CacheUnavailable, OSError):  # what is left has no living filler, so it is cleaned
                self._give_up()

    def _finish(self, outcome: bytes) -> None:
        self._done = True
        with suppress(OSError):  # no space even for a letter: the lock's end says the same
            os.pwrite(self._mark, outcome, 0)
        with suppress(OSError):
            self._mark_path.unlink()
        if outcome != PUBLISHED:
            with suppress(
                OSError
            ):  # at once, though somebody may have it open: the index needs room on a full disk to forget it
                os.ftruncate(self._data, 0)
        os.close(self._data)
        os.close(self._mark)

    def __del__(self) -> None:
        if not getattr(self, "_done", True):
            self.abort()


class FileTail(Tail):
    """``mark`` None: the file is whole."""

    def __init__(self, data: int, mark: int | None, size: int) -> None:
        self._data, self._mark, self._size = data, mark, size

    def read(self, offset: int, length: int, timeout: float) -> bytes:
        end = time.monotonic() + timeout
        look, pause = time.monotonic() + LIVES, SOON
        try:
            while True:
                outcome = PUBLISHED if self._mark is None else os.pread(self._mark, 1, 0)  # before the size
                there = os.fstat(self._data).st_size
                there = min(there, self._size if outcome == PUBLISHED else self._size - 1)
                if offset < there and (piece := os.pread(self._data, min(length, there - offset), offset)):
                    return piece
                if outcome == DAMAGED:
                    raise errors.FillDamaged("the data is not what the image's hash says")
                if outcome != RUNNING:  # whole, yet too short; or given up
                    raise errors.FillBroken("the data will not come")
                now = time.monotonic()
                if now >= end:
                    return b""
                if now >= look:
                    if not filler_lives(self._mark or 0) and not os.pread(self._mark or 0, 1, 0):
                        raise errors.FillBroken("the process that read the data is gone")
                    look = now + LIVES
                time.sleep(max(0.0, min(pause, end - now)))
                pause = min(pause * 1.5, LATER)
        except OSError as exc:
            raise errors.CacheUnavailable(f"the cache can't be read: {exc.strerror}") from exc

    def close(self) -> None:
        for fd in (self._data, self._mark):
            if fd is not None and fd >= 0:
                os.close(fd)
        self._data, self._mark = -1, None

    def __del__(self) -> None:
        self.close()


def _sync(folder: Path) -> None:
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
