"""A store as a stranger writes one: blobs in rows of 1 MiB in an SQLite database."""

import re
import sqlite3
from contextlib import closing, contextmanager

from oslo_config import cfg

from glancecore.domain import errors
from glancecore.ports.store import Cap, Store
from glancecore.testing.store import Backdoor

ROW = 1 << 20


class Reader:
    """One row at a time."""

    def __init__(self, store, key, offset, end):
        self.store, self.key, self.at, self.end = store, key, offset, end

    def __iter__(self):
        return self

    def __next__(self):
        if self.at >= self.end:
            raise StopIteration
        row = self.at // ROW
        with self.store.database() as database:
            found = database.execute("SELECT data FROM rows WHERE key = ? AND number = ?", (self.key, row)).fetchone()
        if found is None:
            self.close()
            raise errors.StoreUnavailable("a row is gone")
        piece = self.cut(found[0], row)
        self.at += len(piece)
        return piece

    def cut(self, data, row):
        return data[self.at - row * ROW : self.end - row * ROW]

    def close(self):
        self.at = self.end


class RowStore(Store):
    schemes = ("kitrows",)
    options = [cfg.StrOpt("file", help="The database.")]
    caps = frozenset({Cap.WRITE, Cap.DELETE, Cap.RANGE})
    reader = Reader

    @contextmanager
    def database(self):
        try:
            with closing(sqlite3.connect(self.conf.file, timeout=60)) as database, database:
                yield database
        except sqlite3.Error:
            raise errors.StoreUnavailable("the database fails") from None

    def start(self):
        with self.database() as database:
            database.execute("PRAGMA journal_mode = WAL")
            database.execute(
                "CREATE TABLE IF NOT EXISTS rows (key TEXT, number INTEGER, data BLOB, PRIMARY KEY (key, number))"
            )
            database.execute("CREATE TABLE IF NOT EXISTS blobs (key TEXT PRIMARY KEY, size INTEGER)")

    @property
    def place(self):
        return f"rows:{self.conf.file}"

    def put(self, key, chunks, size=None):
        """In one transaction: a spool in memory will do for a test."""
        data = b"".join(chunks)
        if size not in {None, len(data)}:
            raise errors.SizeMismatch("wrong size")
        with self.database() as database:
            if database.execute("INSERT OR IGNORE INTO blobs VALUES (?, ?)", (key, len(data))).rowcount == 0:
                raise errors.BlobExists("it exists")
            database.executemany(
                "INSERT INTO rows VALUES (?, ?, ?)",
                ((key, at // ROW, data[at : at + ROW]) for at in range(0, len(data), ROW)),
            )
        return self.url(key)

    def url(self, key):
        return f"kitrows://{self.conf.file}/{key}"

    def canonical(self, url):
        key = url.rpartition("/")[2]
        if url != self.url(key) or not re.fullmatch(r"[A-Za-z0-9_-][A-Za-z0-9._-]*", key):
            raise errors.BadLocation("not a location")
        return url

    def size(self, url):
        with self.database() as database:
            found = database.execute(
                "SELECT size FROM blobs WHERE key = ?", (self.canonical(url).rpartition("/")[2],)
            ).fetchone()
        if found is None:
            raise errors.BlobNotFound("it is not there")
        return found[0]

    def open(self, url, offset=0, length=None):
        size = self.size(url)
        return self.reader(self, url.rpartition("/")[2], offset, size if length is None else min(size, offset + length))

    def delete(self, url):
        self.size(url)
        self.discard(url.rpartition("/")[2])

    def discard(self, key):
        with self.database() as database:
            database.execute("DELETE FROM blobs WHERE key = ?", (key,))
            database.execute("DELETE FROM rows WHERE key = ?", (key,))


class RowBackdoor(Backdoor):
    def __init__(self, file):
        self.file = file

    def ask(self, *query):
        with closing(sqlite3.connect(self.file, timeout=60)) as database:
            return database.execute(*query).fetchall()

    def read(self, url):
        key = url.rpartition("/")[2]
        if not self.ask("SELECT 1 FROM blobs WHERE key = ?", (key,)):
            return None
        return b"".join(row[0] for row in self.ask("SELECT data FROM rows WHERE key = ? ORDER BY number", (key,)))

    def names(self):
        return {row[0] for row in self.ask("SELECT key FROM blobs UNION SELECT key FROM rows")}
