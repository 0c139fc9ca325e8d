"""One folder of blobs: what may be touched in it, and how a file gets there whole or not at all."""

from __future__ import annotations

import errno
import os
import re
import secrets
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from urllib.parse import quote, unquote

from glancecore.domain import errors
from glancecore.ports.store import CHUNK, MARKER, MARKER_SIZE

KEY = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]{0,99}")
_READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC  # non-blocking: a FIFO must not hold us up
#: The unit in which holes are made: what file systems allocate.
BLOCK = 4096
_ZEROS = bytes(1 << 20)


def heads(url: str) -> set[str]:
    """How locations in the folder of this URL may begin: as we write them, and as Glance did."""
    path = unquote(url.removeprefix("file://"))
    return {url, f"file://{path}", f"filesystem://{path}"}


def growing_name(key: str) -> str:
    """Of the file that grows by parts to be the blob ``key``."""
    return f".{key}.parts"


def fence_name(key: str) -> str:
    """Of its fence."""
    return f".{key}.fence"


def open_unnamed(folder: int) -> int | None:
    """A file that has no name, in an open folder; None where the file system has none such."""
    try:
        return os.open(".", os.O_TMPFILE | os.O_WRONLY | os.O_CLOEXEC, 0o600, dir_fd=folder)
    except OSError as exc:
        if exc.errno not in {errno.EOPNOTSUPP, errno.EISDIR, errno.EINVAL, errno.ENOENT}:
            raise
    return None


