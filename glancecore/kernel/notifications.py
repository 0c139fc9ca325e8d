"""Hands events to the notifiers after the commit that made them true, and to the outbox within it."""

from __future__ import annotations

import logging
import uuid
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextvars import ContextVar
from datetime import UTC, datetime

from glancecore.domain.context import Initiator
from glancecore.domain.errors import GlanceError
from glancecore.domain.event_payload import payload, subject
from glancecore.domain.events import Event
from glancecore.kernel.notifier_queue import NotifierQueue
from glancecore.kernel.subscriptions import Subscriptions
from glancecore.ports.notifier import Destination, Notification, Notifier
from glancecore.ports.outbox_repository import EventsRecorded, OutboxEvent
from glancecore.ports.repository import ImageRepository
from glancecore.sdk import tracing
from glancecore.sdk.checkpoints import checkpoint

LOG = logging.getLogger(__name__)
#: For whom this thread works at the moment.
INITIATOR: ContextVar[Initiator | None] = ContextVar("initiator", default=None)


class PendingEvents:
    """What is to be told of a change: ``changes`` belong into its commit, ``send`` is called when that has succeeded.
    ``notifications``: those of ``happened`` that the operator has not switched off."""

    __slots__ = ("_send", "changes", "happened", "notifications")

    def __init__(
        self,
        happened: Sequence[Notification],
        notifications: Sequence[Notification],
        changes: tuple[EventsRecorded, ...],
        send: Callable[[PendingEvents], None],
    ) -> None:
        self.happened = happened
        self.notifications = notifications
        self.changes = changes
        self._send = send

    def send(self) -> None:
        self._send(self)


class Notifications:
    """All configured notifiers. A failing one is logged: the user's operation has happened.

    ``immediate`` are told at once, by name; the others have ``queues``. ``destinations`` are those of durable
    notifiers; without any, no commit has more to write. ``repository`` takes what is told of something that is no
    change."""

    def __init__(
        self,
        immediate: Mapping[str, Notifier],
        queues: Sequence[NotifierQueue] = (),
        disabled: Collection[str] = (),
        destinations: Sequence[Destination] = (),
        repository: ImageRepository | None = None,
        on: Subscriptions | None = None,
    ) -> None:
        self._immediate = immediate
        self._queues = queues
        self._disabled = frozenset(disabled)
        self._destinations = destinations
        self._repository = repository
        self._on = on or Subscriptions()
        #: Called when something new is in the outbox.
        self.recorded: Callable[[], None] = lambda: None

    def go_to(
        self,
        immediate: Mapping[str, Notifier],
        queues: Sequence[NotifierQueue],
        destinations: Sequence[Destination],
        recorded: Callable[[], None],
    ) -> None:
        """What was given when this was made, in the place of that; ``recorded`` is called when something new is in the
        outbox. Before the first event."""
        self._immediate, self._queues, self._destinations, self.recorded = immediate, queues, destinations, recorded

    def prepare(self, *events: Event, initiator: Initiator | None = None) -> PendingEvents:
        """To be called before the commit; the events are as they will be true after it. ``initiator``: when it is
        another one than this thread's."""
        now, initiator = datetime.now(UTC), initiator or INITIATOR.get()
        made = [Notification(x, now, initiator) for x in events]
        wanted = [x for x in made if not self._off(x.event.type.value)]
        changes: tuple[EventsRecorded, ...] = ()
        if self._destinations:
            recorded = tuple(x for notification in wanted for x in self._outgoing(notification))
            changes = (EventsRecorded(recorded),) if recorded else ()
        return PendingEvents(made, wanted, changes, self._tell)

    def send(self, *events: Event, initiator: Initiator | None = None) -> None:
        """Tell of something that is no change: it needs no commit of its own."""
        pending = self.prepare(*events, initiator=initiator)
        if pending.changes and self._repository is not None:
            try:
                self._repository.commit(*pending.changes)
            except GlanceError as exc:
                LOG.error(
                    "events are not told (%s): %s", ", ".join(x.event.type.value for x in pending.notifications), exc
                )
        pending.send()

    def close(self) -> None:
        """At the end of the process: what waits is sent, as far as the operator lets it take time."""
        for line in self._queues:
            line.close()

    def _outgoing(self, notification: Notification) -> Iterator[OutboxEvent]:
        event = notification.event
        names = [x.name for x in self._destinations if x.wants(event.type.value)]
        if names:
            id_, about, data = str(uuid.uuid4()), subject(event), payload(event, notification.at)
            for name in names:
                yield OutboxEvent(
                    id_,
                    name,
                    about,
                    event.type.value,
                    notification.at,
                    data,
                    notification.initiator,
                    tracing.traceparent(),
                )

    def _tell(self, pending: PendingEvents) -> None:
        if pending.changes:
            checkpoint("events.recorded")
            self.recorded()
        for notification in pending.happened:
            self._on.tell(notification)
        for notification in pending.notifications:
            for name, notifier in self._immediate.items():
                try:
                    notifier.notify(notification)
                except Exception:  # whatever a plugin raises
                    LOG.exception("notifier %s failed on %s", name, notification.event.type.value)
            for line in self._queues:
                line.put(notification)

    def _off(self, name: str) -> bool:
        """``image`` switches off image.create and all others that begin so."""
        parts = name.split(".")
        return any(".".join(parts[:n]) in self._disabled for n in range(1, len(parts) + 1))
