"""Threads that do an extension's long work, and end with the process."""

from __future__ import annotations

import logging
import queue
import threading
from collections.abc import Callable

from glancecore.domain.errors import ServerBusy
from glancecore.sdk import log_lines

LOG = logging.getLogger(__name__)
#: Seconds that ``stop`` waits for what runs and waits to notice.
STOP_TIMEOUT = 5.0


class Workers:
    """At most ``threads`` pieces of work run at once, and ``waiting`` more wait; a ``Background`` of the process. Work must notice ``stopping`` at its
    beginning and at least once a second. The threads are daemons: no pool of the standard library, whose threads are waited for before anybody is told
    that the process ends."""

    def __init__(self, name: str, threads: int, waiting: int = 100) -> None:
        self.stopping = threading.Event()
        self._name = name
        self._most = threads
        self._waiting = waiting
        #: None: the end.
        self._queue: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._threads: list[threading.Thread] = []
        self._lock = threading.Lock()

    def start(self) -> None:
        """The threads begin with the first work."""

    def stop(self) -> None:
        with self._lock:
            self.stopping.set()
            self._queue.put(None)
        for thread in self._threads:
            thread.join(STOP_TIMEOUT / max(1, len(self._threads)))

    def submit(self, work: Callable[[], None]) -> None:
        """Raises ServerBusy when too much waits, or the process ends."""
        with self._lock:
            if self.stopping.is_set():
                raise ServerBusy("this process ends; try again")
            if self._queue.qsize() >= self._waiting:
                raise ServerBusy("too much waits already; try again later")
            self._queue.put(log_lines.carried(work))
            if len(self._threads) < self._most:
                thread = threading.Thread(target=self._loop, name=f"{self._name}-{len(self._threads)}", daemon=True)
                self._threads.append(thread)
                thread.start()

    def _loop(self) -> None:
        while (work := self._queue.get()) is not None:
            try:
                work()
            except Exception:
                LOG.exception("work of %s failed", self._name)
        self._queue.put(None)  # for the other threads
