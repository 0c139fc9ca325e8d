"""Looks whether a fetch is still wanted, while its own thread waits for a server."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from types import TracebackType
from typing import TypeVar

from glancecore.domain import errors
from glancecore.features.imports.run import ImportRun
from glancecore.sdk import log_lines, tracing
from glancecore.sdk.deadline import CUTTER, Cutter

LOG = logging.getLogger(__name__)
T = TypeVar("T")
#: Seconds between two looks.
POLL_INTERVAL = 0.5


class Watch:
    """``with Watch(run) as watch``: when the import is cancelled, its image deleted or taken over, or the process
    stops, what is fetched is cut; ``failure`` says why."""

    def __init__(self, run: ImportRun) -> None:
        self._run = run
        self._cutter = Cutter()
        self._over = threading.Event()
        self._thread = threading.Thread(target=log_lines.carried(self._look), name="fetch-watch", daemon=True)
        self.failure: errors.GlanceError | None = None

    def __enter__(self) -> Watch:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over.set()
        self._thread.join()

    def over(self, call: Callable[[], T]) -> T:
        """What it returns; the connections that it makes may be cut. Raises ``failure`` when they were."""
        token = CUTTER.set(self._cutter)
        try:
            return call()
        except (errors.FetchFailed, errors.StoreUnavailable) as exc:
            if self.failure is not None:
                raise self.failure from exc
            raise
        finally:
            CUTTER.reset(token)

    def _look(self) -> None:
        while not self._over.wait(POLL_INTERVAL):
            try:
                with tracing.aside():
                    self._run.refresh()
                    self._run.check_alive()
                    self._run.image()
            except errors.DatabaseUnavailable:
                LOG.debug("image %s: can't look whether its import is still wanted", self._run.image_id)
            except errors.GlanceError as exc:
                self.failure = exc
                self._cutter.cut()
                return
