"""Images as files: one file per image in a folder, or in one of several."""

from __future__ import annotations

import errno
import os
import secrets
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import TypeVar

from glancecore.domain import errors
from glancecore.ports.options import Section
from glancecore.ports.store import Cap, PlaceMarker, Store, StoredBlob, StoredPart
from glancecore_store_file import growing
from glancecore_store_file.folder import KEY, Folder, Part, heads
from glancecore_store_file.options import OPTIONS
from glancecore_store_file.reader import Reader
from glancecore_store_file.timeouts import Calls, CallTimeout

Made = TypeVar("Made")

#: ``ping`` must return within 5 s, whatever the file system does.
PING_SECONDS = 4.0


class FileStore(Store):
    """Location: ``file:///folder/key``; Glance's ``filesystem://`` ones are read too."""

    plugin_api = "1.0"
    schemes = ("file", "filesystem")
    options = OPTIONS
    caps = frozenset({Cap.WRITE, Cap.DELETE, Cap.RANGE, Cap.LIST, Cap.LOCAL, Cap.ADOPT, Cap.MARK, Cap.PARTS})

    def __init__(self, name: str, conf: Section) -> None:
        super().__init__(name, conf)
        self._folders = _folders(name, conf)
        self._heads = {head: folder for folder in self._folders for head in folder.heads}
        self._mode = _mode(name, conf.filesystem_store_file_perm)
        self._patience = CallTimeout(name, conf.filesystem_store_timeout)
        self._ping = CallTimeout(name, min(conf.filesystem_store_timeout or PING_SECONDS, PING_SECONDS))

    # -- the store itself --------------------------------------------------------------------------
    def create(self) -> None:
        for folder in self._folders:
            self._patience.call("create", self._make, folder)

    def start(self) -> None:
        for folder in self._folders:
            self._patience.call("start", self._prepare, folder)
        if not all(self._patience.call("start", growing.can_lock, x) for x in self._folders):
            self.caps = type(self).caps - {Cap.PARTS}
        identities = {folder.identity() for folder in self._folders}
        if len(identities) < len(self._folders):
            raise errors.ConfigError(f"[{self.name}] filesystem_store_datadirs names one folder twice: remove one")

    def ping(self) -> None:
        self._ping.call("ping", self._look)

    @property
    def place(self) -> str:
        return "+".join(
            sorted(f"file:{device:x}-{inode:x}" for device, inode in (folder.identity() for folder in self._folders))
        )

    @property
    def properties(self) -> Mapping[str, object]:
        paths = [str(folder.path) for folder in self._folders]
        return {
            "data_dir": paths[0] if len(paths) == 1 else paths,
            "chunk_size": self.conf.filesystem_store_chunk_size,
            "thin_provisioning": self.conf.filesystem_thin_provisioning,
        }

    def free(self) -> int:
        return self._patience.call(
            "free", lambda: sum({folder.identity()[0]: folder.free() for folder in self._folders}.values())
        )

    # -- places ------------------------------------------------------------------------------------
    def markers(self) -> Sequence[PlaceMarker]:
        return [PlaceMarker(self._where(x), self._patience.call("markers", x.marker), x.url) for x in self._folders]

    def mark(self, where: str, content: bytes) -> bytes:
        [folder] = (x for x in self._folders if self._where(x) == where)
        return self._patience.call("mark", folder.mark, content)

    def moved_from(self, where: str, addresses: Sequence[str]) -> None:
        [folder] = (x for x in self._folders if self._where(x) == where)
        for head in (head for address in addresses for head in heads(address)):
            self._heads.setdefault(head, folder)  # a folder that is there now has its own address

    # -- writing -----------------------------------------------------------------------------------
    def put(self, key: str, chunks: Iterable[bytes], size: int | None = None) -> str:
        folder = self._patience.call("put", self._folder_for, key, size)
        calls = self._patience.calls("put")
        part = _opened(
            calls, lambda: Part(folder, key, thin=self.conf.filesystem_thin_provisioning, mode=self._mode), Part.close
        )
        try:
            came = 0
            for piece in chunks:  # outside of ``calls``: what it raises is not ours
                came += len(piece)
                if size is not None and came > size:
                    break
                calls(part.write, piece)
            if size is not None and came != size:
                raise errors.SizeMismatch(
                    f"{'more than ' * (came > size)}{min(came, size)} bytes came, {size} were declared"
                )
            calls(part.publish)
            part.kept = True
        except BaseException:
            with suppress(errors.StoreError):  # what went wrong first is what the caller must know
                calls.last(part.close)
            raise
        calls.last(part.close)
        return f"{folder.url}/{key}"

    def adopt(self, key: str, path: Path) -> str:
        for folder in self._patience.call("adopt", self._by_preference, key):
            try:
                self._patience.call("adopt", _adopt, folder, key, path, self._mode)
            except errors.Unsupported:
                continue
            return f"{folder.url}/{key}"
        raise errors.Unsupported(f"the file can't be linked into store {self.name}", self.name, "adopt")

    def delete(self, url: str) -> None:
        folder, key = self._locate(url, "delete")
        self._patience.call("delete", folder.remove, key, "delete")

    def discard(self, key: str) -> None:
        for folder in self._folders:
            self._patience.call("discard", folder.discard, key)

    # -- writing in parts --------------------------------------------------------------------------
    def begin_parts(self, owner: str | None, key: str, size: int | None = None) -> str:  # noqa: ARG002 - one folder for all
        folder = self._patience.call("begin_parts", self._folder_for, key, size)
        self._patience.call("begin_parts", growing.begin, folder, key)
        return folder.url

    def put_part(self, key: str, handle: str, number: int, offset: int, chunks: Iterable[bytes]) -> None:
        folder, calls, thin = (
            self._begun_in(handle, "put_part"),
            self._patience.calls("put_part"),
            self.conf.filesystem_thin_provisioning,
        )
        file = self._grown(
            "put_part", calls, lambda: growing.GrowingFile(folder, key, number, "put_part"), growing.GrowingFile.close
        )
        try:
            at = offset
            for piece in chunks:  # outside of ``calls``: what it raises is not ours
                calls(file.write, piece, at, thin=thin)
                at += len(piece)
            calls(file.sync, at)
        except BaseException:
            with suppress(errors.StoreError):  # what went wrong first is what the caller must know
                calls.last(file.close)
            raise
        calls.last(file.close)

    def open_parts(self, key: str, handle: str, parts: Sequence[StoredPart]) -> Iterator[bytes]:
        folder, calls = self._begun_in(handle, "open_parts"), self._patience.calls("open_parts")
        file = self._grown("open_parts", calls, lambda: growing.opened(folder, key), os.close)
        return Reader(calls, file, 0, sum(x.size for x in parts), self.conf.filesystem_store_chunk_size, self.name)

    def complete_parts(self, key: str, handle: str, parts: Sequence[StoredPart]) -> str:
        folder = self._begun_in(handle, "complete_parts")
        self._patience.call("complete_parts", growing.complete, folder, key, sum(x.size for x in parts), self._mode)
        for other in self._folders:
            if other is not folder:
                self._patience.call("complete_parts", growing.remove, other, key)
        return f"{folder.url}/{key}"

    # -- reading -----------------------------------------------------------------------------------
    def canonical(self, url: str) -> str:
        folder, key = self._locate(url, "canonical")
        return f"{folder.url}/{key}"

    def open(self, url: str, offset: int = 0, length: int | None = None) -> Iterator[bytes]:
        folder, key = self._locate(url, "open")
        calls = self._patience.calls("open")
        file, size = _opened(calls, lambda: folder.open(key, "open"), lambda opened: os.close(opened[0]))
        end = size if length is None else min(size, offset + length)
        return Reader(calls, file, offset, end, self.conf.filesystem_store_chunk_size, self.name)

    def size(self, url: str) -> int:
        folder, key = self._locate(url, "size")
        return self._patience.call("size", folder.stat, key, "size").st_size

    def local_path(self, url: str) -> Path:
        folder, key = self._locate(url, "local_path")
        self._patience.call("local_path", folder.stat, key, "local_path")
        return folder.path / key

    def list(self) -> Iterator[StoredBlob]:
        for folder in self._folders:
            blobs = folder.blobs()
            while page := self._patience.call("list", lambda blobs=blobs: [*islice(blobs, 1000)]):  # type: ignore[misc]
                for key, status in page:
                    yield StoredBlob(
                        key, f"{folder.url}/{key}", status.st_size, datetime.fromtimestamp(status.st_mtime, UTC)
                    )

    # -- inside ------------------------------------------------------------------------------------
    def _locate(self, url: str, operation: str) -> tuple[Folder, str]:
        """Compares text with text: what was not made from a configured folder and a key is never parsed, resolved or
        decoded, so no trick with dots, slashes or encodings can lead out of the folder.
        """
        head, _, key = url.rpartition("/")
        folder = self._heads.get(head)
        if folder is None or not KEY.fullmatch(key):
            raise errors.BadLocation(f"not a location of store {self.name}", self.name, operation)
        return folder, key

    def _begun_in(self, handle: str, operation: str) -> Folder:
        folder = self._heads.get(handle)
        if folder is None:
            raise errors.BlobNotFound(f"store {self.name}: no such parts", self.name, operation)
        return folder

    def _grown(self, operation: str, calls: Calls, make: Callable[[], Made], dispose: Callable[[Made], None]) -> Made:
        """Raises BlobNotFound."""

        def made() -> Made:
            try:
                return make()
            except FileNotFoundError:
                raise errors.BlobNotFound(f"store {self.name}: no such parts", self.name, operation) from None

        return _opened(calls, made, dispose)

    def _by_preference(self, key: str) -> Sequence[Folder]:
        """Raises BlobExists when any folder has the key."""
        if any(folder.has(key) for folder in self._folders):
            raise errors.BlobExists(f"{key} is already in store {self.name}", self.name, "put")
        if len(self._folders) == 1:
            return self._folders
        return sorted(self._folders, key=lambda folder: (-folder.priority, -folder.free()))

    def _folder_for(self, key: str, size: int | None) -> Folder:
        for folder in self._by_preference(key):
            # a thin image may need less than its size; the kernel will say
            if folder.free() >= (1 if size is None or self.conf.filesystem_thin_provisioning else size):
                return folder
        raise errors.StoreFull(f"store {self.name} has no room for the image", self.name, "put")

    def _look(self) -> None:
        for folder in self._folders:
            with folder.opened("ping") as opened:
                if os.fstatvfs(opened).f_flag & os.ST_RDONLY:
                    raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    @property
    def _option(self) -> str:
        return "filesystem_store_datadirs" if self.conf.filesystem_store_datadirs else "filesystem_store_datadir"

    def _where(self, folder: Folder) -> str:
        return f"{self._option} = {folder.path}"

    def _make(self, folder: Folder) -> None:
        option = f"[{self.name}] {self._option}"
        try:
            folder.make()
        except FileNotFoundError:
            raise errors.ConfigError(
                f"{option}: {folder.path.parent} does not exist: make it, or name another folder"
            ) from None
        except (FileExistsError, NotADirectoryError):
            raise errors.ConfigError(f"{option}: {folder.path} is not a folder: name a folder") from None
        except PermissionError:
            raise errors.ConfigError(
                f"{option}: user {os.geteuid()} may not make {folder.path}: make it and chown it to him"
            ) from None
        except OSError as exc:
            if exc.errno == errno.EROFS:
                raise errors.ConfigError(
                    f"{option}: {folder.path} lies on a read-only file system: remount it"
                ) from None
            raise

    def _prepare(self, folder: Folder) -> None:
        """Try what ``put`` will do in the folder. Nothing that is there is touched."""
        option = f"[{self.name}] {self._option}"
        if folder.path.exists() and not folder.path.is_dir():
            raise errors.ConfigError(f"{option}: {folder.path} is not a folder: name a folder")
        try:
            folder.pin()
        except FileNotFoundError:
            away = errors.PlaceMissing(f"the folder of store {self.name} is away", self.name, "start")
            away.add_note(
                f"{option}: {folder.path} is not there: is it mounted? Mount it, name the right folder, or make it when"
                " it is a new one"
            )
            raise away from None
        try:
            _try_to_write(folder)
        except OSError as exc:
            if exc.errno == errno.EACCES:
                raise errors.ConfigError(
                    f"{option}: user {os.geteuid()} may not write to {folder.path}: chown it to him, mode 0700 or more"
                ) from None
            if exc.errno == errno.EROFS:
                raise errors.ConfigError(
                    f"{option}: {folder.path} lies on a read-only file system: remount it"
                ) from None
            if exc.errno in {errno.EPERM, errno.EOPNOTSUPP, errno.EMLINK}:
                raise errors.ConfigError(
                    f"{option}: the file system of {folder.path} has no hard links: use another one"
                ) from None
            if exc.errno not in {errno.ENOSPC, errno.EDQUOT}:  # a full store can still be read
                raise


