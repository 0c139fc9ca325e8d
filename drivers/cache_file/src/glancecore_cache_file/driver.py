"""Image data cached as files in a folder, safe with many processes and threads and after kill -9."""

from __future__ import annotations

import fcntl
import logging
import math
import os
import secrets
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from enum import Enum
from pathlib import Path
from typing import BinaryIO

from glancecore.domain import errors
from glancecore.ports.cache import Cache, CachedImage, CacheSettings, Fill, RemovalReason, Removed, Seal, Tail
from glancecore.ports.options import Section
from glancecore_cache_file.files import Exclusive, FileFill, FileTail, filler_lives, shared
from glancecore_cache_file.index import FILLING, GONE, READY, Index, Row, Transaction
from glancecore_cache_file.options import OPTIONS

LOG = logging.getLogger(__name__)

#: How often ``claim`` looks again when what it saw changed under its eyes.
LOOKS = 50
MARK = ".fill"


class _Changed(Enum):
    """What was seen is not so any more: look again."""

    NOW = 1


class FileCache(Cache):
    """``image_cache_dir`` holds ``index.sqlite`` and the folder ``data``; one file an image, named after it."""

    plugin_api = "1.0"
    options = OPTIONS

    def __init__(self, conf: Section, settings: CacheSettings) -> None:
        super().__init__(conf, settings)
        self._folder = settings.folder or Path()
        self._data = self._folder / "data"
        self._index = Index(self._folder / "index.sqlite", conf.index_timeout)

    def start(self) -> None:
        option = f"[DEFAULT] image_cache_dir = {self._folder}"
        if self.settings.folder is None:
            raise errors.ConfigError(
                "[DEFAULT] image_cache_dir: give the folder that the cache may use, as a whole path from /"
            )
        if not self._folder.is_absolute():
            raise errors.ConfigError(f"{option}: give the whole path, from /")
        if self.settings.max_size < 1:
            raise errors.ConfigError(
                f"[DEFAULT] image_cache_max_size = {self.settings.max_size}: give the bytes that the cache may take"
            )
        try:
            self._folder.mkdir(mode=0o700, exist_ok=True)
            with _alone(self._folder / ".lock"):
                self._data.mkdir(mode=0o700, exist_ok=True)
                if not self._index.prepare():
                    self._begin_anew()
        except OSError as exc:
            raise errors.ConfigError(
                f"{option}: {exc.strerror} ({exc.filename}); make the folder, and let the service write there"
            ) from exc
        except errors.CacheUnavailable as exc:
            raise errors.ConfigError(
                f"{option}: {exc}; use a folder on a local disk that the service may write to"
            ) from exc
        self.clean(math.inf)
        self.prune(self.settings.max_size)  # the operator may have lowered it

    def close(self) -> None:
        self._index.close()

    # -- reading -----------------------------------------------------------------------------------
    def open(self, image_id: str, seal: Seal, *, count: bool = True) -> BinaryIO | None:
        row = self._index.current(image_id)
        if row is None or row.state != READY:
            return None
        if row.seal != seal:
            self._drop(row)
            return None
        with _translated():
            fd = shared(self._data / row.name)
            if fd is None or not _unchanged(row, os.fstat(fd)):
                if fd is not None:
                    os.close(fd)
                self._drop_changed(row)
                return None
            file = os.fdopen(fd, "rb")
        if count:
            self._hit(row)
        return file

    # -- filling -----------------------------------------------------------------------------------
    def claim(self, image_id: str, seal: Seal) -> Fill | Tail | None:
        if seal.size > self.settings.max_size:
            return None
        for _ in range(LOOKS):
            row = self._index.current(image_id)
            if row is not None and row.seal != seal:
                self._drop(row)
                continue
            made = self._fill(image_id, seal) if row is None else self._follow(row)
            if not isinstance(made, _Changed):
                return made
        raise errors.CacheUnavailable("the entry changes all the time")

    def _fill(self, image_id: str, seal: Seal) -> Fill | _Changed | None:
        token = secrets.token_hex(8)
        data = self._data / f"{image_id}.{token}"
        with _translated(), self._index.writing() as index:
            if index.current(image_id) is not None:
                return _Changed.NOW
            if not self._make_room(index, seal.size):
                return None
            index.add(token, image_id, seal, time.time())
            return FileFill(
                data, _mark(data), seal, lambda mtime: self._publish(token, mtime), lambda: self._give_up(token)
            )

    def _publish(self, token: str, mtime: int) -> bool:
        with self._index.writing() as index:
            return index.ready(token, mtime, time.time())

    def _give_up(self, token: str) -> None:
        with _translated(), self._index.writing() as index:
            for row in index.rows():
                if row.token == token:
                    self._remove(index, row)

    def _follow(self, row: Row) -> Tail | _Changed:
        """Of a row that is whole, or that somebody fills."""
        with _translated():
            data = shared(self._data / row.name)
            if row.state == READY:
                if data is not None and _unchanged(row, os.fstat(data)):
                    return FileTail(data, None, row.size)
                if data is not None:
                    os.close(data)
                self._drop_changed(row)
                return _Changed.NOW
            try:
                mark = os.open(_mark(self._data / row.name), os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
            except FileNotFoundError:
                mark = -1
            if data is not None and mark >= 0 and filler_lives(mark):
                return FileTail(data, mark, row.size)
            for fd in (data, mark):
                if fd is not None and fd >= 0:
                    os.close(fd)
            with self._index.writing() as index:
                again = index.current(row.image_id)
                if again == row and not filler_lives(_mark(self._data / row.name)):
                    self._remove(index, row)  # its filler is dead: the next look makes a new one
            return _Changed.NOW

    # -- care --------------------------------------------------------------------------------------
    def entries(self) -> Sequence[CachedImage]:
        with self._index.reading() as index:
            rows = index.rows(READY)
        return [
            CachedImage(x.image_id, x.seal, x.hits, _when(x.stored), _when(x.accessed), _when(x.verified))
            for x in reversed(rows)
        ]

    def verified(self, image_id: str, seal: Seal) -> None:
        with self._index.writing() as index:
            index.execute(
                "UPDATE files SET verified = ? WHERE image_id = ? AND state = ? AND digest = ?",
                time.time(),
                image_id,
                READY,
                seal.digest,
            )

    def drop(self, image_id: str) -> bool:
        row = self._index.current(image_id)
        if row is not None:
            self._drop(row)
        return row is not None

    def clear(self) -> Removed:
        with _translated(), self._index.writing() as index:
            rows = index.rows(READY)
            for row in rows:
                self._remove(index, row)
        return _removed(rows)

    def prune(self, target: int, *, dry_run: bool = False) -> Removed:
        with _translated(), self._index.writing() as index:
            excess, taken = index.total() - target, list[Row]()
            for row in [*index.rows(GONE), *index.rows(READY)]:
                if excess <= 0:
                    break
                if self._evict(index, row, dry_run=dry_run):
                    excess -= row.size
                    taken.append(row)
        return _removed(taken)

    def clean(self, stalled: float, *, dry_run: bool = False) -> Removed:
        with _translated(), self._index.writing() as index:
            rows = index.rows()
            wrong = [x for x in rows if self._is_wrong(x, stalled)]
            known = {x.name for x in rows} | {f"{x.name}{MARK}" for x in rows}
            lost = [x for x in self._data.iterdir() if x.name not in known and not filler_lives(x)]
            if not dry_run:
                for row in wrong:
                    self._remove(index, row)
            size = 0
            for path in lost:
                size += path.stat().st_size
                if not dry_run:
                    path.unlink()
        return Removed(len(wrong) + len(lost), sum(x.size for x in wrong) + size, tuple(x.image_id for x in wrong))

    def _is_wrong(self, row: Row, stalled: float) -> bool:
        path = self._data / row.name
        try:
            about = path.stat()
        except FileNotFoundError:
            return True
        if row.state == READY:
            return not _unchanged(row, about)
        if row.state == FILLING:
            return not filler_lives(_mark(path)) or time.time() - about.st_mtime > stalled
        file = Exclusive(path)  # removed before: now nobody may have it open any more
        file.close()
        return file.held

    # -- the queue ---------------------------------------------------------------------------------
    def queue(self, image_id: str) -> None:
        with self._index.writing() as index:
            index.execute("INSERT OR IGNORE INTO queue (image_id) VALUES (?)", image_id)

    def queued(self) -> Sequence[str]:
        with self._index.reading() as index:
            return [x for (x,) in index.execute("SELECT image_id FROM queue ORDER BY position")]

    def unqueue(self, image_id: str) -> bool:
        with self._index.writing() as index:
            return index.execute("DELETE FROM queue WHERE image_id = ?", image_id).rowcount > 0

    def clear_queue(self) -> int:
        with self._index.writing() as index:
            return index.execute("DELETE FROM queue").rowcount

    # -- inside ------------------------------------------------------------------------------------
    def _make_room(self, index: Transaction, size: int) -> bool:
        """All or nothing: entries go only when that makes enough room."""
        need = index.total() + size - self.settings.max_size
        if need <= 0:
            return True
        dead = [x for x in index.rows(FILLING) if not filler_lives(_mark(self._data / x.name))]
        chosen: list[tuple[Row, Exclusive]] = []
        try:
            for row in [*index.rows(GONE), *dead, *index.rows(READY)]:
                file = Exclusive(self._data / row.name)
                if not file.held:
                    file.close()
                    continue
                chosen.append((row, file))
                need -= row.size
                if need <= 0:
                    break
            if need > 0:
                return False
            for row, file in chosen:
                self._unlink(index, row, file)
        finally:
            for _, file in chosen:
                file.close()
        return True

    def _evict(self, index: Transaction, row: Row, *, dry_run: bool) -> bool:
        """Whether it is removed, which it is not while somebody reads it."""
        file = Exclusive(self._data / row.name)
        try:
            if file.held and not dry_run:
                self._unlink(index, row, file)
            return file.held
        finally:
            file.close()

    def _unlink(self, index: Transaction, row: Row, file: Exclusive) -> None:
        file.remove()
        _mark(file.path).unlink(missing_ok=True)
        index.forget(row.token)
        if row.state == READY:
            self.settings.on_removed(RemovalReason.EVICTED, row.size)

    def _remove(self, index: Transaction, row: Row) -> None:
        """The entry is no more; its bytes count until nobody has them open."""
        path = self._data / row.name
        file = Exclusive(path)
        try:
            if file.held:
                file.remove()
                index.forget(row.token)
            else:
                index.gone(row.token)
            _mark(path).unlink(missing_ok=True)
        finally:
            file.close()

    def _drop(self, row: Row) -> None:
        with _translated(), self._index.writing() as index:
            now = index.current(row.image_id)
            if now is not None and now.token == row.token:
                self._remove(index, now)

    def _drop_changed(self, row: Row) -> None:
        """A file that is away or is not as it was published. One that is just being removed is no such case."""
        with _translated(), self._index.writing() as index:
            now = index.current(row.image_id)
            if now is None or now.token != row.token:
                return
            try:
                if _unchanged(row, (self._data / row.name).stat()):
                    return
            except FileNotFoundError:
                pass
            LOG.warning("the cached data of image %s was changed from outside: it is dropped", row.image_id)
            self._remove(index, now)
        self.settings.on_removed(RemovalReason.CHANGED, row.size)

    def _hit(self, row: Row) -> None:
        """Counting must not stop a download."""
        try:
            with self._index.writing() as index:
                index.execute("UPDATE files SET hits = hits + 1, accessed = ? WHERE token = ?", time.time(), row.token)
        except errors.CacheUnavailable as exc:
            LOG.warning("a hit of image %s is not counted: %s", row.image_id, exc)

    def _begin_anew(self) -> None:
        for path in [*self._folder.glob("index.sqlite*"), *self._data.iterdir()]:
            path.unlink()
        if not self._index.prepare():
            raise errors.CacheUnavailable("the index can't be made")


def _mark(path: Path) -> Path:
    return path.with_name(path.name + MARK)


def _unchanged(row: Row, about: os.stat_result) -> bool:
    return (about.st_size, about.st_mtime_ns) == (row.size, row.mtime)


def _when(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


def _removed(rows: Sequence[Row]) -> Removed:
    return Removed(len(rows), sum(x.size for x in rows), tuple(x.image_id for x in rows))


@contextmanager
def _alone(path: Path) -> Iterator[None]:
    fd = os.open(path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX)
        yield
    finally:
        os.close(fd)


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except OSError as exc:
        raise errors.CacheUnavailable(f"the cache can't be used: {exc.strerror}") from exc
