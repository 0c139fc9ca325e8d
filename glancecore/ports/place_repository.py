"""What a database driver implements for the places of stores: which ones are expected, and which stores images need.

A store's data lies in one or several places (a folder, a bucket, a pool), each known by the id in its marker
(``Store.markers``). The kit ``glancecore.testing.place_repository`` checks each rule."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass

from glancecore.domain.image import Image
from glancecore.ports.repeating import reads, repeatable


@dataclass(frozen=True, slots=True)
class Place:
    """``id``: what its marker says. ``addresses``: how locations of its data begin, or began before it moved, the
    present one first."""

    id: str
    addresses: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class StorePlaces:
    """The places that a store's data is expected in."""

    store: str
    places: tuple[Place, ...]


class PlaceRepository(ABC):
    """Thread-safe. Any method may raise DatabaseUnavailable. A store's id has at most 255 characters."""

    @reads
    @abstractmethod
    def get(self, store: str) -> StorePlaces | None:
        """None: the store was never used, or it was forgotten."""

    @reads
    @abstractmethod
    def all(self) -> list[StorePlaces]:
        """By the stores' ids, in the order of code points."""

    @repeatable
    @abstractmethod
    def replace(self, store: str, before: StorePlaces | None, after: StorePlaces | None) -> None:
        """Keep ``after`` in place of ``before``; None: nothing. Raises ConcurrentChange when neither is what is
        kept."""

    @reads
    @abstractmethod
    def needed(self) -> list[str]:
        """Stores that images have locations in, in the order of code points. Its cost depends on the number of stores,
        not of images."""

    @reads
    @abstractmethod
    def count(self, store: str) -> int:
        """How many images have a location in the store."""

    @reads
    @abstractmethod
    def holding(self, store: str, after: str = "", limit: int = 100) -> list[Image]:
        """Images with a location in the store, in whatever status, in the order of their ids by code points, behind the
        id ``after``, which need not exist."""