def _opened(calls: Calls, make: Callable[[], Made], dispose: Callable[[Made], None]) -> Made:
    """The first call of a transfer. When its caller gives up, what still comes of it is disposed of."""
    made: list[Made] = []
    try:
        calls(lambda: made.append(make()))
    except BaseException:
        calls.last(lambda: _dispose(made, dispose))
        raise
    return made[0]


def _dispose(made: list[Made], dispose: Callable[[Made], None]) -> None:
    for late in made:
        dispose(late)


def _adopt(folder: Folder, key: str, path: Path, mode: int) -> None:
    try:
        folder.adopt(key, path, mode)
    except OSError as exc:
        # another file system, a symbolic link, somebody else's file (fs.protected_hardlinks), too many names
        if exc.errno in {errno.EXDEV, errno.ELOOP, errno.EPERM, errno.EMLINK, errno.EOPNOTSUPP}:
            raise errors.Unsupported(
                f"the file can't be linked into store {folder.store}", folder.store, "adopt"
            ) from exc
        raise


def _try_to_write(folder: Folder) -> None:
    probe = Part(folder, f".start-{secrets.token_hex(8)}")
    try:
        probe.link()
    finally:
        probe.close()


def _folders(name: str, conf: Section) -> list[Folder]:
    """Raises ConfigError."""
    settings = [("filesystem_store_datadirs", *_path_and_priority(text)) for text in conf.filesystem_store_datadirs]
    if not settings:
        settings = [("filesystem_store_datadir", conf.filesystem_store_datadir, 0)]
    for option, path, _ in settings:
        if not os.path.isabs(path):  # noqa: PTH117 - Path("") would be "."
            raise errors.ConfigError(f"[{name}] {option} = {path}: give the whole path, from /")
    return [Folder(name, Path(os.path.normpath(path)), priority) for _, path, priority in settings]


def _path_and_priority(text: str) -> tuple[str, int]:
    path, colon, number = text.rpartition(":")
    return (path, int(number)) if colon and number.isdecimal() else (text, 0)


def _mode(name: str, text: str) -> int:
    """Raises ConfigError also for permissions that would lock out the service itself, as 640 without the 0 would."""
    try:
        mode = int(text, 8 if text.startswith(("0o", "0")) else 10)
    except ValueError:
        mode = -1
    if mode != 0 and (mode & ~0o777 or not mode & 0o400):
        raise errors.ConfigError(
            f"[{name}] filesystem_store_file_perm = {text}: give octal permissions with a leading 0 that let the "
            "owner read, such as 0640, or 0"
        )
    return mode or 0o666 & ~_umask()


def _umask() -> int:
    """The process's own; asked for by setting it, which is done at the start, by one thread."""
    found = os.umask(0o077)
    os.umask(found)
    return found
