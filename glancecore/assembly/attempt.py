"""Calling what a plugin does at its start, which may hang."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from typing import Any

LOG = logging.getLogger(__name__)


class Attempt:
    """One call in a thread of its own: a call that hangs can't be ended, but it can be left."""

    def __init__(self, call: Callable[[], Any], late: Callable[[Any], None]) -> None:
        self._call, self._late = call, late
        self._lock = threading.Lock()
        self._left = False
        self._result: Any = None
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="plugin-start", daemon=True)
        self._thread.start()

    @property
    def hangs(self) -> bool:
        return self._thread.is_alive()

    def ended_within(self, seconds: float) -> bool:
        self._thread.join(seconds)
        with self._lock:
            self._left = self._thread.is_alive() and self._result is None and self._error is None
        return not self._left

    def result(self) -> Any:
        self._thread.join()
        if self._error is not None:
            raise self._error
        return self._result[0]

    def _run(self) -> None:
        try:
            result, error = (self._call(),), None
        except BaseException as exc:  # noqa: BLE001 (whoever waits raises it)
            result, error = None, exc
        with self._lock:
            self._result, self._error = result, error
        if self._left and result is not None:
            try:
                self._late(result[0])
            except Exception:  # whatever a plugin raises
                LOG.exception("a plugin that started too late could not be closed")
