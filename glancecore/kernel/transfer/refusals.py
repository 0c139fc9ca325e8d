"""Whether a store has refused the data that came last, being full or not allowed to take it."""

from __future__ import annotations

import contextlib
import logging
import time
from collections.abc import Iterator

from glancecore.domain import errors
from glancecore.kernel import metrics

#: Seconds that a store which was full is not tried again, where another one may take the data.
_FULL_FOR = 60.0


class Refusals:
    """Of one store. A refusal is told in the log and by the metric once, until the store takes data again."""

    def __init__(self, log: logging.Logger, store_id: str) -> None:
        self._log = log
        self._store_id = store_id
        #: When the last data was refused, if it was; and whether for want of room.
        self._refused_at: float | None = None
        self._for_room = False

    @property
    def last_was_refused(self) -> bool:
        return self._refused_at is not None

    @property
    def full_lately(self) -> bool:
        """Whether the last data was refused for want of room, a short time ago."""
        return self._refused_at is not None and self._for_room and time.monotonic() - self._refused_at < _FULL_FOR

    @contextlib.contextmanager
    def noting(self) -> Iterator[None]:
        """Inside, the store is given data."""
        try:
            yield
        except (errors.StoreFull, errors.StoreForbidden) as exc:
            full = isinstance(exc, errors.StoreFull)
            known = self._refused_at is not None and self._for_room is full
            self._refused_at, self._for_room = time.monotonic(), full
            metrics.STORE_WRITABLE.labels(self._store_id).set(0)
            self._log.log(logging.DEBUG if known else logging.ERROR, "store %s takes no data: %s", self._store_id, exc)
            raise
        if self._refused_at is not None:
            self._refused_at = None
            metrics.STORE_WRITABLE.labels(self._store_id).set(1)
