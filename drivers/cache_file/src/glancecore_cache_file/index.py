"""What the cache knows of its files: an SQLite database beside them, shared by all processes of the machine."""

from __future__ import annotations

import logging
import os
import queue
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from glancecore.domain import errors
from glancecore.ports.cache import Seal

LOG = logging.getLogger(__name__)

#: Raised when the tables change; an index of another version is dropped with all entries.
VERSION = 1
_SCHEMA = f"""
CREATE TABLE files (token TEXT PRIMARY KEY, image_id TEXT NOT NULL, state TEXT NOT NULL, size INTEGER NOT NULL,
                    algorithm TEXT NOT NULL, digest TEXT NOT NULL, hits INTEGER NOT NULL DEFAULT 0,
                    stored REAL NOT NULL, accessed REAL NOT NULL,
                    verified REAL NOT NULL, mtime INTEGER NOT NULL DEFAULT 0) WITHOUT ROWID;
CREATE UNIQUE INDEX one_of_an_image ON files (image_id) WHERE state <> 'gone';
CREATE INDEX least_recently_accessed ON files (state, accessed);
CREATE TABLE queue (position INTEGER PRIMARY KEY AUTOINCREMENT, image_id TEXT NOT NULL UNIQUE);
PRAGMA user_version = {VERSION};
"""
FILLING, READY, GONE = "filling", "ready", "gone"
_COLUMNS = "token, image_id, state, size, algorithm, digest, hits, stored, accessed, verified, mtime"


@dataclass(frozen=True, slots=True)
class Row:
    """One data file. ``gone``: removed, but somebody has it open, so its bytes still count. Times are seconds since the
    epoch."""

    token: str
    image_id: str
    state: str
    size: int
    algorithm: str
    digest: str
    hits: int
    stored: float
    accessed: float
    verified: float
    #: Nanoseconds; what the file's time of change was when it was published.
    mtime: int

    @property
    def seal(self) -> Seal:
        return Seal(self.size, self.algorithm, self.digest)

    @property
    def name(self) -> str:
        return f"{self.image_id}.{self.token}"


