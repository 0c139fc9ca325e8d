"""Delivers what waits in the outbox: a thread for each destination, and one that counts and drops what is too old.

Any number of processes may do it at once: each delivery is worked on by one of them. What a dead one has taken is due
again when its claim has expired, so that an event arrives at least once. Nobody waits for a receiver but its own
thread."""

from __future__ import annotations

import contextlib
import logging
import random
import threading
import time
from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import tenacity

from glancecore.domain import errors
from glancecore.kernel import metrics
from glancecore.kernel.outages import Outage
from glancecore.ports.notifier import Destination, NotDelivered
from glancecore.ports.outbox_repository import Delivery, DeliveryOutcome, OutboxRepository
from glancecore.sdk import tracing
from glancecore.sdk.checkpoints import checkpoint
from glancecore.sdk.tracing import SpanKind

LOG = logging.getLogger(__name__)
#: So many failures after one another, whatever each says, and the destination gets a pause.
MAX_FAILURES = 10
#: Seconds between two looks at what waits.
HOUSEKEEPING_INTERVAL = 10.0


@dataclass(frozen=True, slots=True)
class OutboxSettings:
    """The operator's choices; seconds. ``max_age`` 0: for ever."""

    interval: float = 1.0
    batch: int = 100
    claim: float = 60.0
    first_pause: float = 1.0
    longest_pause: float = 300.0
    max_age: float = 0.0


class Outbox:
    def __init__(
        self, repository: OutboxRepository, destinations: Sequence[Destination], settings: OutboxSettings
    ) -> None:
        self.workers = [DeliveryWorker(repository, x, settings) for x in destinations]
        self._repository = repository
        self._settings = settings
        self._stopping = threading.Event()
        self._threads: list[threading.Thread] = []
        self._told: set[str] = set()

    def start(self) -> None:
        """Nothing runs when there is no destination."""
        if self.workers:
            self._threads = [threading.Thread(target=x.run, name=f"outbox-{x.name}", daemon=True) for x in self.workers]
            self._threads.append(threading.Thread(target=self._care, name="outbox-care", daemon=True))
            for thread in self._threads:
                thread.start()

    def stop(self) -> None:
        """What is being sent is sent to its end; what was only taken is given back."""
        self._stopping.set()
        for worker in self.workers:
            worker.stop()
        for thread in self._threads:
            thread.join(max((x.patience for x in self.workers), default=0.0))

    def recorded(self) -> None:
        """This process has put something into the outbox."""
        for worker in self.workers:
            worker.wake()

    # -- inside ------------------------------------------------------------------------------------
    def _care(self) -> None:
        database = Outage(LOG, "the database, for the outbox,")
        while True:
            try:
                self.care()
                database.ended()
            except errors.DatabaseUnavailable as exc:
                database.began(str(exc))
            except Exception:
                LOG.exception("the outbox could not be counted")
            if self._stopping.wait(HOUSEKEEPING_INTERVAL):
                return

    def care(self) -> None:
        """Count what waits, and drop what is too old."""
        now = datetime.now(UTC)
        waiting = {x.destination: x for x in self._repository.waiting()}
        self._told |= set(waiting) | {x.name for x in self.workers}
        for name in self._told:
            found = waiting.get(name)
            metrics.OUTBOX_WAITING.labels(name).set(found.count if found else 0)
            metrics.OUTBOX_OLDEST.labels(name).set((now - found.oldest).total_seconds() if found else 0)
        if self._settings.max_age:
            before = now - timedelta(seconds=self._settings.max_age)
            if any(x.oldest < before for x in waiting.values()):
                self._drop(before)

    def _drop(self, before: datetime) -> None:
        while dropped := self._repository.forget(before):
            for delivery in dropped:
                event = delivery.event
                LOG.error(
                    "event %s %s of %s was not delivered to %s within %g seconds and is dropped; attempts: %d, the last"
                    " one: %s",
                    event.type,
                    event.id,
                    event.subject,
                    event.destination,
                    self._settings.max_age,
                    delivery.attempts,
                    delivery.error,
                )
                metrics.OUTBOX_DELIVERIES.labels(event.destination, "dropped").inc()


