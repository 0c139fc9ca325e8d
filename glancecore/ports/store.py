"""What a store driver implements: bytes in, bytes out, and an honest list of what it can do.

The facade in ``kernel/transfer/stores.py`` hashes, limits, inspects, measures and wraps errors once for all drivers: a
driver does none of it. The kit ``glancecore.testing.store`` checks each rule; how to write one:
docs/writing-a-store.md."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from pathlib import Path
from typing import BinaryIO, ClassVar

from glancecore.domain import errors
from glancecore.ports.options import Options, Section
from glancecore.ports.plugin import Plugin

#: Bytes per piece that is read from files and sockets. It stays in the processor's cache from hashing to writing, and
#: no system call with it keeps a processor from a request for long: many kernels let nobody else in before a write is
#: done.
CHUNK = 1 << 18
#: The marker's name in its place. No key begins with a dot.
MARKER = ".glance-store"
#: Bytes that a marker has at most.
MARKER_SIZE = 4096
#: Seconds in which all writers that found nothing have written.
RACE = 1.0
#: And how many times as long as one of them took.
SLOWER = 5


class Cap(Enum):
    """What a driver can do. Declared means it works; undeclared means it raises Unsupported: the kit tests both."""

    WRITE = "write"
    DELETE = "delete"
    #: ``open`` starts at an offset without reading what lies before it.
    RANGE = "range"
    #: ``list`` tells every blob: orphans can be found.
    LIST = "list"
    #: ``local_path`` names a file that the server may send without copying it.
    LOCAL = "local"
    #: ``adopt`` takes over a finished local file without copying it.
    ADOPT = "adopt"
    #: ``presign`` makes a short-lived URL that a client may read directly.
    PRESIGN = "presign"
    #: Reads a URL that somebody else made (a location on any web server), who may change the bytes at any time: they
    #: are read only against a hash, each time anew.
    EXTERNAL = "external"
    #: Each place of the store can hold a marker, by which it is known from an empty one that stands where it was: a
    #: mount point without its disk, a bucket made anew.
    MARK = "mark"
    #: A blob may come in parts, one after the other, each durable by itself, from any process.
    PARTS = "parts"


@dataclass(frozen=True, slots=True)
class StoredBlob:
    """One blob as ``list`` tells it. ``size`` in bytes; ``modified`` aware UTC."""

    key: str
    url: str
    size: int
    modified: datetime


@dataclass(frozen=True, slots=True)
class StoredPart:
    """One part of a blob that is put in parts. ``size`` in bytes."""

    number: int
    size: int


@dataclass(frozen=True, slots=True)
class PlaceMarker:
    """One place of a store, and the marker there. ``where``: the option and its value that lead to the place, for
    operators; no secret in it. ``content``: of the marker, None when there is none. ``address``: how the locations of
    data in this place begin, for a store whose places may move; else empty."""

    where: str
    content: bytes | None
    address: str = ""


class Store(Plugin, ABC):
    """One configured store.

    ``name`` is the operator's id for it (``fast`` in ``enabled_backends = fast:file``), ``conf`` its own section with
    the declared ``options``. One instance serves all threads of a process at once: methods must be thread-safe.

    Errors: raise the classes of ``glancecore.domain.errors`` (BlobNotFound, BlobExists, BlobInUse, BadLocation,
    StoreFull, StoreForbidden, StoreUnavailable …). Their text is shown to users: no URL, path or credential in it.
    Exceptions that come out of ``chunks`` must pass unchanged, of whatever class. Anything else is wrapped by the
    facade as StoreError.

    Nothing is written to the standard output, and no location or secret to the log. One operation does not wait for
    another one's caller: a ``put`` whose source is slow holds up nobody. What another process did a moment ago is seen.
    """

    #: URL schemes of the locations this driver makes and reads.
    schemes: ClassVar[tuple[str, ...]]
    options: ClassVar[Options] = ()
    #: Of the class, or of an instance whose settings take something away.
    caps: frozenset[Cap]
    #: With ``Cap.PARTS``: bytes that each part but the last one has at least, and how many numbers of parts there are,
    #: None: any.
    least_part: int = 0
    most_parts: int | None = None

    def __init__(self, name: str, conf: Section) -> None:
        self.name = name
        self.conf = conf

    def create(self) -> None:
        """Make the places that are not there, as far as the settings allow; those that are there stay as they are.

        Called before ``start`` while nothing is known of the store. Later on ``start`` alone is called, which must not
        make what is expected to be there: a place that is not there is away. Safe in several processes at once. Raises
        as ``start`` does."""

    def start(self) -> None:
        """Check the settings and reach the backend, once per process before the first use.

        Must be safe to call in several processes at once. Raises ConfigError naming option and fix when the settings
        are wrong, StoreUnavailable or StoreForbidden when the backend is; PlaceMissing for a place that ``create``
        would make."""

    def ping(self) -> None:
        """Is the backend there? Called by the readiness check, at most every few seconds; must return within 5 s.

        Raises StoreUnavailable or StoreForbidden.
        """

    @property
    def place(self) -> str:
        """Names where the data lies (device and folder, cluster and pool, endpoint and bucket).

        Two stores with the same place are refused at start: deleting in one would destroy the other's data. A store of
        several places (folders, containers) joins their names by ``+``.
        """
        return f"{type(self).__name__}:{self.name}"

    @property
    def properties(self) -> Mapping[str, object]:
        """Facts for ``GET /v2/info/stores/detail``; JSON values, no secrets."""
        return {}

    # -- places ------------------------------------------------------------------------------------
    def markers(self) -> Sequence[PlaceMarker]:
        """Each place of the store with its marker (``MARKER``), in any order; called after ``start``.

        The marker is no blob: ``list`` does not tell it, no location leads to it, and neither ``delete`` nor
        ``discard`` touches it. The places that were looked at are those that every other method uses from then on. Must
        return within 5 s after a ``ping``. Raises StoreForbidden, StoreUnavailable."""
        raise errors.Unsupported(f"store {self.name} keeps no markers", self.name, "markers")

    def mark(self, where: str, content: bytes) -> bytes:
        """Make ``content`` the marker of the place that ``markers`` calls ``where``, unless it has one; what its marker
        is now.

        ``content`` has at most ``MARKER_SIZE`` bytes. Of several processes that do so at once, one makes the marker and
        all are told its content. As durable as ``put``, and never seen in part. Raises StoreFull, StoreForbidden,
        StoreUnavailable."""
        raise errors.Unsupported(f"store {self.name} keeps no markers", self.name, "mark")

    def moved_from(self, where: str, addresses: Sequence[str]) -> None:
        """The place that ``markers`` calls ``where`` had these addresses before: locations that begin so lead to its
        data, too.

        Called after ``markers``, before other threads use the store. Only for stores whose places have an ``address``.
        """

    # -- writing -----------------------------------------------------------------------------------
    def put(self, key: str, chunks: Iterable[bytes], size: int | None = None) -> str:
        """Store all of ``chunks`` as ``key`` and return its location URL.

        The caller guarantees: ``key`` matches ``[A-Za-z0-9._-]{1,100}``, does not begin with a dot, and is used by one
        caller at a time; ``chunks`` is read once, its pieces are bytes or memoryviews of any length, empty ones
        included; ``size`` is the exact number of bytes, or None when it is not known.
        You must guarantee: when this returns, the bytes survive a power cut (fsync, or the backend's own commit); until
        then the blob can't be opened; when ``chunks`` raises or anything else fails, nothing is left behind; a
        blob that exists is never replaced (BlobExists).
        Raises: BlobExists, StoreFull, StoreForbidden, StoreUnavailable; SizeMismatch when ``size`` was wrong.
        """
        raise errors.Unsupported(f"store {self.name} can't be written to", self.name, "put")

    def delete(self, url: str) -> None:
        """Remove the blob. Returns when it is gone. Raises BlobNotFound, BlobInUse, StoreForbidden,
        StoreUnavailable."""
        raise errors.Unsupported(f"store {self.name} can't delete", self.name, "delete")

    def discard(self, key: str) -> None:
        """Remove whatever a ``put`` of ``key``, or parts of it, have left: segments, temporary files, or the finished
        blob.

        Called for a key whose writer is dead, so the URL is not known. Must succeed when there is nothing, and twice.
        Raises BlobInUse, StoreForbidden, StoreUnavailable.
        """
        raise errors.Unsupported(f"store {self.name} can't delete", self.name, "discard")

    def put_for(self, owner: str | None, key: str, chunks: Iterable[bytes], size: int | None = None) -> str:
        """``put`` for the project ``owner``, None when nobody's: for backends where each project has a place of its
        own.

        The URL says where it lies: it stays there when the image gets another owner. As ``put`` in all else.
        """
        return self.put(key, chunks, size)

    def discard_for(self, owner: str | None, key: str) -> None:
        """``discard`` of what a ``put_for`` of ``owner`` and ``key`` has left."""
        self.discard(key)

    def adopt(self, key: str, path: Path) -> str:
        """Make the finished local file ``path`` the blob ``key`` without copying, as durable as ``put``; the URL.

        ``path`` stays for the caller to remove. Raises Unsupported when it lies on another file system (the caller then
        uses ``put``), BlobExists.
        """
        raise errors.Unsupported(f"store {self.name} can't adopt local files", self.name, "adopt")

    # -- writing in parts --------------------------------------------------------------------------
    def begin_parts(self, owner: str | None, key: str, size: int | None = None) -> str:
        """The blob ``key`` of the project ``owner`` comes in parts, and has ``size`` bytes, None when that is not
        known. A handle, at most 1,000 characters without a secret, by which any process goes on until the blob is
        complete, or ``discard_for`` of the same owner and key.

        Of two handles of one key that were begun, one becomes the blob: nothing of the other is left then.
        Raises BlobExists, StoreFull, StoreForbidden, StoreUnavailable.
        """
        raise errors.Unsupported(f"store {self.name} takes no parts", self.name, "begin_parts")

    def put_part(self, key: str, handle: str, number: int, offset: int, chunks: Iterable[bytes]) -> None:
        """Store all of ``chunks`` as the part ``number``, from byte ``offset`` of the blob on.

        The caller guarantees: numbers count from 0, with gaps, and stay below ``most_parts``; of parts that count, one
        that lies further behind has the larger number; a number that failed, or was put and does not count, may come
        again. You must guarantee: when this returns, the part survives a power cut; no byte of it can be opened before
        the blob is complete; when ``chunks`` raises or anything else fails, the parts with smaller numbers are as they
        were. Once this was called, every ``put_part`` with a smaller number, in whatever process, is over: what its
        caller still sends changes nothing, neither of other parts nor of the blob, and it may raise BlobInUse. Raises
        BlobNotFound when nothing was begun or all was discarded, BlobInUse, TooLarge for a part that is larger than one
        may be, StoreFull, StoreForbidden, StoreUnavailable."""
        raise errors.Unsupported(f"store {self.name} takes no parts", self.name, "put_part")

    def open_parts(self, key: str, handle: str, parts: Sequence[StoredPart]) -> Iterator[bytes]:
        """The bytes of ``parts``, the first ones in their order; otherwise as ``open``. Raises Unsupported where parts
        can't be read before they are complete: ``least_part`` is at least 8 MiB then, so that the first one tells the
        format of the data as it comes."""
        raise errors.Unsupported(f"store {self.name} takes no parts", self.name, "open_parts")

    def complete_parts(self, key: str, handle: str, parts: Sequence[StoredPart]) -> str:
        """Make the blob of ``parts``, in their order, at least one; its location URL. Those that are not named count
        for nothing.

        You must guarantee: what ``put`` guarantees of a blob, in one step: it is there whole, or all parts are as they
        were. No ``put_part`` changes anything from then on. Said again, also by another process after a crash at any
        point, it tells the same URL. Raises BlobNotFound when nothing was begun or all was discarded; BlobExists;
        SizeMismatch when the parts are not all there, with these sizes; StoreFull, StoreForbidden, StoreUnavailable.
        """
        raise errors.Unsupported(f"store {self.name} takes no parts", self.name, "complete_parts")

    # -- locations ---------------------------------------------------------------------------------
    @abstractmethod
    def canonical(self, url: str) -> str:
        """The one text for the blob that ``url`` names: what ``put``, ``adopt`` and ``list`` would call it.

        Whose bytes they are is judged by this text, so two texts by which the same bytes can be read, measured, signed
        or deleted must become one, whatever user, port, case, encoding or query they are written with. Tell it without
        asking whether the blob is there. The canonical text is its own. Raises BadLocation for what is no location of
        this store."""

    # -- reading -----------------------------------------------------------------------------------
    @abstractmethod
    def open(self, url: str, offset: int = 0, length: int | None = None) -> Iterator[bytes]:
        """The blob's bytes from ``offset`` (counted from 0), ``length`` of them or to the end.

        The caller guarantees: 0 <= offset; offset > 0 or a length only with Cap.RANGE declared. You must guarantee: an
        absent blob raises now, not at the first ``next``; a range that goes past the end gives what there is; fewer
        bytes than there should be raise StoreUnavailable instead of ending quietly; what is open is closed when the
        iterator is closed early. Memory stays constant whatever the size. Raises: BlobNotFound, BadLocation (not a URL
        of this store), StoreForbidden, StoreUnavailable."""

    @abstractmethod
    def size(self, url: str) -> int:
        """The blob's length in bytes. Raises BlobNotFound, BadLocation, StoreForbidden, StoreUnavailable."""

    def local_path(self, url: str) -> Path:
        """The blob as a local file. Raises BlobNotFound, BadLocation."""
        raise errors.Unsupported(f"store {self.name} has no local files", self.name, "local_path")

    def presign(self, url: str, seconds: float) -> str:
        """A URL that anybody may GET for ``seconds``. Raises BlobNotFound, BadLocation."""
        raise errors.Unsupported(f"store {self.name} can't sign URLs", self.name, "presign")

    def list(self) -> Iterator[StoredBlob]:
        """Every finished blob of this store, in any order; those that come or go meanwhile may be missing."""
        raise errors.Unsupported(f"store {self.name} can't list", self.name, "list")

    def free(self) -> int | None:
        """Bytes that can still be written, None when unknown."""
        return None

    def close(self) -> None:
        """Give back connections; called once when the process ends or forks."""


def agreed(read: Callable[[], bytes | None], write: Callable[[], object]) -> bytes | None:
    """Make a small object unless it exists; what it holds now, None when it was removed meanwhile. For ``mark`` of a
    service whose condition "only if it does not exist" is no lock: of writers that find nothing at the same time the
    last one wins, and all are told its content.

    What is there is told after ``RACE`` seconds, or ``SLOWER`` times as long as reading and writing took: where this
    writer is slow, others may be as well."""
    begun = time.monotonic()
    if read() is None:
        write()
    time.sleep(max(RACE, SLOWER * (time.monotonic() - begun)))
    return read()


class _Chunks(Iterator[bytes]):
    """An iterator, not a generator: closing a generator that was never started would not close ``src``."""

    def __init__(self, src: BinaryIO, length: int | None, chunk: int) -> None:
        self._src, self._left, self._chunk = src, length, chunk

    def __next__(self) -> bytes:
        if self._src.closed or self._left == 0:
            self.close()
            raise StopIteration
        piece = self._src.read(self._chunk if self._left is None else min(self._chunk, self._left))
        if self._left is not None:
            if not piece:
                self.close()
                raise errors.StoreUnavailable(f"the data ended {self._left} bytes early", operation="open")
            self._left -= len(piece)
        elif not piece:
            self.close()
            raise StopIteration
        return piece

    def close(self) -> None:
        self._src.close()

    def __del__(self) -> None:
        self.close()


def read_chunks(src: BinaryIO, length: int | None = None, chunk: int = CHUNK) -> Iterator[bytes]:
    """Yield ``length`` bytes of ``src`` (to the end when None) in pieces, closing it at the end or when stopped early.

    Raises StoreUnavailable when ``src`` ends before: clip ``length`` to what the blob has.
    """
    return _Chunks(src, length, chunk)
