"""The signals of a process that serves no requests: SIGTERM and SIGINT end it, SIGHUP lets it begin anew with the
configuration as it is now."""

from __future__ import annotations

import logging
import os
import signal
import sys
import threading
from collections.abc import Callable
from types import FrameType

from glancecore.kernel import metrics
from glancecore.server.judgement import Judgement

LOG = logging.getLogger(__name__)


class Signals:
    """``stop`` makes the process hand over what runs; it may be called twice, and by any thread. Made by the main
    thread."""

    def __init__(self, prog: str, stop: Callable[[], None]) -> None:
        self._prog = prog
        self._stop = stop
        self._ending = self._again = False
        self._asked = threading.Event()
        self._one_at_a_time = threading.Lock()
        metrics.CONFIGURATION_VALID.set(1)
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._end)
        signal.signal(signal.SIGHUP, self._read_again)

    def begin_again(self) -> None:
        """Called when everything is handed over: after SIGHUP the process becomes a new one, with its number."""
        if self._again and not self._ending:
            signal.signal(signal.SIGHUP, signal.SIG_IGN)  # until the new one listens: it reads the files anyway
            os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])  # noqa: S606 (its own command line)

    def _end(self, _number: int, _frame: FrameType | None) -> None:
        self._ending = True
        self._stop()

    def _read_again(self, _number: int, _frame: FrameType | None) -> None:
        self._asked.set()
        threading.Thread(target=self._judge, name="judge", daemon=True).start()

    def _judge(self) -> None:
        """Of several signals that come while the configuration is judged, the last one is answered."""
        with self._one_at_a_time:
            if not self._asked.is_set() or self._again or self._ending:
                return
            self._asked.clear()
            LOG.info("the configuration is read again")
            refusal = self._refusal()
            metrics.CONFIGURATION_VALID.set(0 if refusal else 1)
            if refusal:
                LOG.error("SIGHUP changes nothing: %s; everything stays as it was", refusal)
                return
            self._again = True
        self._stop()

    def _refusal(self) -> str | None:
        try:
            return Judgement(self._prog).refusal()
        except OSError as exc:
            return f"no process to judge the configuration can be started: {exc}"
