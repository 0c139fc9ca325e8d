"""ImportReservation for the data of an import under its project's limit: taken before the bytes are."""

from __future__ import annotations

from functools import partial

from glancecore.domain.quota import Limits
from glancecore.features.imports.run import ImportRun
from glancecore.kernel.operations import Reservation


class ImportReservation:
    """Reserves what is fetched or made, for each store that it will go to."""

    def __init__(self, run: ImportRun) -> None:
        self._copies = max(1, len(run.task.stores))
        limit = run.services.quota.limits(run.task.owner).bytes
        self._reservation = (
            None if limit is None else Reservation(lambda: run.lease.reserved, partial(_save, run, limit))
        )

    def need(self, seen: int) -> None:
        """Raises QuotaExceeded."""
        if self._reservation is not None:
            self._reservation.need(seen, self._copies)


def _save(run: ImportRun, limit: int, size: int) -> None:
    run.save(reserved=size, limits=Limits(bytes=limit))
