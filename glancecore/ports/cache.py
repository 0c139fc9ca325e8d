"""What a cache plugin implements: copies of image data near the API, filled once however many ask, never more than its
bound.

The service decides what may be served to whom, hashes what is filled, and reads the stores; a driver keeps bytes. The
kit ``glancecore.testing.cache`` checks each rule."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import BinaryIO, ClassVar

from glancecore.ports.options import Options, Section
from glancecore.ports.plugin import Plugin


@dataclass(frozen=True, slots=True)
class Seal:
    """What the bytes must be: ``size`` of them (more than 0), and their digest by ``algorithm`` (a hashlib name;
    lower-case hex)."""

    size: int
    algorithm: str
    digest: str


@dataclass(frozen=True, slots=True)
class CachedImage:
    """A complete entry. ``stored`` is when it became one; times are aware UTC. ``verified``: when its bytes were last
    hashed."""

    image_id: str
    seal: Seal
    hits: int
    stored: datetime
    accessed: datetime
    verified: datetime


@dataclass(frozen=True, slots=True)
class Removed:
    """What was taken out: ``files`` and their ``bytes``; ``image_ids`` of those that are known, in the order of
    removal."""

    files: int = 0
    bytes: int = 0
    image_ids: tuple[str, ...] = ()


class RemovalReason(StrEnum):
    """What a cache does by itself, for the metrics."""

    #: An entry made room for another, or was pruned.
    EVICTED = "evicted"
    #: An entry was seen to have changed, and was dropped.
    CHANGED = "changed"


def tell_nobody(_what: RemovalReason, _size: int) -> None:
    """What a cache does without anybody who counts."""


@dataclass(frozen=True, slots=True)
class CacheSettings:
    """The operator's word. ``max_size``: bytes that all data of this cache together may take, at any moment.
    ``on_removed`` is to be called for each entry that the cache removes by itself, with its bytes."""

    max_size: int
    folder: Path | None = None
    on_removed: Callable[[RemovalReason, int], None] = tell_nobody


class Tail(ABC):
    """Reads an entry while it is filled, or just after. One thread at a time; closed in any case."""

    @abstractmethod
    def read(self, offset: int, length: int, timeout: float) -> bytes:
        """At least one and up to ``length`` bytes from ``offset``, as soon as there are any; none when ``timeout``
        seconds passed.

        You must guarantee: the entry's last byte is given only when it is published, so who got all bytes got what was
        hashed. Raises FillBroken when they will not come (the filler gave up, died, or the entry was dropped),
        FillDamaged when it gave up because they are wrong, CacheUnavailable."""

    @abstractmethod
    def close(self) -> None:
        """Give back what is open. Must be safe to call twice."""


class Fill(ABC):
    """The one writer of an entry. ``write`` in order, then ``publish`` or ``abort``, once. A Fill whose process dies is
    aborted."""

    @abstractmethod
    def write(self, piece: bytes) -> None:
        """Append. Readers of a Tail see it soon. Raises CacheUnavailable (no space, no disk), SizeMismatch when it gets
        too long."""

    @abstractmethod
    def publish(self) -> None:
        """The entry is complete: durable, and from now on opened by all processes. The caller has hashed what it wrote.

        Raises SizeMismatch (fewer bytes than the seal says), CacheUnavailable; then it is aborted.
        """

    @abstractmethod
    def abort(self, *, damaged: bool = False) -> None:
        """Remove what was written; readers of a Tail get FillBroken, or FillDamaged when ``damaged``. Never raises;
        nothing when done."""


class Cache(Plugin, ABC):
    """One cache, used by all threads of a process and by all processes of this machine at once.

    Errors: raise CacheUnavailable for whatever is wrong with the cache itself (disk gone, index damaged, no space): the
    service then reads from the stores. Anything else that comes out is a mistake of the driver, which the service
    survives as well. ``image_id`` matches ``[A-Za-z0-9-]{1,100}``."""

    options: ClassVar[Options] = ()

    def __init__(self, conf: Section, settings: CacheSettings) -> None:
        """``conf``: the plugin's own section, ``[cache_<name>]``. Nothing is opened before ``start``."""
        self.conf = conf
        self.settings = settings

    @abstractmethod
    def start(self) -> None:
        """Check the settings and open the cache, once per process before the first use; safe in several processes at
        once.

        Raises ConfigError naming option and fix when the settings are wrong. What cannot be read any more of an older
        state is dropped with a warning: a cache may forget."""

    def close(self) -> None:
        """Give back what is open; called once when the process ends."""

    # -- reading -----------------------------------------------------------------------------------
    @abstractmethod
    def open(self, image_id: str, seal: Seal, *, count: bool = True) -> BinaryIO | None:
        """A complete entry as a seekable file at its beginning; None when there is none. ``count``: this is a hit.

        You must guarantee: what was not published is never opened; an entry of another seal, or one whose file is seen
        to have changed since (size, time of change), is dropped and None; while the file is open its bytes stay
        readable and counted in the bound, whatever happens to the entry. Its ``fileno`` may be given to sendfile; a
        cache without files raises OSError there."""

    # -- filling -----------------------------------------------------------------------------------
    @abstractmethod
    def claim(self, image_id: str, seal: Seal) -> Fill | Tail | None:
        """Fill the entry, or follow who does. Single flight: while an entry is filled or complete, exactly one caller
        of all processes has been given its Fill and the others get a Tail; when the filler dies, the next claim is
        given the Fill.

        Room for the whole entry is taken now: least recently accessed entries go, those that somebody reads stay. None
        when there is still no room. You must guarantee: the bytes of all entries, of what is being filled, and of what
        was removed but is still read, never exceed ``max_size``."""

    # -- care --------------------------------------------------------------------------------------
    @abstractmethod
    def entries(self) -> Sequence[CachedImage]:
        """All complete entries, the most recently accessed first."""

    @abstractmethod
    def verified(self, image_id: str, seal: Seal) -> None:
        """Note that the entry's bytes have just been hashed and are right."""

    @abstractmethod
    def drop(self, image_id: str) -> bool:
        """Remove the entry, also one that is being filled; whether there was one. Who reads it reads on."""

    @abstractmethod
    def clear(self) -> Removed:
        """Remove all complete entries."""

    @abstractmethod
    def prune(self, target: int, *, dry_run: bool = False) -> Removed:
        """Remove least recently accessed entries until all together take at most ``target`` bytes; those being read
        stay."""

    @abstractmethod
    def clean(self, stalled: float, *, dry_run: bool = False) -> Removed:
        """Remove what dead fillers left, what has not grown for ``stalled`` seconds, what is not in the index or not in
        place."""

    # -- the queue ---------------------------------------------------------------------------------
    @abstractmethod
    def queue(self, image_id: str) -> None:
        """Remember that this image is to be cached; nothing when it is queued already. Survives restarts."""

    @abstractmethod
    def queued(self) -> Sequence[str]:
        """The queued images, the oldest first."""

    @abstractmethod
    def unqueue(self, image_id: str) -> bool:
        """Forget it; whether it was queued."""

    @abstractmethod
    def clear_queue(self) -> int:
        """Forget all; how many there were."""
