"""Questions to servers that may be slow, or hostile, within a request: each for a bounded time, and few of them at
once."""

from __future__ import annotations

import contextvars
import threading
import time
from collections import Counter
from collections.abc import Callable
from typing import Generic, TypeVar

from glancecore.domain import errors
from glancecore.sdk import log_lines
from glancecore.sdk.deadline import CUTTER, DEADLINE, Cutter

Answer = TypeVar("Answer")
#: Called between two questions and between two pieces of data. Raises StoreUnavailable when nobody waits for the answer
#: any more.
Check = Callable[[], None]
#: Seconds for others to end: most servers answer in less.
_MOMENT = 1.0


class Lookups:
    """``seconds``: how long a request waits, for all that it asks. ``at_once``: requests of this process that may wait
    for servers of other people; half of them may be one project's; one above that waits for a moment and is refused.
    Thread-safe."""

    def __init__(self, seconds: float, at_once: int) -> None:
        self._seconds = seconds
        self._at_once = at_once
        self._asking: Counter[str | None] = Counter()
        self._changed = threading.Condition()

    def run(self, call: Callable[[Check], Answer], project: str | None, *, outside: bool) -> Answer:
        """What ``call`` returns or raises. It has a thread of its own. When the request has stopped waiting, its
        connections to web servers are cut, so that it ends; its place is taken until it has. ``outside``: it may ask
        servers that are not the operator's.

        Raises BadLocation when the time is over, ServerBusy when too many wait already."""
        if outside:
            self._enter(project)
        asked = _Asked(
            call, time.monotonic() + self._seconds, (lambda: self._leave(project)) if outside else lambda: None
        )
        try:
            threading.Thread(
                target=contextvars.copy_context().run, args=(log_lines.carried(asked.run),), name="lookup", daemon=True
            ).start()
        except BaseException:
            asked.ended()
            raise
        if not asked.done.wait(self._seconds):
            asked.cutter.cut()
            raise errors.BadLocation(f"the server of the data did not answer within {self._seconds:g} seconds")
        return asked.answer()

    def _enter(self, project: str | None) -> None:
        with self._changed:
            if not self._changed.wait_for(lambda: self._room(project), _MOMENT):
                raise errors.ServerBusy(
                    "other requests are waiting for servers of their data at this moment; try again soon"
                )
            self._asking[project] += 1

    def _room(self, project: str | None) -> bool:
        return self._asking.total() < self._at_once and self._asking[project] < max(1, self._at_once // 2)

    def _leave(self, project: str | None) -> None:
        with self._changed:
            self._asking[project] -= 1
            self._asking = +self._asking
            self._changed.notify_all()


class _Asked(Generic[Answer]):
    def __init__(self, call: Callable[[Check], Answer], end: float, ended: Callable[[], None]) -> None:
        self.done = threading.Event()
        self.ended = ended
        self.cutter = Cutter()
        self._call = call
        self._end = end
        self._answers: list[Answer] = []
        self._failure: BaseException | None = None

    def run(self) -> None:
        DEADLINE.set(self._end)
        CUTTER.set(self.cutter)
        try:
            self._answers.append(self._call(self._check))
        except BaseException as exc:  # noqa: BLE001 (raised again by ``answer``)
            self._failure = exc
        finally:
            self.ended()
            self.done.set()

    def answer(self) -> Answer:
        if self._failure is not None:
            raise self._failure
        return self._answers[0]

    def _check(self) -> None:
        if time.monotonic() >= self._end:
            raise errors.StoreUnavailable("the server of the data did not answer in time")
