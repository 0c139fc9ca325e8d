"""Takes over operations whose process has died, so that nothing stays stuck."""

from __future__ import annotations

import logging
import threading
from dataclasses import replace

from glancecore.domain import errors
from glancecore.domain.image import Image, Status
from glancecore.domain.lease import Lease, Operation
from glancecore.kernel import metrics
from glancecore.kernel.leases import Leases
from glancecore.kernel.operations import Operations
from glancecore.kernel.outages import Outage
from glancecore.kernel.subscriptions import Subscriptions
from glancecore.kernel.transfer.stores import Stores
from glancecore.ports.repository import ImageRepository

LOG = logging.getLogger(__name__)
_FAULT = "the service that worked on it stopped; try again"
#: Seconds that a pass may take to end.
_ENDING = 2.0
#: What an image of a transient status without any lease was probably doing, and where it goes back to.
_LEFT = {
    Status.SAVING: (Operation.UPLOAD, Status.QUEUED),
    Status.IMPORTING: (Operation.IMPORT, Status.QUEUED),
    Status.DELETING: (Operation.DELETE, Status.ACTIVE),
}


class Reaper:
    """``run_once`` is one look; ``start`` looks every ``interval`` seconds in a thread. Any number may run at once:
    each lease is taken over by one of them. Who subscribes to an abandoned operation forgets its lease when it is done
    with it, which may be later; an operation that nobody knows is undone."""

    def __init__(
        self,
        repository: ImageRepository,
        stores: Stores,
        leases: Leases,
        operations: Operations,
        on: Subscriptions,
        interval: float,
    ) -> None:
        self._repository = repository
        self._stores = stores
        self._leases = leases
        self._operations = operations
        self._interval = interval
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self._on = on

    def run_once(self) -> int:
        """How many operations were taken over."""
        done = self.take_over()
        self._on.run_pass()
        return done

    def take_over(self, operations: frozenset[str] | None = None) -> int:
        """Only these operations, or all: imports and hashes go on in whoever takes them over."""
        done = 0
        for lease in self._repository.expired():
            if operations is None or lease.operation in operations:
                done += self._take(lease)
        for image in self._repository.unleased():
            if operations is None or _LEFT[image.status][0] in operations:
                done += self._adopt(image)
        return done

    def start(self) -> None:
        self._thread = threading.Thread(target=self._loop, name="reaper", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """A pass that goes on has a moment to end: what it works on is closed next. What it leaves is another
        process's."""
        self._stop.set()
        if self._thread is not None and self._thread is not threading.current_thread():
            self._thread.join(_ENDING)

    # -- inside ------------------------------------------------------------------------------------
    def _loop(self) -> None:
        database = Outage(LOG, "the database, for the reaper,")
        while not self._stop.wait(self._interval):
            try:
                self.run_once()
                database.ended()
            except errors.DatabaseUnavailable as exc:
                database.began(str(exc))
            except Exception:
                LOG.exception("the reaper failed; it goes on")

    def _take(self, old: Lease) -> bool:
        lease = replace(old, holder=self._leases.holder, token=_token())
        return self._work(lease, old)

    def _adopt(self, image: Image) -> bool:
        operation, stable = _LEFT[image.status]
        return self._work(self._leases.new(image, operation, stable), None)

    def _work(self, lease: Lease, old: Lease | None) -> bool:
        handler = self._on.handler(lease.operation) or self._undo
        try:
            self._repository.commit(self._leases.taken(lease, old.token if old else None))
        except (errors.LeaseLost, errors.ImageBusy):
            self._leases.forget(lease)
            return False  # its owner lives after all, or another reaper was faster
        except BaseException:  # it may be ours nevertheless: then it must expire again
            self._leases.forget(lease)
            raise
        try:
            if handler(lease) is False:
                return True
            LOG.warning(
                "image %s: its %s was given up by %s; taking over",
                lease.image_id,
                lease.operation,
                old.holder if old else "somebody",
            )
            metrics.LEASES_REAPED.labels(lease.operation).inc()
        except errors.LeaseLost:
            LOG.info("image %s was taken over by somebody else", lease.image_id)
            self._leases.forget(lease)
        except errors.GlanceError as exc:
            LOG.warning("image %s: %s can't be cleaned up now (%s); trying again", lease.image_id, lease.operation, exc)
            self._leases.forget(lease)
        except Exception:  # whatever an extension raises: the others have their turn
            LOG.exception("image %s: its %s could not be taken over; trying again", lease.image_id, lease.operation)
            self._leases.forget(lease)
        except BaseException:
            self._leases.forget(lease)
            raise
        return True

    def _undo(self, lease: Lease) -> None:
        for ref in lease.blobs:
            self._stores.discard(ref)
        self._operations.release(lease, _FAULT)
        self._leases.forget(lease)


def _token() -> str:
    return Lease("", Operation.UPLOAD, "", Status.QUEUED).token