class Folder:
    """A configured folder. Blobs are the regular files directly in it; nothing else is ever opened or removed."""

    def __init__(self, store: str, path: Path, priority: int = 0) -> None:
        self.store, self.path, self.priority = store, path, priority
        self.url = f"file://{quote(str(path))}"
        self.heads = heads(self.url)
        self._identity: tuple[int, int] | None = None
        self._marker: bytes | None = None

    def identity(self) -> tuple[int, int]:
        """Device and inode: the folder itself, under whatever name."""
        if self._identity is not None:
            return self._identity
        status = self.path.stat()
        return status.st_dev, status.st_ino

    def make(self) -> None:
        """Make it when it is not there, so that it survives a power cut with all that is in it."""
        try:
            self.path.mkdir(mode=0o700)
        except FileExistsError:
            if not self.path.is_dir():
                raise
            return
        parent = os.open(self.path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            sync_folder(parent)
        finally:
            os.close(parent)

    def pin(self) -> None:
        """From now on, only this very folder will do, or one with its marker."""
        self._identity = None
        self._identity = self.identity()

    @contextmanager
    def opened(self, operation: str) -> Iterator[int]:
        """The folder as a descriptor. Raises StoreUnavailable when another folder, or none, has taken its place:
        without its disk, a mount point is an empty folder in which every image would seem lost.
        """
        try:
            fd = os.open(self.path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except (FileNotFoundError, NotADirectoryError) as exc:
            raise errors.StoreUnavailable(f"the folder of store {self.store} is away", self.store, operation) from exc
        try:
            status = os.fstat(fd)
            identity = status.st_dev, status.st_ino
            if self._identity not in {None, identity}:
                # a disk that was mounted anew may have another number
                if self._marker is None or self._read_marker(fd) != self._marker:
                    raise errors.StoreUnavailable(
                        f"the folder of store {self.store} is not the one seen at start: is its disk mounted?",
                        self.store,
                        operation,
                    )
                self._identity = identity
            yield fd
        finally:
            os.close(fd)

    # -- the marker --------------------------------------------------------------------------------
    def marker(self) -> bytes | None:
        """None when there is none. The folder is known by it from now on."""
        with self.opened("markers") as folder:
            self._marker = self._read_marker(folder)
        return self._marker

    def mark(self, content: bytes) -> bytes:
        """Readable by all: who looks after the store may be another user than the service."""
        part = Part(self, MARKER, mode=0o644)
        try:
            part.write(content)
            part.publish()
            part.kept = True
        except FileExistsError:
            pass
        finally:
            part.close()
        found = self.marker()
        if found is None:
            raise errors.StoreUnavailable(
                f"the marker of store {self.store} was removed while it was made", self.store, "mark"
            )
        return found

    def _read_marker(self, folder: int) -> bytes | None:
        try:
            fd = os.open(MARKER, _READ, dir_fd=folder)
        except FileNotFoundError:
            return None
        try:
            return os.read(fd, MARKER_SIZE + 1) if stat.S_ISREG(os.fstat(fd).st_mode) else b""
        finally:
            os.close(fd)

    def free(self) -> int:
        """Bytes that may be written without the reserve of the superuser."""
        status = os.statvfs(self.path)
        return status.f_bavail * status.f_frsize

    # -- blobs -------------------------------------------------------------------------------------
    def stat(self, key: str, operation: str) -> os.stat_result:
        """Raises BlobNotFound, BadLocation for what is no regular file."""
        with self.opened(operation) as folder:
            return self._stat(folder, key, operation)

    def open(self, key: str, operation: str) -> tuple[int, int]:
        """Descriptor and size of the blob. Raises BlobNotFound, BadLocation."""
        with self.opened(operation) as folder:
            self._stat(folder, key, operation)  # a device must not even be opened
            try:
                fd = os.open(key, _READ, dir_fd=folder)
            except FileNotFoundError:
                raise self._not_found(operation) from None
        return fd, os.fstat(fd).st_size

    def has(self, key: str) -> bool:
        """Is the name taken, by whatever?"""
        with self.opened("put") as folder:
            try:
                os.stat(key, dir_fd=folder, follow_symlinks=False)
            except FileNotFoundError:
                return False
            return True

    def remove(self, key: str, operation: str) -> None:
        """Raises BlobNotFound, BadLocation."""
        with self.opened(operation) as folder:
            self._stat(folder, key, operation)
            try:
                os.unlink(key, dir_fd=folder)
            except FileNotFoundError:
                raise self._not_found(operation) from None
            sync_folder(folder)

    def discard(self, key: str) -> None:
        """Remove the blob, what grew to be it, and its named temporary files, if there are any; the blob last, which
        may be made of the others meanwhile."""
        temporary = re.compile(re.escape(f".{key}.") + r"[0-9a-f]{16}\.part")
        others = {growing_name(key), fence_name(key)}
        with self.opened("discard") as folder:
            names, file = [], open_unnamed(folder)
            if file is None:  # only file systems without O_TMPFILE have named ones
                with os.scandir(folder) as entries:
                    others |= {entry.name for entry in entries if temporary.fullmatch(entry.name)}
            else:
                os.close(file)
            for name in others:
                with suppress(FileNotFoundError):
                    os.unlink(name, dir_fd=folder)
                    names.append(name)
            with suppress(errors.BlobNotFound, errors.BadLocation):
                self._stat(folder, key, "discard")
                names.append(key)
                with suppress(FileNotFoundError):
                    os.unlink(key, dir_fd=folder)
            if names:
                sync_folder(folder)

    def blobs(self) -> Iterator[tuple[str, os.stat_result]]:
        """All keys with their facts."""
        with self.opened("list") as folder, os.scandir(folder) as entries:
            for entry in entries:
                if KEY.fullmatch(entry.name) and entry.is_file(follow_symlinks=False):
                    with suppress(FileNotFoundError):
                        yield entry.name, entry.stat(follow_symlinks=False)

    def adopt(self, key: str, path: Path, mode: int) -> None:
        """Give ``path`` a second name here. OSError EXDEV when it lies on another file system."""
        source = os.open(path, _READ)
        try:
            if not stat.S_ISREG(os.fstat(source).st_mode):
                raise OSError(errno.EXDEV, "not a regular file")
            with self.opened("adopt") as folder:
                os.fchmod(source, mode)
                os.fsync(source)
                _link(source, key, folder)
                try:
                    sync_folder(folder)
                except OSError:
                    os.unlink(key, dir_fd=folder)
                    raise
        finally:
            os.close(source)

    def _stat(self, folder: int, key: str, operation: str) -> os.stat_result:
        try:
            status = os.stat(key, dir_fd=folder, follow_symlinks=False)
        except FileNotFoundError:
            raise self._not_found(operation) from None
        if not stat.S_ISREG(status.st_mode):
            raise errors.BadLocation(f"not an image of store {self.store}", self.store, operation)
        return status

    def _not_found(self, operation: str) -> errors.BlobNotFound:
        return errors.BlobNotFound(f"not in store {self.store}", self.store, operation)


class Part:
    """A file that is being written. It has no name (O_TMPFILE: the kernel forgets it with its writer) or, where the
    file system can't do that, one that begins with a dot and tells the key. ``publish`` gives it its own."""

    def __init__(self, folder: Folder, key: str, *, thin: bool = False, mode: int = 0) -> None:
        self._key, self._thin, self._mode = key, thin, mode
        self._size = 0
        self._temporary: str | None = None
        self._linked = False
        #: Set by the writer when it has been told that the blob is there; ``close`` then leaves it.
        self.kept = False
        with folder.opened("put") as opened:
            self._folder = os.dup(opened)
        try:
            self._file = self._create()
        except BaseException:
            os.close(self._folder)
            raise

    def _create(self) -> int:
        file = open_unnamed(self._folder)
        if file is not None:
            return file
        self._temporary = f".{self._key}.{secrets.token_hex(8)}.part"
        return os.open(self._temporary, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, 0o600, dir_fd=self._folder)

    def write(self, piece: bytes) -> None:
        if self._thin:
            for start, end in data_runs(piece):
                self._write(memoryview(piece)[start:end], self._size + start)
        else:
            self._write(memoryview(piece), self._size)
        self._size += len(piece)

    def _write(self, view: memoryview, at: int) -> None:
        while view:
            written = os.pwrite(self._file, view[:CHUNK], at)
            view, at = view[written:], at + written

    def publish(self) -> None:
        """Durable, then visible, then durably visible. Raises FileExistsError."""
        if self._thin:
            os.ftruncate(self._file, self._size)  # a hole at the end has no byte that would make the file long
        os.fchmod(self._file, self._mode)
        os.fsync(self._file)
        self.link()
        if self._temporary is not None:
            os.unlink(self._temporary, dir_fd=self._folder)
            self._temporary = None
        sync_folder(self._folder)

    def link(self) -> None:
        if self._temporary is None:
            _link(self._file, self._key, self._folder)
        else:
            os.link(self._temporary, self._key, src_dir_fd=self._folder, dst_dir_fd=self._folder, follow_symlinks=False)
        self._linked = True

    def close(self) -> None:
        """Remove what is not to be kept."""
        try:
            if self._linked and not self.kept:
                os.unlink(self._key, dir_fd=self._folder)
                sync_folder(self._folder)
            if self._temporary is not None:
                os.unlink(self._temporary, dir_fd=self._folder)
        finally:
            os.close(self._file)
            os.close(self._folder)


def data_runs(piece: bytes) -> Iterator[tuple[int, int]]:
    """Where ``piece`` has data: (start, end) of the runs of blocks that are not all zero."""
    start = None
    for at in range(0, len(piece), BLOCK):
        block = bytes(piece[at : at + BLOCK])
        if block == _ZEROS[: len(block)]:
            if start is not None:
                yield start, at
                start = None
        elif start is None:
            start = at
    if start is not None:
        yield start, len(piece)


def sync_folder(folder: int) -> None:
    """Make names durable. Some network file systems have nothing to sync and say EINVAL."""
    try:
        os.fsync(folder)
    except OSError as exc:
        if exc.errno != errno.EINVAL:
            raise


def _link(file: int, key: str, folder: int) -> None:
    """Name an open file; never replaces. Through /proc, because AT_EMPTY_PATH wants a privilege: see open(2)."""
    os.link(f"/proc/self/fd/{file}", key, dst_dir_fd=folder, follow_symlinks=True)
