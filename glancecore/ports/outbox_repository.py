"""What a database driver implements for the outbox: events that wait to be delivered to somebody outside.

They are written by ``ImageRepository.commit`` or ``MetadefRepository.commit`` together with the change they tell of, so
that a process which dies loses none, and none tells of a change that was not made. Each is for one destination, and is
removed when that has taken it. One round trip a call. The kit ``glancecore.testing.outbox_repository`` checks each
rule."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from glancecore.domain.context import Initiator
from glancecore.ports.repeating import reads


@dataclass(frozen=True, slots=True)
class OutboxEvent:
    """An event for one ``destination``. ``id`` stays the same however often it is delivered, and is the same for all
    destinations. Events of one ``subject`` (an image, a namespace) reach a destination in the order of their commits.
    ``data`` is JSON; ``initiator`` who made it happen, None for the service itself; ``traceparent`` the trace that it
    happened in (W3C Trace Context), None: in none."""

    id: str
    destination: str
    subject: str
    type: str
    at: datetime
    data: Mapping[str, object]
    initiator: Initiator | None = None
    traceparent: str | None = None


# -- changes ---------------------------------------------------------------------------------------
@dataclass(frozen=True, slots=True)
class EventsRecorded:
    """The events are in the outbox, due at once, behind those that are there already."""

    events: tuple[OutboxEvent, ...]


# -- answers ---------------------------------------------------------------------------------------
@dataclass(frozen=True, slots=True)
class Delivery:
    """An event in the outbox. ``position`` is its place and its key; ``attempts`` counts the claims; ``error`` says why
    the last delivery failed; ``token`` is the claim's, None when nobody works on it."""

    position: int
    event: OutboxEvent
    attempts: int = 0
    error: str | None = None
    token: str | None = None


@dataclass(frozen=True, slots=True)
class DeliveryOutcome:
    """What became of the delivery at ``position`` under the claim ``token``: delivered, or to be tried again after
    ``delay`` seconds because of ``error`` (None: it was not tried)."""

    position: int
    token: str | None
    delivered: bool
    delay: float = 0.0
    error: str | None = None


@dataclass(frozen=True, slots=True)
class Backlog:
    """How much waits for a destination: ``count`` events, the ``oldest`` recorded at that time; ``failed`` of them have
    been tried in vain."""

    destination: str
    count: int
    oldest: datetime
    failed: int = 0


class OutboxRepository(ABC):
    """Thread-safe. Any method may raise DatabaseUnavailable."""

    @abstractmethod
    def claim(self, destination: str, limit: int, ttl: float) -> list[Delivery]:
        """Take at most ``limit`` deliveries that are due, the first positions first; for ``ttl`` seconds by the
        database's clock they are nobody else's, after that they are due again.

        Of each subject only the deliveries up to the first one that is not due: what comes behind one that somebody
        else works on, or that waits for its next attempt, waits too. Other subjects don't. Two claims at once share no
        delivery. Costs no write when nothing is due."""

    @abstractmethod
    def settle(self, outcomes: Sequence[DeliveryOutcome]) -> None:
        """Remove what was delivered; let the rest be claimed again after its delay, with its error (None: the one
        before stays). A delivery whose claim is not the stored one any more is left alone."""

    @reads
    @abstractmethod
    def waiting(self) -> list[Backlog]:
        """Of each destination for which something waits, by name."""

    @reads
    @abstractmethod
    def find(self, destination: str | None = None, limit: int = 100, behind: int = 0) -> list[Delivery]:
        """At most ``limit`` deliveries, the first positions first, from behind position ``behind``."""

    @abstractmethod
    def retry(self, destination: str | None = None) -> int:
        """Make due what waits for its next attempt; not what somebody works on. How many."""

    @abstractmethod
    def forget(self, before: datetime, destination: str | None = None, limit: int = 1000) -> list[Delivery]:
        """Remove at most ``limit`` deliveries recorded before that time, the first positions first, also claimed ones.
        Which."""
