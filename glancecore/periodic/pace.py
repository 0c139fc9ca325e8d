"""Reading slowly, on purpose: a job's reading must not be felt by those who wait for their own."""

from __future__ import annotations

import time

from glancecore.ports.periodic import JobContext


class JobPace:
    """Lets so many bytes a second pass; 0 for as many as there are."""

    def __init__(self, turn: JobContext, rate: int) -> None:
        self._turn = turn
        self._rate = rate
        self._began = time.monotonic()
        self._bytes = 0

    def passed(self, length: int) -> None:
        self._bytes += length
        self._turn.count("bytes", length)
        early = self._began + self._bytes / self._rate - time.monotonic() if self._rate else 0.0
        if early > 0.05:
            self._turn.pause(early)
        else:
            self._turn.check()
            if early < -5.0:  # it was slower than allowed: that is not caught up with
                self._began, self._bytes = time.monotonic(), 0
