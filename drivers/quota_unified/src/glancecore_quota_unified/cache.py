"""Limits remembered for a few seconds, and for longer while their source is away."""

from __future__ import annotations

import logging
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

from glancecore.domain.errors import QuotaUnavailable
from glancecore.domain.quota import Limits

LOG = logging.getLogger(__name__)

#: Projects that are remembered; the one that was asked for the longest ago goes first.
MOST = 10_000


@dataclass(slots=True)
class _Entry:
    limits: Limits
    #: Until then they are taken as they are.
    fresh_until: float


class Cache:
    """``ask`` may be slow and raises QuotaUnavailable when the source is away: then what is remembered counts, however
    old.

    One caller at a time asks; others meanwhile take what is remembered, or wait when it is nothing. After a failure the
    source is left alone for as long as an answer would have been fresh."""

    def __init__(
        self, ask: Callable[[str | None], Limits], seconds: float, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._ask = ask
        self._seconds = seconds
        self._clock = clock
        self._entries: OrderedDict[str | None, _Entry] = OrderedDict()
        self._guard = threading.Lock()
        self._asking = threading.Lock()
        self._away_until, self._away_why = 0.0, ""

    def get(self, project: str | None) -> Limits:
        """Raises QuotaUnavailable when there is nothing to fall back on."""
        entry = self._remembered(project)
        if entry is not None and self._clock() < entry.fresh_until:
            return entry.limits
        if entry is None:
            self._asking.acquire()
        elif not self._asking.acquire(blocking=False):
            return entry.limits
        try:
            again = self._remembered(project)  # somebody else may have asked while this one waited
            if again is not None and self._clock() < again.fresh_until:
                return again.limits
            return self._refresh(project, again)
        finally:
            self._asking.release()

    def _refresh(self, project: str | None, old: _Entry | None) -> Limits:
        try:
            if self._clock() < self._away_until:
                raise QuotaUnavailable(self._away_why)
            limits = self._asked(project)
        except QuotaUnavailable as exc:
            if old is None:
                raise
            LOG.warning("the limits of project %s are those from before: %s", project, exc)
            old.fresh_until = self._clock() + self._seconds
            return old.limits
        with self._guard:
            self._entries[project] = _Entry(limits, self._clock() + self._seconds)
            self._entries.move_to_end(project)
            while len(self._entries) > MOST:
                self._entries.popitem(last=False)
        return limits

    def _asked(self, project: str | None) -> Limits:
        try:
            return self._ask(project)
        except QuotaUnavailable as exc:
            self._away_until, self._away_why = self._clock() + self._seconds, str(exc)
            raise

    def _remembered(self, project: str | None) -> _Entry | None:
        with self._guard:
            return self._entries.get(project)
