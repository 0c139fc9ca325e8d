"""Hands events to the notifiers after the commit that made them true, and to the outbox within it."""

from __future__ import annotations

import logging
import uuid
from collections.abc import Callable, Collection, Iterator, Sequence
from datetime import UTC, datetime

from glancecore.domain.errors import GlanceError
from glancecore.domain.event_payload import payload, subject
from glancecore.domain.events import Event
from glancecore.ports.notifier import Destination, Notifier
from glancecore.ports.outbox_repository import EventsRecorded, OutboxEvent
from glancecore.ports.repository import ImageRepository
from glancecore.services.checkpoints import reach

LOG = logging.getLogger(__name__)


class Telling:
    """What is to be told of a change: ``changes`` belong into its commit, ``send`` is called when that has succeeded."""

    __slots__ = ("_send", "changes", "events")

    def __init__(self, events: Sequence[Event], changes: tuple[EventsRecorded, ...], send: Callable[[Telling], None]) -> None:
        self.events = events
        self.changes = changes
        self._send = send

    def send(self) -> None:
        self._send(self)


class Notifications:
    """All configured notifiers. A failing one is logged: the user's operation has happened.

    ``destinations`` are those of durable notifiers; without any, no commit has more to write. ``repository`` takes what is
    told of something that is no change.
    """

    def __init__(self, notifiers: Sequence[Notifier], disabled: Collection[str] = (), destinations: Sequence[Destination] = (),
                 repository: ImageRepository | None = None) -> None:
        self._notifiers = notifiers
        self._disabled = frozenset(disabled)
        self._destinations = destinations
        self._repository = repository
        #: Called when something new is in the outbox.
        self.recorded: Callable[[], None] = lambda: None

    def about(self, *events: Event) -> Telling:
        """To be called before the commit; the events are as they will be true after it."""
        wanted = [x for x in events if not self._off(x.type.value)]
        changes: tuple[EventsRecorded, ...] = ()
        if self._destinations:
            now = datetime.now(UTC)
            recorded = tuple(x for event in wanted for x in self._outgoing(event, now))
            changes = (EventsRecorded(recorded),) if recorded else ()
        return Telling(wanted, changes, self._tell)

    def send(self, *events: Event) -> None:
        """Tell of something that is no change: it needs no commit of its own."""
        telling = self.about(*events)
        if telling.changes and self._repository is not None:
            try:
                self._repository.commit(*telling.changes)
            except GlanceError as exc:
                LOG.error("%s is not told: %s", ", ".join(x.type.value for x in telling.events), exc)
        telling.send()

    def _outgoing(self, event: Event, now: datetime) -> Iterator[OutboxEvent]:
        names = [x.name for x in self._destinations if x.wants(event.type.value)]
        if names:
            id_, about, data = str(uuid.uuid4()), subject(event), payload(event, now)
            for name in names:
                yield OutboxEvent(id_, name, about, event.type.value, now, data)

    def _tell(self, telling: Telling) -> None:
        if telling.changes:
            reach("events.recorded")
            self.recorded()
        for event in telling.events:
            for notifier in self._notifiers:
                try:
                    notifier.notify(event)
                except Exception:  # whatever a plugin raises
                    LOG.exception("notifier %s failed on %s", type(notifier).__name__, event.type.value)

    def _off(self, name: str) -> bool:
        """``image`` switches off image.create and all others that begin so."""
        parts = name.split(".")
        return any(".".join(parts[:n]) in self._disabled for n in range(1, len(parts) + 1))
