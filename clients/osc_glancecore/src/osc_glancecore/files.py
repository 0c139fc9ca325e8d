"""The file on this side: what it is, pieces of it, and its hash, made while it is sent."""

from __future__ import annotations

import concurrent.futures
import hashlib
import json
import os
import stat
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

#: Bytes that are read at once.
BLOCK = 1 << 20


@dataclass(frozen=True, slots=True)
class Source:
    """A file as it was when it was first looked at. ``beginning``: the hash of its first bytes."""

    path: Path
    size: int
    modified: int
    beginning: str

    @classmethod
    def of(cls, path: Path) -> Source:
        """Raises OSError."""
        with path.open("rb") as file:
            about = os.fstat(file.fileno())
            if not stat.S_ISREG(about.st_mode):
                raise OSError(f"{path} is no file; copy what it has into one")
            beginning = hashlib.sha256(file.read(BLOCK)).hexdigest()
        return cls(path.resolve(), about.st_size, about.st_mtime_ns, beginning)

    @property
    def fingerprint(self) -> str:
        """What an upload of it is known by."""
        return hashlib.sha256(f"{self.size} {self.modified} {self.beginning}".encode()).hexdigest()[:32]

    @property
    def changed(self) -> bool:
        about = self.path.stat()
        return (about.st_size, about.st_mtime_ns) != (self.size, self.modified)


class Piece:
    """Bytes of a file from ``start`` on, as a request's body: it can be sent again."""

    def __init__(self, source: Source, start: int, length: int, sent: Progress) -> None:
        self._source, self._start, self._length, self._sent = source, start, length, sent

    def __len__(self) -> int:
        return self._length

    def __iter__(self) -> Iterator[bytes]:
        left = self._length
        self._sent.at(self._start)
        with self._source.path.open("rb") as file:
            file.seek(self._start)
            while left and (block := file.read(min(BLOCK, left))):
                yield block
                left -= len(block)
                self._sent.at(self._start + self._length - left)
        if left:
            raise OSError(f"{self._source.path} has become shorter")


class Progress:
    """Told how far it is; the least one tells nobody."""

    def at(self, offset: int) -> None:
        """Bytes of the whole that are done."""

    def add(self, count: int) -> None:
        """So many more."""


class Hashing:
    """The hash of a file, made beside what is sent of it."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._pool = concurrent.futures.ThreadPoolExecutor(1)
        self._made = {"sha512": self._pool.submit(file_hash, path, "sha512")}

    def get(self, algorithm: str) -> str:
        """Raises OSError, ValueError when this Python does not know the algorithm."""
        if algorithm not in self._made:
            self._made[algorithm] = self._pool.submit(file_hash, self._path, algorithm)
        return self._made[algorithm].result()

    def stop(self) -> None:
        self._pool.shutdown(wait=False, cancel_futures=True)


def file_hash(path: Path, algorithm: str) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.new(algorithm, usedforsecurity=False)).hexdigest()


def write_json(path: Path, value: object) -> None:
    """All of it or nothing."""
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(descriptor, "w") as file:
            json.dump(value, file)
            file.flush()
            os.fsync(file.fileno())
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def read_json(path: Path) -> object:
    """None: there is none, or none that can be read."""
    try:
        return json.loads(path.read_text())
    except (OSError, ValueError):
        return None
