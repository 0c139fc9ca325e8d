"""Room for the data of an import under its project's limit: taken before the bytes are."""

from __future__ import annotations

from glancecore.domain import errors
from glancecore.domain.quota import Limits
from glancecore.imports.run import Run
from glancecore.services.image_data import FIRST_STEP, LARGEST_STEP


class Room:
    """Reserves what is fetched or made, for each store that it will go to, in growing steps."""

    def __init__(self, run: Run) -> None:
        self._run = run
        self._copies = max(1, len(run.task.stores))
        self._limit = _limit(run)
        self._step = FIRST_STEP

    def need(self, seen: int) -> None:
        """Raises QuotaExceeded."""
        if self._limit is None or seen * self._copies <= self._run.lease.reserved:
            return
        for wanted in ((seen + self._step) * self._copies, seen * self._copies):
            try:
                self._run.save(reserved=wanted, limits=Limits(bytes=self._limit))
            except errors.QuotaExceeded:
                if wanted == seen * self._copies:
                    raise
            else:
                self._step = min(self._step * 2, LARGEST_STEP)
                return


def _limit(run: Run) -> int | None:
    """The owner's limit on bytes."""
    return run.parts.quota.limits(run.task.owner).bytes
