"""A file that grows by parts, each of them from whatever process, until it becomes a blob.

It has a name that begins with a dot and tells the key. Beside it is its fence, a file that holds the number of the
newest part: who writes locks the fence for each piece, and stops when the number is not its own. So a writer that was
overtaken, however late it wakes up, changes nothing. The growing file is locked as well, and unlocked first: on NFS a
client sends what it has written to a file when it unlocks that file."""

from __future__ import annotations

import errno
import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from glancecore.domain import errors
from glancecore.ports.store import CHUNK
from glancecore_store_file.folder import Folder, data_runs, fence_name, growing_name, sync_folder

#: In the fence, when nothing more may be written.
_OVER = (1 << 63) - 1
_TRIAL = ".flock"
_LOCKLESS = frozenset({errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP, errno.EINVAL})
_FLAGS = os.O_NOFOLLOW | os.O_CLOEXEC


def begin(folder: Folder, key: str) -> None:
    """Durable when it returns; what was begun before stays. Raises BlobExists."""
    if folder.has(key):
        raise errors.BlobExists(f"{key} is already in store {folder.store}", folder.store, "begin_parts")
    with folder.opened("begin_parts") as opened:
        for name in (fence_name(key), growing_name(key)):
            os.close(os.open(name, os.O_CREAT | os.O_WRONLY | _FLAGS, 0o600, dir_fd=opened))
        sync_folder(opened)


def can_lock(folder: Folder) -> bool:
    """Whether files there can be locked: some network file systems can't, and without it nobody knows who writes."""
    try:
        with folder.opened("start") as opened:
            file = os.open(_TRIAL, os.O_CREAT | os.O_RDWR | _FLAGS, 0o600, dir_fd=opened)
            try:
                fcntl.flock(file, fcntl.LOCK_EX)
            finally:
                os.close(file)
                with suppress(FileNotFoundError):  # another process tries as well
                    os.unlink(_TRIAL, dir_fd=opened)
    except OSError as exc:
        return exc.errno not in _LOCKLESS
    return True


class GrowingFile:
    """Open for one part: what begins with a smaller number writes nothing from now on. Raises FileNotFoundError,
    BlobInUse."""

    def __init__(self, folder: Folder, key: str, number: int, operation: str) -> None:
        self.store, self._number, self._operation = folder.store, number, operation
        with folder.opened(operation) as opened:
            self.file = os.open(growing_name(key), os.O_RDWR | _FLAGS, dir_fd=opened)
            try:
                self._fence = os.open(fence_name(key), os.O_RDWR | _FLAGS, dir_fd=opened)
            except BaseException:
                os.close(self.file)
                raise
        try:
            with self._locked(newest=False):
                os.pwrite(self._fence, number.to_bytes(8, "big"), 0)
                os.fdatasync(self._fence)
        except BaseException:
            self.close()
            raise
        #: Behind it nothing was ever written: it reads as zeros.
        self._fresh = os.fstat(self.file).st_size

    @contextmanager
    def _locked(self, *, newest: bool = True) -> Iterator[None]:
        """While nobody else writes. Raises BlobInUse unless this is the newest part; ``newest`` False: unless it
        becomes that."""
        fcntl.flock(self._fence, fcntl.LOCK_EX)
        try:
            fcntl.flock(self.file, fcntl.LOCK_EX)
            found = int.from_bytes(os.pread(self._fence, 8, 0), "big")
            if found > self._number or (newest and found < self._number):
                raise errors.BlobInUse(
                    f"store {self.store}: a newer part is written, or all are complete", self.store, self._operation
                )
            yield
        finally:
            fcntl.flock(self.file, fcntl.LOCK_UN)
            fcntl.flock(self._fence, fcntl.LOCK_UN)

    def write(self, piece: bytes, at: int, *, thin: bool) -> None:
        view = memoryview(piece)
        with self._locked():
            if not thin or at < self._fresh:
                self._write(view, at)
                return
            for start, end in data_runs(piece):
                self._write(view[start:end], at + start)

    def _write(self, view: memoryview, at: int) -> None:
        while view:
            written = os.pwrite(self.file, view[:CHUNK], at)
            view, at = view[written:], at + written

    def sync(self, end: int) -> None:
        """All of the part, whose last byte is before ``end``, is durable."""
        with self._locked():
            if os.fstat(self.file).st_size < end:  # a hole at the end has no byte that would make the file long
                os.ftruncate(self.file, end)
        os.fsync(self.file)

    def become(self, size: int, mode: int) -> None:
        """Durable, with ``size`` bytes and the permissions of a blob. Raises SizeMismatch when it is shorter."""
        with self._locked():
            found = os.fstat(self.file).st_size
            if found < size:
                raise errors.SizeMismatch(f"the parts have {found} bytes, and not {size}")
            os.ftruncate(self.file, size)
        os.fchmod(self.file, mode)
        os.fsync(self.file)

    def close(self) -> None:
        os.close(self.file)
        os.close(self._fence)


def complete(folder: Folder, key: str, size: int, mode: int) -> None:
    """Raises FileExistsError, BlobNotFound, SizeMismatch."""
    try:
        growing = GrowingFile(folder, key, _OVER, "complete_parts")
    except FileNotFoundError:
        if folder.stat(key, "complete_parts").st_size != size:
            raise errors.BlobExists(
                f"{key} is already in store {folder.store}", folder.store, "complete_parts"
            ) from None
        remove(folder, key)
        return
    try:
        growing.become(size, mode)
        with folder.opened("complete_parts") as opened:
            try:
                os.link(growing_name(key), key, src_dir_fd=opened, dst_dir_fd=opened, follow_symlinks=False)
            except FileExistsError:  # of who died just behind this
                if os.stat(key, dir_fd=opened, follow_symlinks=False).st_ino != os.fstat(growing.file).st_ino:
                    raise
        remove(folder, key)
    finally:
        growing.close()


def remove(folder: Folder, key: str) -> None:
    """What has grown is no more, but for the blob; and the names in the folder are durable."""
    with folder.opened("complete_parts") as opened:
        for name in (growing_name(key), fence_name(key)):
            with suppress(FileNotFoundError):
                os.unlink(name, dir_fd=opened)
        sync_folder(opened)


def opened(folder: Folder, key: str) -> int:
    """Its descriptor, to read from. Raises FileNotFoundError."""
    with folder.opened("open_parts") as fd:
        return os.open(growing_name(key), os.O_RDONLY | _FLAGS, dir_fd=fd)