class DeliveryWorker:
    """Brings events to one destination, in order for each subject. ``run`` is a thread's; ``turn`` is one look.

    One that the receiver refuses waits longer each time, and with it only what is behind it. When the receiver can't be
    reached at all everything waits, and one event tries whether it is back.
    """

    def __init__(self, repository: OutboxRepository, destination: Destination, settings: OutboxSettings) -> None:
        self._repository = repository
        self._destination = destination
        self._settings = settings
        self._stopping = threading.Event()
        self._news = threading.Event()
        #: Failures after one another, and whether the destination needs a pause because of them.
        self._failures = 0
        self._down = False
        self._asked: float | None = None

    @property
    def name(self) -> str:
        return self._destination.name

    @property
    def patience(self) -> float:
        """Seconds until it has surely noticed that it is to stop."""
        return self._destination.timeout + 2

    def wake(self) -> None:
        self._news.set()

    def stop(self) -> None:
        self._stopping.set()
        self._news.set()

    def run(self) -> None:
        database = Outage(LOG, f"the database, for the outbox of {self.name},")
        while not self._stopping.is_set():
            try:
                pause = self.turn()
                database.ended()
            except errors.DatabaseUnavailable as exc:
                database.began(str(exc))
                pause = 5 * self._settings.interval
            except Exception:
                LOG.exception("delivering to %s broke off; it goes on", self.name)
                pause = 5 * self._settings.interval
            if self._down:
                self._stopping.wait(pause)
            elif self._news.wait(pause):
                self._news.clear()
        self._destination.close()

    def turn(self) -> float:
        """Deliver a batch; after how many seconds to look again."""
        deliveries = self._repository.claim(self.name, 1 if self._down else self._settings.batch, self._settings.claim)
        if not deliveries:
            return self._settings.interval
        checkpoint("outbox.claimed")
        outcomes = self._deliver(deliveries)
        checkpoint("outbox.sent")
        self._settle(outcomes)
        return self._rest() if self._down else 0.0

    def _deliver(self, deliveries: Sequence[Delivery]) -> list[DeliveryOutcome]:
        outcomes: list[DeliveryOutcome] = []
        held: set[str] = set()
        until = time.monotonic() + self._settings.claim - self._destination.timeout
        down, self._down = self._down, False
        for delivery in deliveries:
            if self._down or self._stopping.is_set() or delivery.event.subject in held or time.monotonic() > until:
                outcomes.append(DeliveryOutcome(delivery.position, delivery.token, delivered=False))
                continue
            outcome = self._try(delivery)
            outcomes.append(outcome)
            if not outcome.delivered:
                held.add(delivery.event.subject)
        if down and not self._down and self._failures == 0:
            LOG.info("%s takes events again", self.name)
        return outcomes

    def _try(self, delivery: Delivery) -> DeliveryOutcome:
        try:
            with self._traced(delivery):
                self._destination.deliver(delivery.event)
        except NotDelivered as exc:
            return self._failed(delivery, str(exc), exc)
        except Exception as exc:  # whatever a plugin raises: the event stays
            LOG.exception("delivering an event to %s failed", self.name)
            return self._failed(delivery, f"{type(exc).__name__} in the plugin; the log says more", None)
        self._failures = 0
        metrics.OUTBOX_DELIVERIES.labels(self.name, "sent").inc()
        return DeliveryOutcome(delivery.position, delivery.token, delivered=True)

    def _traced(self, delivery: Delivery) -> AbstractContextManager[object]:
        """In the trace that it happened in, if any."""
        event = delivery.event
        if not tracing.on() or event.traceparent is None:
            return contextlib.nullcontext()
        return tracing.span(
            f"deliver {event.type}",
            SpanKind.PRODUCER,
            {
                "messaging.message.id": event.id,
                "messaging.destination.name": self.name,
                "glance.delivery.attempt": delivery.attempts,
            },
            {"traceparent": event.traceparent},
        )

    def _failed(self, delivery: Delivery, why: str, cause: NotDelivered | None) -> DeliveryOutcome:
        event = delivery.event
        self._failures += 1
        self._asked = cause.retry_after if cause else None
        metrics.OUTBOX_DELIVERIES.labels(self.name, "failed").inc()
        self._down = self._failures >= MAX_FAILURES or (cause is not None and cause.unreachable)
        delay = (
            self._rest()
            if cause is not None and cause.unreachable
            else max(self._pause(delivery.attempts), self._asked or 0.0)
        )
        LOG.warning(
            "event %s %s of %s was not delivered to %s (attempt %d: %s); again in %.1f seconds",
            event.type,
            event.id,
            event.subject,
            self.name,
            delivery.attempts,
            why,
            delay,
        )
        return DeliveryOutcome(delivery.position, delivery.token, delivered=False, delay=delay, error=why)

    def _rest(self) -> float:
        """How long the destination is left alone."""
        return max(self._pause(self._failures), self._asked or 0.0)

    def _pause(self, failures: int) -> float:
        longest = min(self._settings.longest_pause, self._settings.first_pause * 2.0 ** min(max(failures, 1) - 1, 30))
        return longest * random.uniform(0.5, 1)  # noqa: S311 (so that not all come back at once)

    @tenacity.retry(
        retry=tenacity.retry_if_exception_type(errors.DatabaseUnavailable),
        stop=tenacity.stop_after_attempt(4),
        wait=tenacity.wait_random_exponential(0.2, max=2),
        reraise=True,
    )
    def _settle(self, outcomes: Sequence[DeliveryOutcome]) -> None:
        """What can't be settled is delivered once more, when the claim has expired."""
        self._repository.settle(outcomes)
