"""Threads that do an extension's long work, and end with the process."""

from __future__ import annotations

import logging
import threading
from collections import Counter, OrderedDict, deque
from collections.abc import Callable

from glancecore.domain.errors import ServerBusy
from glancecore.sdk import log_lines

LOG = logging.getLogger(__name__)
#: Seconds that ``stop`` waits for what runs and waits to notice.
STOP_TIMEOUT = 5.0


class Workers:
    """At most ``threads`` pieces of work run at once, and ``waiting`` more wait; a ``Background`` of the process. Work
    must notice ``stopping`` at its beginning and at least once a second. The threads are daemons: no pool of the
    standard library, whose threads are waited for before anybody is told that the process ends.

    Work for one project waits behind its own: threads take from those that wait in turn, and one project's takes at
    most half of the room. ``share``: threads that one project's work has at most; None: all."""

    def __init__(self, name: str, threads: int, waiting: int = 100, share: int | None = None) -> None:
        self.stopping = threading.Event()
        self._name = name
        self._most = threads
        self._waiting = waiting
        self._share = share or threads
        self._running: Counter[str | None] = Counter()
        #: What waits, by project; the one whose turn it is first.
        self._queues: OrderedDict[str | None, deque[Callable[[], None]]] = OrderedDict()
        self._threads: list[threading.Thread] = []
        self._changed = threading.Condition()

    def start(self) -> None:
        """The threads begin with the first work."""

    def stop(self) -> None:
        with self._changed:
            self.stopping.set()
            self._changed.notify_all()
        for thread in self._threads:
            thread.join(STOP_TIMEOUT / max(1, len(self._threads)))

    def submit(self, work: Callable[[], None], project: str | None = None) -> Callable[[], None]:
        """``project``: for whom; None: for nobody, or it is not known. What is returned takes the work back if it still
        waits.

        Raises ServerBusy when too much waits, or the process ends."""
        with self._changed:
            if self.stopping.is_set():
                raise ServerBusy("this process ends; try again")
            if sum(map(len, self._queues.values())) >= self._waiting:
                raise ServerBusy("too much waits already; try again later")
            queue = self._queues.setdefault(project, deque())
            if project is not None and len(queue) >= max(1, self._waiting // 2):
                raise ServerBusy("too much of your project waits already; try again later")
            work = log_lines.carried(work)
            queue.append(work)
            if len(self._threads) < self._most:
                thread = threading.Thread(target=self._loop, name=f"{self._name}-{len(self._threads)}", daemon=True)
                self._threads.append(thread)
                thread.start()
            self._changed.notify()
        return lambda: self._take_back(work, project)

    def _take_back(self, work: Callable[[], None], project: str | None) -> None:
        with self._changed:
            queue = self._queues.get(project, deque())
            if work in queue:
                queue.remove(work)
                if not queue:
                    del self._queues[project]

    def _loop(self) -> None:
        while (found := self._next()) is not None:
            project, work = found
            try:
                work()
            except Exception:
                LOG.exception("work of %s failed", self._name)
            finally:
                self._ended(project)

    def _ended(self, project: str | None) -> None:
        with self._changed:
            self._running[project] -= 1
            self._running = +self._running
            self._changed.notify_all()

    def _may_begin(self, project: str | None) -> bool:
        return project is None or self._running[project] < self._share or self.stopping.is_set()

    def _next(self) -> tuple[str | None, Callable[[], None]] | None:
        """None: the end; what waits then is begun all the same, so that it notices."""
        with self._changed:
            self._changed.wait_for(lambda: any(map(self._may_begin, self._queues)) or self.stopping.is_set())
            if not self._queues:
                return None
            project = next(filter(self._may_begin, self._queues))
            queue = self._queues.pop(project)
            work = queue.popleft()
            if queue:
                self._queues[project] = queue
            self._running[project] += 1
            return project, work
