"""What operators look at, as extensions are shown it."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace

from glancecore.domain import errors
from glancecore.domain.clock import now
from glancecore.domain.errors import for_operators
from glancecore.domain.text import shortened
from glancecore.features.copies.inventory import Inventory, held_in
from glancecore.kernel.core import CoreKernel
from glancecore.kernel.transfer.draining import Draining
from glancecore.kernel.transfer.store_facade import StoreFacade
from glancecore.periodic import runner
from glancecore.periodic.runner import PeriodicRunner, Scheduled
from glancecore.ports.overview import JobOverview, StoreInventory, StoreOverview
from glancecore.ports.periodic import JobTools

#: Seconds that stores have to answer, and that a count may be old.
_ANSWERS, _COUNTED = 5.0, 60.0
#: Seconds that a request waits for a count.
_WAITS = 2.0


class ServiceOverview:
    """See ``glancecore.ports.overview.Overview``. Thread-safe."""

    def __init__(self, core: CoreKernel) -> None:
        self._core = core
        self._counts = _Counts(core)
        self._lock = threading.Lock()
        self._looks: dict[str, _Look] = {}
        #: Filled when the service is built.
        self.runners: Sequence[PeriodicRunner] = ()
        self.tools: JobTools | None = None

    def stores(self) -> list[StoreOverview]:
        stores, places = self._core.stores, self._core.database.places
        known = list(dict.fromkeys([*stores.ids, *(x.store for x in places.all()), *places.needed()]))
        looks = {x: self._look(stores.get(x)) for x in stores.ids}
        counted = self._counts.of(known)
        draining = Draining(self._core.database)
        rows = []
        for name in known:
            row = StoreOverview(name, None, "not configured", "[DEFAULT] enabled_backends does not name it")
            if name in looks:
                row = replace(looks[name].seen(), default=name == stores.default_id)
            rows.append(
                replace(
                    row, draining_since=draining.since(name), images=places.count(name), inventory=counted.get(name)
                )
            )
        return rows

    def jobs(self) -> list[JobOverview]:
        return [self._job(x) for each in self.runners for x in each.scheduled]

    def dry_run(self, name: str) -> dict[str, object]:
        """By a job of its own: the one that is there may be running."""
        for each in self.runners:
            for scheduled in each.scheduled:
                if scheduled.name == name and self.tools is not None:
                    fresh = replace(scheduled, job=type(scheduled.job)(scheduled.job.conf, self.tools))
                    return each.run(fresh, dry_run=True).as_json()
        raise errors.NotFound(f"no periodic job {shortened(name)} is enabled")

    def leader(self) -> str | None:
        return runner.leader(self._core.database.jobs)

    def _look(self, store: StoreFacade) -> _Look:
        """One at a time of each store: a store that hangs holds one thread, however often it is asked for."""
        with self._lock:
            look = self._looks.get(store.id)
            if look is None or look.ended:
                look = self._looks[store.id] = _Look(store)
            return look

    def _job(self, scheduled: Scheduled) -> JobOverview:
        record = self._core.database.jobs.record(scheduled.row)
        return JobOverview(
            scheduled.name,
            scheduled.job.summary,
            scheduled.interval,
            scheduled.dry_run,
            scheduled.machine is not None,
            record.started_at,
            record.ended_at,
            record.report,
        )


class _Look:
    """One store that is asked, in a thread of its own."""

    def __init__(self, store: StoreFacade) -> None:
        self._found = StoreOverview(
            store.id, store.settings.driver, "down", f"it has not answered within {_ANSWERS:g} seconds"
        )
        self._end = time.monotonic() + _ANSWERS
        self._thread = threading.Thread(target=self._run, args=(store,), name="store-overview", daemon=True)
        self._thread.start()

    @property
    def ended(self) -> bool:
        return not self._thread.is_alive()

    def seen(self) -> StoreOverview:
        """At once when it has had its time, whoever began it."""
        self._thread.join(max(0.0, self._end - time.monotonic()))
        return self._found

    def _run(self, store: StoreFacade) -> None:
        found = replace(self._found, why="")
        if not store.available and store.unavailable_because is None:
            self._found = replace(found, state="unused", why="no process has started it yet")
            return
        try:
            if store.available:
                store.ping()
                self._found = replace(found, state="up", writable=store.takes_data, free=store.free())
            else:
                self._found = replace(found, why=store.unavailable_because or "")
        except errors.GlanceError as exc:
            self._found = replace(found, why=for_operators(exc))


class _Counts:
    """What lies in the stores, counted image by image from time to time, in a thread."""

    def __init__(self, core: CoreKernel) -> None:
        self._core = core
        self._lock = threading.Lock()
        self._known: Mapping[str, StoreInventory] = {}
        self._until = 0.0
        self._thread: threading.Thread | None = None

    def of(self, stores: Sequence[str]) -> Mapping[str, StoreInventory]:
        """What is known; it may be some of it, or of a minute ago."""
        with self._lock:
            if time.monotonic() > self._until and (self._thread is None or not self._thread.is_alive()):
                self._thread = threading.Thread(target=self._count, args=(stores,), name="store-inventory", daemon=True)
                self._thread.start()
            thread = self._thread
        if thread is not None:
            thread.join(_WAITS)
        return self._known

    def _count(self, stores: Sequence[str]) -> None:
        found: dict[str, StoreInventory] = {}
        try:
            for name in stores:
                counted = Inventory(name)
                for image in held_in(self._core.database, name):
                    counted.add(image)
                found[name] = StoreInventory(now(), counted.bytes, counted.only, counted.damaged, counted.lost)
        except errors.DatabaseUnavailable:  # the request says so
            return
        self._known, self._until = found, time.monotonic() + _COUNTED
