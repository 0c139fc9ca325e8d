"""What a notifier plugin implements: tell others what happened.

A ``Notifier`` is told after the commit: what it has not passed on when the process dies is lost. The events of a
``DurableNotifier`` are written to the outbox in the commit itself, and delivered from there until they have arrived.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import ClassVar

from oslo_config import cfg

from glancecore.domain.context import Initiator
from glancecore.domain.events import Event
from glancecore.ports.options import Options, Section
from glancecore.ports.outbox_repository import OutboxEvent
from glancecore.ports.plugin import Plugin

#: Registered in the section of every notifier that has a queue, beside its own options.
PER_NOTIFIER: list[cfg.Opt] = [
    cfg.IntOpt(
        "queue_size",
        default=1000,
        min=1,
        help=(
            "Most events of one process that wait while the notifier is slow or its receiver away; more are lost,"
            " logged and counted."
        ),
    ),
    cfg.FloatOpt(
        "drain_seconds",
        default=5.0,
        min=0,
        help=(
            "Seconds that a process which ends waits for its events to be sent. Keep it below [server]"
            " graceful_timeout."
        ),
    ),
]


@dataclass(frozen=True, slots=True)
class Notification:
    """What a notifier is told: what happened, when (aware UTC), and who did it; None: the service itself, such as a
    periodic job."""

    event: Event
    at: datetime
    initiator: Initiator | None = None


class Notifier(Plugin, ABC):
    """Receives each event after the commit that made it true."""

    options: Options = ()
    #: Waits for nothing outside of the process: ``notify`` is called in the thread of the request, by several at once.
    immediate: ClassVar[bool] = False

    def __init__(self, conf: Section, config: cfg.ConfigOpts) -> None:
        """``conf`` is the plugin's own section; ``config`` the whole, for oslo libraries with sections of their own."""
        self.conf = conf
        self.config = config

    @abstractmethod
    def notify(self, notification: Notification) -> None:
        """Send it. Called in a thread of the notifier's own, in the order of the events, one at a time: the others wait
        in a queue of ``queue_size``.

        What it raises is logged, counted and goes no further: the user's operation has happened.
        """

    def close(self) -> None:
        """Give back connections: the last call, in the same thread."""


class NotDelivered(Exception):
    """The event did not arrive, and is to be tried again. The text is for the operator.

    ``unreachable``: nothing else would arrive there now either. ``retry_after``: seconds that the receiver asked for.
    """

    def __init__(self, message: str, *, unreachable: bool = False, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.unreachable = unreachable
        self.retry_after = retry_after


class Destination(ABC):
    """One receiver of a durable notifier. One thread of a process uses it at a time; other processes have their own.

    ``name`` is what its events wait under, also after a restart: at most 128 characters, the same in every process.
    ``timeout``: seconds that ``deliver`` takes at most.
    """

    name: str
    timeout: float

    @abstractmethod
    def wants(self, event_type: str) -> bool:
        """Asked before the commit: an event that it does not want is not written for it."""

    @abstractmethod
    def deliver(self, event: OutboxEvent) -> None:
        """Bring it there; it has arrived when this returns. Raises NotDelivered.

        The same event may come again (its id is the same): after a crash, or when the receiver's answer was lost. Of
        one subject the next event comes when this one has arrived."""

    def close(self) -> None:
        """The process ends, or nothing has been sent for a while."""


class DurableNotifier(Notifier):
    """A notifier whose events go through the outbox. ``destinations`` is asked once, at the start of each process."""

    @abstractmethod
    def destinations(self) -> Sequence[Destination]:
        """Where to. Raises ConfigError naming option and fix."""

    def notify(self, notification: Notification) -> None:
        """Not called: see ``destinations``."""
