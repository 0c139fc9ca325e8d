"""The outbox in memory: a view on the state of the in-memory images, so that a commit changes both."""

from __future__ import annotations

import itertools
import time
import uuid
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING

from glancecore.ports import outbox_repository as port

if TYPE_CHECKING:
    from glancecore.testing.fakes import MemoryImages

#: By position: a delivery, and the moment from which on it is due, by the monotonic clock.
Kept = dict[int, tuple[port.Delivery, float]]
_positions = itertools.count(1)


def record(kept: Kept, change: port.EventsRecorded) -> None:
    for event in change.events:
        position = next(_positions)
        kept[position] = (port.Delivery(position, event), 0.0)


class MemoryOutbox(port.OutboxRepository):
    def __init__(self, images: MemoryImages) -> None:
        self._images = images

    @property
    def kept(self) -> Kept:
        return self._images.state.outbox

    def claim(self, destination: str, limit: int, ttl: float) -> list[port.Delivery]:
        now, token = time.monotonic(), uuid.uuid4().hex
        with self._images.lock:
            claimed = [
                replace(x, attempts=x.attempts + 1, token=token) for x in self.due(destination, now)[: max(limit, 0)]
            ]
            self.kept.update({x.position: (x, now + ttl) for x in claimed})
        return claimed

    def due(self, destination: str, now: float) -> list[port.Delivery]:
        """Of each subject those before the first that is not due."""
        held: set[str] = set()
        found = []
        for _, (delivery, due) in sorted(self.kept.items()):
            if delivery.event.destination != destination:
                continue
            if due > now:
                held.add(delivery.event.subject)
            elif delivery.event.subject not in held:
                found.append(delivery)
        return found

    def settle(self, outcomes: Sequence[port.DeliveryOutcome]) -> None:
        with self._images.lock:
            for outcome in outcomes:
                position = outcome.position
                stored = self.kept.get(position)
                if stored is None or stored[0].token != outcome.token:
                    continue
                if outcome.delivered:
                    del self.kept[position]
                else:
                    left = replace(
                        stored[0], error=stored[0].error if outcome.error is None else outcome.error, token=None
                    )
                    self.kept[position] = (left, time.monotonic() + outcome.delay)

    def waiting(self) -> list[port.Backlog]:
        with self._images.lock:
            by_name: defaultdict[str, list[port.Delivery]] = defaultdict(list)
            for delivery, _ in self.kept.values():
                by_name[delivery.event.destination].append(delivery)
        return [
            port.Backlog(name, len(found), min(x.event.at for x in found), sum(x.error is not None for x in found))
            for name, found in sorted(by_name.items())
        ]

    def find(self, destination: str | None = None, limit: int = 100, behind: int = 0) -> list[port.Delivery]:
        with self._images.lock:
            found = [
                x
                for position, (x, _) in sorted(self.kept.items())
                if position > behind and destination in (None, x.event.destination)
            ]
        return found[: max(limit, 0)]

    def retry(self, destination: str | None = None) -> int:
        now = time.monotonic()
        with self._images.lock:
            late = [
                x
                for x, due in self.kept.values()
                if due > now and x.token is None and destination in (None, x.event.destination)
            ]
            self.kept.update({x.position: (x, now) for x in late})
        return len(late)

    def forget(self, before: datetime, destination: str | None = None, limit: int = 1000) -> list[port.Delivery]:
        with self._images.lock:
            old = [x for x in self.find(destination, len(self.kept)) if x.event.at < before][: max(limit, 0)]
            for x in old:
                del self.kept[x.position]
        return old
