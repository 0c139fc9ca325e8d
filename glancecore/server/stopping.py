"""How a worker learns that it is to end, how long what it serves may take then, and what becomes of one that can't
begin."""

from __future__ import annotations

import math
import os
import signal
import threading
import time
from typing import Any

from gunicorn.workers import base

from glancecore.domain import errors
from glancecore.server.arbiter import REPLACED
from glancecore.server.limits import ServerLimits
from glancecore.server.paced_socket import TICK

#: Seconds before the end of graceful_timeout or reload_timeout at which transfers are broken off, so that they can
#: clean up.
STOP_EARLY = 2.0
#: Seconds after which another worker takes the place of one that could not begin.
BEGIN_AGAIN = 10


class StoppingWorker(base.Worker):  # type: ignore[misc]
    """``_drains``: whether what is served may go on, once no new connections are taken."""

    _limits: ServerLimits
    _drains_until = math.inf
    #: Another one does from now on what this one has done beside requests.
    _replaced = False

    def _wake(self) -> None:
        """The loop looks whether it is to end."""
        raise NotImplementedError

    def init_signals(self) -> None:
        super().init_signals()
        signal.signal(REPLACED, self._handle_replaced)
        signal.siginterrupt(REPLACED, False)

    def _try_again_later(self, exc: Exception) -> None:
        """Something that was right at the start is not any more, such as a policy file. gunicorn would end the whole
        service; another worker takes this one's place, after a while, and those that serve go on."""
        self.log.error(
            "a worker can't begin: %s; tried again in %d seconds",
            exc,
            BEGIN_AGAIN,
            exc_info=not isinstance(exc, errors.GlanceError),
        )
        end = time.monotonic() + BEGIN_AGAIN
        while self.alive and time.monotonic() < end and self.ppid == os.getppid():
            time.sleep(TICK)

    def _leave(self) -> None:
        """Nothing is served any more."""
        for pool in self._pools.values():
            pool.shutdown()
        if (app := getattr(self, "wsgi", None)) is not None:  # or else it could not begin
            app.close()

    def handle_exit(self, sig: int, frame: Any) -> None:  # noqa: ARG002 (gunicorn's signature)
        self._end_within(self.cfg.graceful_timeout)

    def _handle_replaced(self, sig: int, frame: Any) -> None:  # noqa: ARG002
        """Only a note is made here: the signal may have come in the middle of anything, also before there is an
        application."""
        self._replaced = True
        self._end_within(self._limits.reload_timeout)

    def _hand_over(self) -> None:
        """At the end of the loop."""
        if self._replaced:
            threading.Thread(target=self.wsgi.replaced, name="replaced", daemon=True).start()

    def _end_within(self, seconds: float) -> None:
        """No new connections from now on; those that are there have so long, unless they had less before."""
        self._drains_until = min(self._drains_until, time.monotonic() + max(seconds - STOP_EARLY, seconds / 2))
        self.alive = False
        self._wake()

    @property
    def _orphaned(self) -> bool:
        return bool(self.ppid != os.getppid())

    @property
    def _drains(self) -> bool:
        if self._orphaned:
            self._end_within(self.cfg.graceful_timeout)
        return time.monotonic() < self._drains_until