class Transaction:
    """What may be done to the rows while no other process writes."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def total(self) -> int:
        """Bytes of all files, those that are not whole yet counted whole."""
        found: int = self._connection.execute("SELECT coalesce(sum(size), 0) FROM files").fetchone()[0]
        return found

    def rows(self, state: str | None = None) -> list[Row]:
        """The least recently accessed first."""
        where, values = ("", ()) if state is None else ("WHERE state = ?", (state,))
        found = self._connection.execute(f"SELECT {_COLUMNS} FROM files {where} ORDER BY accessed, stored", values)  # noqa: S608
        return [Row(*x) for x in found]

    def current(self, image_id: str) -> Row | None:
        return _current(self._connection, image_id)

    def add(self, token: str, image_id: str, seal: Seal, now: float) -> None:
        self._connection.execute(
            "INSERT INTO files (token, image_id, state, size, algorithm, digest, stored, accessed, verified) "
            "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (token, image_id, FILLING, seal.size, seal.algorithm, seal.digest, now, now, now),
        )

    def ready(self, token: str, mtime: int, now: float) -> bool:
        """Whether it was still wanted."""
        done = self._connection.execute(
            "UPDATE files SET state = ?, mtime = ?, stored = ?, accessed = ?, verified = ? WHERE token = ? AND"
            " state = ?",
            (READY, mtime, now, now, now, token, FILLING),
        )
        return done.rowcount == 1

    def gone(self, token: str) -> None:
        self._connection.execute("UPDATE files SET state = ? WHERE token = ?", (GONE, token))

    def forget(self, token: str) -> None:
        self._connection.execute("DELETE FROM files WHERE token = ?", (token,))

    def execute(self, statement: str, *values: object) -> sqlite3.Cursor:
        return self._connection.execute(statement, values)


class Index:
    """Connections are kept and handed to one thread at a time. Raises CacheUnavailable for whatever SQLite does not
    like."""

    def __init__(self, path: Path, timeout: float) -> None:
        self._path, self._timeout = path, timeout
        self._idle: queue.LifoQueue[sqlite3.Connection] = queue.LifoQueue()
        self._inode = 0

    def prepare(self) -> bool:
        """Make the tables when there are none, and see whether what is there can be read; False when not. Alone on the
        machine."""
        try:
            connection = self._connected()
        except sqlite3.DatabaseError as exc:
            return _unreadable(exc)
        try:
            if connection.execute("PRAGMA quick_check(1)").fetchone() != ("ok",):
                return _unreadable("quick_check found damage")
            version = connection.execute("PRAGMA user_version").fetchone()[0]
            if version == 0 and not connection.execute("SELECT name FROM sqlite_master").fetchall():
                connection.execute("PRAGMA journal_mode = WAL")
                connection.executescript(f"BEGIN IMMEDIATE; {_SCHEMA} COMMIT;")
            elif version != VERSION:
                return _unreadable(f"it is of version {version}, not {VERSION}")
        except sqlite3.OperationalError as exc:
            raise errors.CacheUnavailable(f"the index of the cache can't be used: {exc}") from exc
        except sqlite3.DatabaseError as exc:
            return _unreadable(exc)
        finally:
            connection.close()
        self._inode = self._path.stat().st_ino
        return True

    def close(self) -> None:
        with suppress(queue.Empty):
            while True:
                self._idle.get_nowait().close()

    @contextmanager
    def writing(self) -> Iterator[Transaction]:
        """One process at a time."""
        with self._used() as connection:
            connection.execute("BEGIN IMMEDIATE")
            try:
                yield Transaction(connection)
            except BaseException:
                connection.execute("ROLLBACK")
                raise
            connection.execute("COMMIT")

    @contextmanager
    def reading(self) -> Iterator[Transaction]:
        """One statement sees one state."""
        with self._used() as connection:
            yield Transaction(connection)

    def current(self, image_id: str) -> Row | None:
        """The file that is, or becomes, the image's entry."""
        with self._used() as connection:
            return _current(connection, image_id)

    @contextmanager
    def _used(self) -> Iterator[sqlite3.Connection]:
        try:
            if self._path.stat().st_ino != self._inode:
                raise errors.CacheUnavailable("the index of the cache was replaced; restart the service")
            try:
                connection = self._idle.get_nowait()
            except queue.Empty:
                connection = self._connected()
        except OSError as exc:
            raise errors.CacheUnavailable(f"the cache is away: {exc.strerror}") from exc
        except sqlite3.Error as exc:
            raise errors.CacheUnavailable(f"the index of the cache can't be opened: {exc}") from exc
        try:
            yield connection
        except sqlite3.Error as exc:
            connection.close()
            raise errors.CacheUnavailable(f"the index of the cache can't be used: {exc}") from exc
        except BaseException:
            connection.close()
            raise
        self._idle.put(connection)

    def _connected(self) -> sqlite3.Connection:
        with suppress(FileExistsError):  # whatever the umask; what SQLite makes beside it has its permissions
            os.close(os.open(self._path, os.O_CREAT | os.O_EXCL | os.O_RDWR | os.O_CLOEXEC, 0o600))
        connection = sqlite3.connect(self._path, timeout=self._timeout, isolation_level=None, check_same_thread=False)
        # losing the last commits in a power cut is fine: files without a row are cleaned, and data is synced before its
        # row
        connection.execute("PRAGMA synchronous = NORMAL")
        return connection


def _current(connection: sqlite3.Connection, image_id: str) -> Row | None:
    question = f"SELECT {_COLUMNS} FROM files WHERE image_id = ? AND state <> 'gone'"  # noqa: S608
    found = connection.execute(question, (image_id,)).fetchone()
    return Row(*found) if found else None


def _unreadable(why: object) -> bool:
    LOG.warning("the index of the image cache can't be read (%s): the cache begins empty", why)
    return False
