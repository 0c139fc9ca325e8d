"""What is away for a time, and is asked again and again meanwhile: the log says when that began and ended, not how
often it was noticed."""

from __future__ import annotations

import logging
import threading
import time

#: Seconds between two lines about one outage.
REMINDER = 3600.0


class Outage:
    """One line when it begins, one each hour while it lasts, one when it ends; of each process. Thread-safe."""

    def __init__(self, log: logging.Logger, what: str, *, known: bool = False) -> None:
        """``what``: such as ``store fast``. ``known``: it is away already, and that was told."""
        self._log = log
        self._what = what
        self._lock = threading.Lock()
        self._told = time.monotonic() if known else None

    def began(self, why: str, *, unexpected: bool = False) -> None:
        """Or goes on. ``unexpected``: what is being handled is nobody's named error, so the line has its traceback."""
        with self._lock:
            first, due = self._told is None, self._told is None or time.monotonic() - self._told >= REMINDER
            if due:
                self._told = time.monotonic()
        if due and first:
            self._log.error("%s is not available: %s", self._what, why, exc_info=unexpected)
        elif due:
            self._log.error("%s is still not available: %s", self._what, why, exc_info=unexpected)

    def ended(self) -> None:
        """Costs nothing while all is well."""
        if self._told is not None:
            with self._lock:
                over, self._told = self._told is not None, None
            if over:
                self._log.warning("%s is available now", self._what)
