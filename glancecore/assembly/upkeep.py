"""Taking stores out of service, as extensions offer it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator

from glancecore.domain import errors
from glancecore.domain.clock import now
from glancecore.domain.text import shortened
from glancecore.features.copies.evacuation import Evacuation, refuse_last
from glancecore.kernel.core import CoreKernel, CoreTools
from glancecore.kernel.transfer.draining import Draining
from glancecore.periodic.job_run import JobRun
from glancecore.ports.job_repository import JobRecord
from glancecore.ports.upkeep import MoveResult, Order


class ServiceUpkeep:
    """See ``glancecore.ports.upkeep.StoreUpkeep``."""

    def __init__(self, core: CoreKernel) -> None:
        self._core = core
        #: Filled when the service is built.
        self.tools: CoreTools | None = None

    def drain(self, store: str) -> bool:
        self._known(store)
        draining = Draining(self._core.database)
        self._refuse_last(store, draining)
        return draining.add(store, now())

    def undrain(self, store: str) -> bool:
        done = Draining(self._core.database).remove(store)
        if not done:
            self._known(store)
        return done

    def held(self, store: str) -> int:
        self._known(store)
        return self._core.database.places.count(store)

    def evacuate(
        self, store: str, *, dry_run: bool, alive: Callable[[], None], stopping: threading.Event
    ) -> Iterator[MoveResult]:
        self._known(store)
        draining = Draining(self._core.database)
        if not dry_run and store not in draining:
            raise errors.Conflict(f"store {store} takes new data while it is emptied: drain it first")
        self._refuse_last(store, draining)
        turn = JobRun("evacuate", JobRecord(), alive, stopping, dry_run=dry_run)
        return self._moves(turn, Order(store))

    def _moves(self, turn: JobRun, order: Order) -> Iterator[MoveResult]:
        if self.tools is None:
            raise RuntimeError("the service is not built yet")
        yield from Evacuation(self.tools, turn, order).run()

    def _refuse_last(self, store: str, draining: Draining) -> None:
        """Raises Conflict."""
        try:
            refuse_last(self._core.stores, store, draining)
        except errors.ConfigError as exc:
            raise errors.Conflict(str(exc).removeprefix("ID: ")) from exc

    def _known(self, store: str) -> None:
        ids = self._core.stores.ids
        if store not in ids:
            raise errors.NotFound(
                f"no store {shortened(store)} is among those of [DEFAULT] enabled_backends; there are: {', '.join(ids)}"
            )
