"""Takes over operations whose process has died, so that nothing stays stuck."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from dataclasses import replace

from glancecore.domain import errors
from glancecore.domain.image import Image, Status
from glancecore.domain.lease import Lease, Operation
from glancecore.ports.repository import ImageRepository
from glancecore.services import metrics
from glancecore.services.deletion import Deletion
from glancecore.services.image_data import release
from glancecore.services.leases import Leases
from glancecore.services.stores import Stores

LOG = logging.getLogger(__name__)
_FAULT = "the service that worked on it stopped; try again"
#: What an image of a transient status without any lease was probably doing, and where it goes back to.
_LEFT = {Status.SAVING: (Operation.UPLOAD, Status.QUEUED), Status.IMPORTING: (Operation.IMPORT, Status.QUEUED),
         Status.DELETING: (Operation.DELETE, Status.ACTIVE)}

#: Forgets the lease when it is done with it, which may be later. False: nobody had given it up, it only waits.
Handler = Callable[[Lease], bool | None]


class Reaper:
    """``run_once`` is one look; ``start`` looks every ``interval`` seconds in a thread. Any number may run at once: each
    lease is taken over by one of them."""

    def __init__(self, repository: ImageRepository, stores: Stores, leases: Leases, deletion: Deletion,
                 interval: float) -> None:
        self._repository = repository
        self._stores = stores
        self._leases = leases
        self._deletion = deletion
        self._interval = interval
        self._stop = threading.Event()
        self._also: list[Callable[[], None]] = []
        self._handlers: dict[Operation, Handler] = {
            Operation.UPLOAD: self._undo, Operation.DELETE: self._deletion.finish}

    def handle(self, operation: Operation, handler: Handler) -> None:
        """Say how a lease of another operation is taken over."""
        self._handlers[operation] = handler

    def also(self, work: Callable[[], None]) -> None:
        """Something else to be looked after, each time."""
        self._also.append(work)

    def run_once(self) -> int:
        """How many operations were taken over."""
        done = self.take_over()
        for work in self._also:
            work()
        return done

    def take_over(self, operations: frozenset[Operation] = frozenset(Operation)) -> int:
        """Only these operations: imports and hashes go on in whoever takes them over."""
        done = 0
        for lease in self._repository.expired():
            if lease.operation in operations:
                done += self._take(lease)
        for image in self._repository.unleased():
            if _LEFT[image.status][0] in operations:
                done += self._adopt(image)
        return done

    def start(self) -> None:
        threading.Thread(target=self._loop, name="reaper", daemon=True).start()

    def stop(self) -> None:
        self._stop.set()

    # -- inside ------------------------------------------------------------------------------------------------------
    def _loop(self) -> None:
        while not self._stop.wait(self._interval):
            try:
                self.run_once()
            except errors.DatabaseUnavailable as exc:
                LOG.warning("reaper: %s", exc)
            except Exception:
                LOG.exception("reaper failed; it goes on")

    def _take(self, old: Lease) -> bool:
        lease = replace(old, holder=self._leases.holder, token=_token())
        return self._work(lease, old)

    def _adopt(self, image: Image) -> bool:
        operation, stable = _LEFT[image.status]
        return self._work(self._leases.new(image, operation, stable), None)

    def _work(self, lease: Lease, old: Lease | None) -> bool:
        handler = self._handlers.get(lease.operation, self._undo)
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
            LOG.warning("image %s: its %s was given up by %s; taking over", lease.image_id, lease.operation.value, old.holder if old else "somebody")
            metrics.LEASES_REAPED.labels(lease.operation.value).inc()
        except errors.LeaseLost:
            LOG.info("image %s was taken over by somebody else", lease.image_id)
            self._leases.forget(lease)
        except errors.GlanceError as exc:
            LOG.warning("image %s: %s can't be cleaned up now (%s); trying again", lease.image_id, lease.operation.value, exc)
            self._leases.forget(lease)
        except BaseException:
            self._leases.forget(lease)
            raise
        return True

    def _undo(self, lease: Lease) -> None:
        for ref in lease.blobs:
            self._stores.discard(ref)
        release(self._repository, lease, _FAULT)
        self._leases.forget(lease)


def _token() -> str:
    return Lease("", Operation.UPLOAD, "", Status.QUEUED).token
