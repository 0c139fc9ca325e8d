"""What a database driver implements for rows of any kind: an extension keeps its own things here, without touching the
database port.

A record belongs to a collection and is found by its id or by one of its keys. Writes are changes of
``ImageRepository.commit``, so they can be in one commit with images, leases and events. The kit
``glancecore.testing.record_repository`` checks each rule."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from glancecore.ports.repeating import reads

#: Keys of a record at most, and characters of an id, a key or a collection's name.
MOST_KEYS, LONGEST = 4, 255


@dataclass(frozen=True, slots=True)
class Record:
    """``collection``: whose records, and which (``census.counts``). ``id`` is unique in it. ``version`` counts saves
    and is the compare-and-set key. ``data``: a JSON object. ``keys``: texts that it is found by, in the collection's
    order; None: not by this one. ``image_id``: it goes with that image. ``expires_at``: from when on ``expired`` tells
    it, aware UTC."""

    collection: str
    id: str
    data: Mapping[str, object] = field(default_factory=dict)
    keys: tuple[str | None, ...] = ()
    image_id: str | None = None
    expires_at: datetime | None = None
    version: int = 1

    def __post_init__(self) -> None:
        """Raises ValueError for what no database can keep."""
        if len(self.keys) > MOST_KEYS:
            raise ValueError(f"a record has at most {MOST_KEYS} keys")
        for text in (self.collection, self.id, *self.keys):
            if text is not None and (len(text) > LONGEST or "\0" in text):
                raise ValueError(
                    f"collection, id and keys of a record have at most {LONGEST} characters, and no U+0000"
                )


@dataclass(frozen=True, slots=True)
class RecordAdded:
    """Raises RecordExists; ImageNotFound when ``image_id`` is no image."""

    record: Record


@dataclass(frozen=True, slots=True)
class RecordChanged:
    """``after`` replaces ``before``. Raises ConcurrentChange unless the stored version is ``before.version``,
    RecordNotFound, ImageNotFound. ``after.version`` must be ``before.version + 1``, and collection and id stay: else
    ValueError, the caller's mistake."""

    before: Record
    after: Record


@dataclass(frozen=True, slots=True)
class RecordRemoved:
    """Raises ConcurrentChange unless the stored version is that of ``record``, RecordNotFound."""

    record: Record


RecordChange = RecordAdded | RecordChanged | RecordRemoved


@dataclass(frozen=True, slots=True)
class RecordQuery:
    """Which records of a collection, in which order. All conditions must hold; text is compared by code points.

    ``key``: the number of the key that they are found by, in its order and then by id; records without that key are not
    found. None: by id. ``equal``: that key (or id) is one of these; ``prefix``: it begins so. ``after``: behind this
    one, a key and an id (for ``key`` None the id twice)."""

    collection: str
    key: int | None = None
    equal: Sequence[str] | None = None
    prefix: str = ""
    after: tuple[str, str] | None = None
    descending: bool = False
    limit: int = 100


class RecordRepository(ABC):
    """Thread-safe. Any method may raise DatabaseUnavailable."""

    @reads
    @abstractmethod
    def get(self, collection: str, record_id: str) -> Record:
        """Raises RecordNotFound."""

    @reads
    @abstractmethod
    def several(self, named: Sequence[tuple[str, str]]) -> list[Record]:
        """Those of these collections and ids that are there, in any order, each once: in one question, as they are at
        one moment. At most 1,000."""

    @reads
    @abstractmethod
    def find(self, query: RecordQuery) -> list[Record]:
        """At most ``query.limit`` of them. What it costs does not depend on how many the collection has. Who goes on
        behind the last one of each page has seen each record that was there all the time, once."""

    @reads
    @abstractmethod
    def of_image(self, image_id: str, collection: str) -> list[Record]:
        """Those that go with the image, by id; at most 1,000."""

    @reads
    @abstractmethod
    def expired(self, collection: str, at: datetime, limit: int = 100) -> list[Record]:
        """Those whose ``expires_at`` is not after ``at``, the oldest first. Nobody removes them but who asks."""
