"""Taking a store out of service: no new data goes there, then what lies there goes elsewhere. An extension offers it;
it asks no policy, so the extension's route does."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol


class MoveOutcome(StrEnum):
    #: A copy was made elsewhere, and that in the store is gone.
    MOVED = "moved"
    #: There was a good copy elsewhere, and that in the store is gone.
    DROPPED = "dropped"
    FAILED = "failed"
    #: Somebody works on it.
    BUSY = "busy"


@dataclass(frozen=True, slots=True)
class MoveResult:
    """What became of one image, or in a dry run would. ``to``: the store with its copy; ``bytes`` that were copied;
    ``why`` it is still there."""

    image: str
    outcome: MoveOutcome
    to: str = ""
    bytes: int = 0
    why: str = ""


@dataclass(frozen=True, slots=True)
class Order:
    """``origin`` is emptied. ``to``: each image gets its copy there; None: images that have a good copy elsewhere keep
    that, the others get one where data goes for which no store is named. ``rate``: bytes that are read in a second, 0
    for as many as there are; ``patience``: seconds that images are waited for that somebody works on, after the
    others."""

    origin: str
    to: str | None = None
    rate: int = 0
    patience: float = 90.0


class StoreUpkeep(Protocol):
    """Thread-safe. Any method may raise DatabaseUnavailable, and NotFound for a store that [DEFAULT] enabled_backends
    does not name."""

    def drain(self, store: str) -> bool:
        """From now on it takes no new data, in any process within seconds; what is there can be read and deleted.
        False: it did not before either. Raises Conflict when data for which no store is named would have nowhere to
        go."""

    def undrain(self, store: str) -> bool:
        """It takes data again. False: it did before."""

    def held(self, store: str) -> int:
        """Images that have data there."""

    def evacuate(
        self, store: str, *, dry_run: bool, alive: Callable[[], None], stopping: threading.Event
    ) -> Iterator[MoveResult]:
        """Each image as its data has been moved to where data goes for which no store is named, or has been given up. A
        run that is cut off leaves nothing half, and another one goes on. ``dry_run``: what would be done. ``alive`` is
        called at least once a second, and raises JobStopped to end it; ``stopping`` ends its waits. Raises Conflict at
        once for a store that is not draining, unless it is a dry run. The iterator raises JobStopped, ConfigError."""
