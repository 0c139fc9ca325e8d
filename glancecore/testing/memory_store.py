"""A store in memory, for tests of services."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from threading import Lock
from typing import ClassVar
from weakref import WeakValueDictionary

from oslo_config import cfg

from glancecore.domain import errors
from glancecore.ports.options import Options, Section
from glancecore.ports.store import CHUNK, Cap, PlaceMarker, Store, StoredBlob


class Room:
    """The blobs of all stores with one place: key -> bytes and time."""

    def __init__(self) -> None:
        self.blobs: dict[str, tuple[bytes, datetime]] = {}
        self.marker: bytes | None = None
        self.lock = Lock()


#: Rooms live as long as a store uses them, so that one test never sees another one's blobs.
_ROOMS: WeakValueDictionary[str, Room] = WeakValueDictionary()


_KEY = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]{0,99}")


class _Pieces(Iterator[bytes]):
    def __init__(self, data: memoryview) -> None:
        self._data = data

    def __next__(self) -> bytes:
        piece = bytes(self._data[:CHUNK])
        if not piece:
            raise StopIteration
        self._data = self._data[CHUNK:]
        return piece

    def close(self) -> None:
        self._data = memoryview(b"")


class MemoryStore(Store):
    """Keeps blobs in the process's memory; passes the kit but for rules about other processes."""

    schemes = ("memory",)
    caps = frozenset({Cap.WRITE, Cap.DELETE, Cap.RANGE, Cap.LIST, Cap.MARK})
    options: ClassVar[Options] = [
        cfg.StrOpt(
            "memory_store_place",
            default="",
            help="Stores with the same place share their blobs; empty: a place of its own.",
        ),
    ]

    def __init__(self, name: str, conf: Section) -> None:
        super().__init__(name, conf)
        self._place = conf.memory_store_place or f"{name}-{id(self):x}"
        self._room = _ROOMS.setdefault(self._place, Room())

    @property
    def place(self) -> str:
        return f"memory:{self._place}"

    def markers(self) -> Sequence[PlaceMarker]:
        return [PlaceMarker(f"memory_store_place = {self._place}", self._room.marker)]

    def mark(self, where: str, content: bytes) -> bytes:
        with self._room.lock:
            self._room.marker = self._room.marker or content
            return self._room.marker

    def put(self, key: str, chunks: Iterable[bytes], size: int | None = None) -> str:
        data = b"".join(chunks)
        if size is not None and size != len(data):
            raise errors.SizeMismatch(f"{len(data)} bytes came, {size} were declared")
        with self._room.lock:
            if key in self._room.blobs:
                raise errors.BlobExists(f"{key} is already in store {self.name}", self.name, "put")
            self._room.blobs[key] = data, datetime.now(UTC)
        return self._url(key)

    def canonical(self, url: str) -> str:
        if not (key := self._key(url)):
            raise errors.BadLocation(f"not a location of store {self.name}", self.name, "canonical")
        return self._url(key)

    def open(self, url: str, offset: int = 0, length: int | None = None) -> Iterator[bytes]:
        data = memoryview(self._blob(url, "open"))[offset:]
        return _Pieces(data if length is None else data[:length])

    def size(self, url: str) -> int:
        return len(self._blob(url, "size"))

    def delete(self, url: str) -> None:
        with self._room.lock:
            self._blob(url, "delete")
            del self._room.blobs[self._key(url)]

    def discard(self, key: str) -> None:
        with self._room.lock:
            self._room.blobs.pop(key, None)

    def list(self) -> Iterator[StoredBlob]:
        with self._room.lock:
            blobs = dict(self._room.blobs)
        return (StoredBlob(key, self._url(key), len(data), modified) for key, (data, modified) in blobs.items())

    def _url(self, key: str) -> str:
        return f"memory://{self._place}/{key}"

    def _key(self, url: str) -> str:
        place, _, key = url.rpartition("/")
        return key if f"{place}/" == self._url("") and _KEY.fullmatch(key) else ""

    def _blob(self, url: str, operation: str) -> bytes:
        try:
            return self._room.blobs[self._key(url)][0]
        except KeyError:
            raise errors.BlobNotFound(f"not in store {self.name}", self.name, operation) from None
