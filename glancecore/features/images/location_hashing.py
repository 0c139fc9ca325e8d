"""Reads the data of added locations to its end: hashes, size, inspection, and the hash that a caller expects.

It runs in threads of its own, under a lease: when the process dies, the reaper of another one begins anew. The data's
server may be anybody's: the work of a project takes its share of the threads, and waits behind its own."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

import tenacity

from glancecore.domain import errors
from glancecore.domain.events import Event, EventType, ImageEvent, task_events
from glancecore.domain.image import Image, Status
from glancecore.domain.lease import Lease
from glancecore.domain.staged import Digests
from glancecore.domain.task import TaskType
from glancecore.kernel.leases import Leases
from glancecore.kernel.retrying import on_concurrent_change
from glancecore.kernel.transfer.data_settings import DataSettings
from glancecore.kernel.transfer.inspection import Inspector
from glancecore.kernel.transfer.intake import Intake
from glancecore.kernel.transfer.stores import Stores
from glancecore.kernel.writer import Writer
from glancecore.ports.repository import Change, Database, LeaseEnded
from glancecore.ports.task_repository import TaskChanged
from glancecore.sdk.checkpoints import checkpoint
from glancecore.sdk.deadline import CUTTER, Cutter
from glancecore.sdk.workers import Workers

LOG = logging.getLogger(__name__)
#: Locations that one process reads at once, and those of them that one project has added; the others wait, as many as
#: there is room for. What has no room is begun anew when its lease has expired.
AT_ONCE, SHARE, WAITING = 8, 2, 1000
#: Somebody who makes the data can make other data with the same digest: where he may change it, such a digest proves
#: nothing.
WEAK = frozenset({"md5", "sha1"})


def _may_pass(exc: BaseException) -> bool:
    return isinstance(exc, errors.StoreForbidden) or (isinstance(exc, errors.StoreUnavailable) and exc.retryable)


@dataclass(slots=True)
class _Work:
    lease: Lease
    cutter: Cutter = field(default_factory=Cutter)
    #: Out of the queue, if it still waits there.
    take_back: Callable[[], None] = lambda: None


class LocationHashing:
    def __init__(
        self, database: Database, stores: Stores, leases: Leases, settings: DataSettings, writer: Writer
    ) -> None:
        self._repository = database.images
        self._tasks = database.tasks
        self._stores = stores
        self._leases = leases
        self._settings = settings
        self._writer = writer
        self._workers = Workers("hash", AT_ONCE, WAITING, SHARE)
        #: What waits or is read, by the lease's token.
        self._works: dict[str, _Work] = {}

    def start(self, lease: Lease) -> None:
        """Begin, or take up what a dead process has left; ``lease`` is held by this process and ended in the end."""
        work = self._works[lease.token] = _Work(lease)
        try:
            work.take_back = self._workers.submit(lambda: self._run(lease, work.cutter), lease.project)
        except errors.ServerBusy as exc:
            LOG.info("image %s: it is hashed when the lease has expired: %s", lease.image_id, exc)
            self._end_work(lease)

    def removed(self, image_id: str) -> None:
        """The image is gone: what reads its data ends at once."""
        for work in list(self._works.values()):
            if work.lease.image_id == image_id:
                self._end_work(work.lease)
                work.take_back()
                work.cutter.cut()

    def stop(self) -> None:
        """The process ends: what is read at this moment is left to another one, when its lease has expired."""
        self._workers.stopping.set()
        for work in list(self._works.values()):
            work.cutter.cut()
        self._workers.stop()

    def _end_work(self, lease: Lease) -> None:
        self._leases.forget(lease)
        self._works.pop(lease.token, None)

    def _run(self, lease: Lease, cutter: Cutter) -> None:
        token = CUTTER.set(cutter)
        try:
            self._check(lease)
            self._work(lease)
        except (errors.LeaseLost, errors.ImageNotFound, errors.Suspended) as exc:
            LOG.info("image %s: hashing ended: %s", lease.image_id, exc)
        except errors.GlanceError as exc:
            LOG.warning(
                "image %s: hashing was given up for now (%s); it begins anew when the lease has expired",
                lease.image_id,
                exc,
            )
        except Exception:
            LOG.exception("image %s: hashing failed; it begins anew when the lease has expired", lease.image_id)
        finally:
            CUTTER.reset(token)
            self._end_work(lease)

    def _check(self, lease: Lease) -> None:
        if self._workers.stopping.is_set():
            raise errors.Suspended("this process ends")
        self._leases.check(lease)()

    def _work(self, lease: Lease) -> None:
        checkpoint("hash.begin")
        image = self._repository.get_any(lease.image_id)
        try:
            digests = self._read(image, lease)
        except (errors.LeaseLost, errors.Suspended):
            raise
        except (errors.StoreError, errors.BadContent, errors.LimitExceeded, errors.Invalid) as exc:
            LOG.warning("image %s: the data at its location is not taken: %s", image.id, exc)
            self._refuse(lease, exc)
            return
        checkpoint("hash.before_finish")
        self._accept(lease, digests)

    @tenacity.retry(
        retry=tenacity.retry_if_exception(_may_pass),
        stop=tenacity.stop_after_attempt(4),
        wait=tenacity.wait_exponential(0.5, max=8),
        reraise=True,
    )
    def _read(self, image: Image, lease: Lease) -> Digests:
        location = min(image.good_locations or image.live_locations, key=lambda x: not self._stores.vouch(x))
        algorithm, announced = self._settings.algorithm, image.hash_algo
        if announced and (announced not in WEAK or self._stores.vouch(location)):
            algorithm = announced
        inspector = Inspector(image.disk_format or "", image.container_format or "", self._settings.inspection)
        with self._still_wanted(lease), contextlib.closing(self._stores.holding(location).open(location.url)) as source:
            intake = Intake(
                source,
                algorithm,
                size=image.size,
                cap=self._settings.size_cap,
                inspector=inspector,
                check_lease=lambda: self._check(lease),
                algorithms=[announced] if announced else [],
                checksum=self._settings.checksum or image.checksum is not None,
            )
            for _ in intake:
                pass
        _compare(image, intake.digests.checksum, intake.extra_digests)
        return intake.digests

    @contextlib.contextmanager
    def _still_wanted(self, lease: Lease) -> Iterator[None]:
        """What the end of a lease or of the process breaks off is no failure of the data's server."""
        try:
            yield
        except errors.StoreError:
            self._check(lease)
            raise

    def _accept(self, lease: Lease, digests: Digests) -> None:
        self._end(lease, lambda image: image.proved(digests))

    def _refuse(self, lease: Lease, cause: errors.GlanceError) -> None:
        """An image that waited for it is queued again, without the location. One that is in use already is deactivated
        when its data is known to be wrong, and stays as it is when it could not be read."""

        def refused(image: Image) -> Image:
            if image.status is Status.IMPORTING:
                return image.give_up(Status.QUEUED, str(cause))
            if isinstance(cause, errors.StoreError):
                return image
            return image.found_bad(str(cause))

        self._end(lease, refused, cause)

    @on_concurrent_change
    def _end(self, lease: Lease, change: Callable[[Image], Image], cause: errors.GlanceError | None = None) -> None:
        """The image after ``change``. The task that told of it ends, too."""
        image, now = self._repository.get_any(lease.image_id), datetime.now(UTC)
        if image.status is Status.DELETING:
            raise errors.LeaseLost(f"image {image.id} is being deleted")
        changes: list[Change] = [LeaseEnded(lease)]
        events: list[Event] = []
        for task in self._tasks.of_image(image.id, now):
            if task.type is TaskType.LOCATION_IMPORT and not task.finished:
                ended = (
                    task.succeed(now, {"image_id": image.id})
                    if cause is None
                    else task.with_failure(cause.code, str(cause)).fail(now)
                )
                ended = replace(ended, version=task.version + 1, updated_at=now)
                changes.append(TaskChanged(task, ended))
                events += task_events(task, ended)
        after = change(image)
        if after != image:
            changes.insert(0, saved := self._writer.image(image, after))
            after = saved.after
        if image.status is Status.IMPORTING and after.status is Status.ACTIVE:
            events.insert(0, ImageEvent(EventType.IMAGE_ACTIVATE, after))
        self._writer.save(*changes, events=events)


def _compare(image: Image, checksum: str | None, digests: Mapping[str, str]) -> None:
    """Raises HashMismatch unless the data has the hashes that were announced."""
    hashed = [(image.hash_algo, image.hash_value, digests[image.hash_algo])] if image.hash_algo else []
    for algorithm, expected, is_ in (*hashed, ("md5", image.checksum, checksum)):
        if expected is not None and expected != is_:
            raise errors.HashMismatch(f"{algorithm} {expected} was expected, but the data has {is_}")
