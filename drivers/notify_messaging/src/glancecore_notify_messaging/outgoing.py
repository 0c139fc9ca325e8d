"""A bounded line of messages and the one thread that sends them, so that no request waits for a receiver."""

from __future__ import annotations

import atexit
import logging
import os
import queue
import threading
from collections.abc import Callable
from dataclasses import dataclass

from prometheus_client import Counter, Gauge

LOG = logging.getLogger(__name__)

EVENTS = Counter("glance_notify_messaging_events_total",
                 "Events by what became of them: sent, failed (the message bus did not take it), lost (too many waited).", ["outcome"])
WAITING = Gauge("glance_notify_messaging_waiting", "Events that wait to be sent.", multiprocess_mode="livesum")


@dataclass(frozen=True, slots=True)
class Message:
    event_type: str
    payload: dict[str, object]


class Outgoing:
    """Messages leave in the order in which they came; what becomes of each is counted.

    ``send`` takes one, for as long as it likes, must not raise, and says whether it left; ``end`` is called after the last
    one. Both run in the thread. It starts with the first message, so that a process which forks before it serves has none.
    """

    def __init__(self, send: Callable[[Message], bool], end: Callable[[], None], size: int, drain_seconds: float) -> None:
        self._send = send
        self._end = end
        self._size = size
        self._drain_seconds = drain_seconds
        self._guard = threading.Lock()
        self._line: queue.Queue[Message | None] = queue.Queue()
        self._thread: threading.Thread | None = None
        self._pid = 0
        self._closed = False
        self._full = False

    def put(self, message: Message) -> None:
        """Never waits. When the line is full or closed the message is lost; logged when that begins."""
        with self._guard:
            if self._closed:
                LOG.error("%s came after the end and is lost", message.event_type)
                EVENTS.labels("lost").inc()
                return
            self._start()
            was_full, self._full = self._full, self._line.qsize() >= self._size
            if self._full:
                EVENTS.labels("lost").inc()
                if not was_full:
                    LOG.error("%d events wait for the message bus: from this %s on they are lost until it takes some", self._size,
                              message.event_type)
                return
            self._line.put(message)
            WAITING.set(self._line.qsize())

    def close(self) -> None:
        """Send what waits, within ``drain_seconds``; the rest is lost, logged and counted. Called at the end of the process."""
        with self._guard:
            if self._closed or self._thread is None or self._pid != os.getpid():
                return
            self._closed = True
            self._line.put(None)
        self._thread.join(self._drain_seconds)
        lost = self._line.qsize()  # the end mark among them stands for the one under way
        if lost and self._thread.is_alive():
            EVENTS.labels("lost").inc(lost)
            LOG.error("%d events were not sent within %g seconds and are lost", lost, self._drain_seconds)

    def _start(self) -> None:
        if self._thread is not None and self._pid == os.getpid():
            return
        self._line = queue.Queue()
        self._pid = os.getpid()
        self._thread = threading.Thread(target=self._run, args=(self._line,), name="notify-messaging", daemon=True)
        self._thread.start()
        atexit.register(self.close)

    def _run(self, line: queue.Queue[Message | None]) -> None:
        while (message := line.get()) is not None:
            EVENTS.labels("sent" if self._send(message) else "failed").inc()
            WAITING.set(line.qsize())
        self._end()
