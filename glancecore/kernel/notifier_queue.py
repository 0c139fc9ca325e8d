"""A bounded queue of events and the one thread that hands them to a notifier, so that no request waits for a
receiver."""

from __future__ import annotations

import atexit
import json
import logging
import os
import queue
import threading

from glancecore.domain import metadata
from glancecore.domain.event_payload import payload
from glancecore.domain.events import ImageEvent, ImageSent
from glancecore.kernel import metrics
from glancecore.ports.notifier import Notification, Notifier

LOG = logging.getLogger(__name__)
#: Each with its bytes.
Pending = queue.Queue[tuple[Notification, int] | None]
#: Most bytes of events that wait for one notifier, but for those of the last one.
MOST_BYTES = 64 << 20


class NotifierQueue:
    """Events leave in the order in which they came; what becomes of each is counted.

    The thread starts with the first event, so that a process which forks before it serves has none. ``size``: events
    that wait at most, if they have no more than ``MOST_BYTES``; ``drain_seconds``: how long the end of the process
    waits for them."""

    def __init__(self, name: str, notifier: Notifier, size: int, drain_seconds: float) -> None:
        self.name = name
        self._notifier = notifier
        self._size = size
        self._drain_seconds = drain_seconds
        self._guard = threading.Lock()
        self._waiting: Pending = queue.Queue()
        self._thread: threading.Thread | None = None
        self._pid = 0
        self._closed = False
        self._full = False
        #: Bytes of all events so far. Each is written by one side only.
        self._came = self._left = 0

    def put(self, notification: Notification) -> None:
        """Never waits. When the queue is full or closed the event is lost; logged when that begins."""
        name, weight = notification.event.type.value, _weight(notification)
        with self._guard:
            if self._closed:
                LOG.error("notifier %s: %s came after the end and is lost", self.name, name)
                self._count("lost")
                return
            self._start()
            was_full, self._full = (
                self._full,
                self._waiting.qsize() >= self._size or self._came - self._left >= MOST_BYTES,
            )
            if self._full:
                self._count("lost")
                if not was_full:
                    LOG.error(
                        "notifier %s: %d events wait: from this %s on they are lost until it takes some",
                        self.name,
                        self._waiting.qsize(),
                        name,
                    )
                return
            self._came += weight
            self._waiting.put((notification, weight))
            self._tell_length()

    def close(self) -> None:
        """Send what waits, within ``drain_seconds``; the rest is lost, logged and counted. Called at the end of the
        process."""
        with self._guard:
            if self._closed or self._pid not in (0, os.getpid()):
                return
            self._closed = True
            thread = self._thread
            self._waiting.put(None)
        if thread is None:
            self._end()
            return
        thread.join(self._drain_seconds)
        lost = self._waiting.qsize()  # the end mark among them stands for the one under way
        if lost and thread.is_alive():
            self._count("lost", lost)
            LOG.error(
                "notifier %s: %d events were not sent within %g seconds and are lost",
                self.name,
                lost,
                self._drain_seconds,
            )

    def _start(self) -> None:
        if self._thread is not None and self._pid == os.getpid():
            return
        self._waiting = queue.Queue()
        self._came = self._left = 0
        self._pid = os.getpid()
        self._thread = threading.Thread(
            target=self._run, args=(self._waiting,), name=f"notify-{self.name}", daemon=True
        )
        self._thread.start()
        atexit.register(self.close)

    def _run(self, waiting: Pending) -> None:
        while (found := waiting.get()) is not None:
            notification, weight = found
            try:
                self._notifier.notify(notification)
            except (Exception, SystemExit):  # whatever a plugin raises: the thread must live
                LOG.exception("notifier %s failed on %s", self.name, notification.event.type.value)
                self._count("failed")
            else:
                self._count("sent")
            self._left += weight
            self._tell_length()
        self._end()

    def _end(self) -> None:
        try:
            self._notifier.close()
        except Exception:  # whatever a plugin raises
            LOG.exception("notifier %s could not be closed", self.name)

    def _count(self, outcome: str, number: int = 1) -> None:
        metrics.NOTIFIER_EVENTS.labels(self.name, outcome).inc(number)

    def _tell_length(self) -> None:
        metrics.NOTIFIER_WAITING.labels(self.name).set(self._waiting.qsize())


def _weight(notification: Notification) -> int:
    """About the bytes that it holds."""
    event = notification.event
    if isinstance(event, (ImageEvent, ImageSent)):
        return metadata.size(event.image)
    return len(json.dumps(payload(event, notification.at), default=str))
