"""Imports that wait for a worker: each project in its turn, and none with all workers."""

from __future__ import annotations

import threading
from collections import Counter, OrderedDict, deque
from typing import Generic, TypeVar

T = TypeVar("T")


class FairQueue(Generic[T]):
    """Thread-safe. ``share``: how many of one project may run at once."""

    def __init__(self, share: int) -> None:
        self._share = share
        self._changed = threading.Condition()
        #: The project that has waited longest for a turn is first.
        self._waiting: OrderedDict[str, deque[T]] = OrderedDict()
        self._running: Counter[str] = Counter()
        self._closed = False

    def put(self, project: str, item: T) -> None:
        with self._changed:
            self._waiting.setdefault(project, deque()).append(item)
            self._changed.notify()

    def get(self) -> tuple[str, T] | None:
        """The next one, with its project, which has a worker until ``done``; None when the queue is closed and
        empty."""
        with self._changed:
            while True:
                for project, items in self._waiting.items():
                    if self._closed or self._running[project] < self._share:
                        item = items.popleft()
                        del self._waiting[project]
                        if items:
                            self._waiting[project] = items  # its next turn is behind the others'
                        self._running[project] += 1
                        return project, item
                if self._closed:
                    return None
                self._changed.wait()

    def done(self, project: str) -> None:
        with self._changed:
            self._running[project] -= 1
            if not self._running[project]:
                del self._running[project]
            self._changed.notify_all()

    def takes(self, project: str) -> bool:
        """Give it a worker outside of the queue, when its share has room; ``done`` gives it back."""
        with self._changed:
            if self._running[project] >= self._share:
                return False
            self._running[project] += 1
            return True

    def close(self) -> None:
        """What waits is given out at once, whatever the shares; then ``get`` returns None."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
