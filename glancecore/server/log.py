"""gunicorn's messages in the service's own log."""

from __future__ import annotations

import logging
from typing import Any

from gunicorn import glogging


class Logger(glogging.Logger):  # type: ignore[misc]
    """Errors go to ``gunicorn.error``, requests (with [server] access_log) to ``gunicorn.access``, through oslo.log."""

    def setup(self, cfg: Any) -> None:
        self.cfg = cfg
        self.loglevel = logging.INFO
        for log in (self.error_log, self.access_log):
            log.handlers = []
            log.propagate = True
        self.error_log.setLevel(logging.WARNING)
        self.access_log.setLevel(logging.INFO if cfg.accesslog else logging.WARNING)

    def reopen_files(self) -> None:
        """Nothing of ours to reopen."""
