"""Deleting an image: location marked, bytes gone, row gone; finished by the reaper when the process dies between.

While bytes go the image is ``deleting``: hidden from everybody, held by a lease. When the backend says that the bytes
are in use, or does not answer, the image comes back as it was; one whose upload was stopped stays ``deleting``, and it
is tried again. With delayed deletion an image that has data is pending_delete first: as hidden, its bytes untouched,
until somebody undoes it or the scrubber deletes it."""

from __future__ import annotations

import logging
from dataclasses import replace
from datetime import UTC, datetime

from glancecore.domain import errors
from glancecore.domain.events import EventType, ImageEvent
from glancecore.domain.image import NEXT, RECEIVING, Image, Location, Status
from glancecore.domain.lease import Lease, Operation
from glancecore.kernel.leases import Leases
from glancecore.kernel.retrying import on_concurrent_change
from glancecore.kernel.subscriptions import Subscriptions
from glancecore.kernel.transfer.blobs import Blobs
from glancecore.kernel.transfer.stores import Stores
from glancecore.kernel.writer import Writer
from glancecore.ports.repository import ImageRemoved, ImageRepository, LeaseEnded
from glancecore.sdk.checkpoints import checkpoint

LOG = logging.getLogger(__name__)
#: Operations that leave no bytes behind when they are stopped.
_WRITES_NOTHING = frozenset({Operation.HASH, Operation.DROP_LOCATION})


class Deletion:
    """Deletes whatever image it is given; who may is decided by the caller."""

    def __init__(
        self,
        repository: ImageRepository,
        stores: Stores,
        leases: Leases,
        writer: Writer,
        on: Subscriptions,
        *,
        delayed: bool = False,
    ) -> None:
        self._repository = repository
        self._stores = stores
        self._blobs = Blobs(repository, stores)
        self._leases = leases
        self._writer = writer
        self._delayed = delayed
        self._on = on

    def delete(self, image: Image, version: int | None = None) -> None:
        """``version``: the only one that it may be at when it begins to go; None: any. Raises ProtectedImage,
        BlobInUse, StoreError (the image stays), ImageBusy, Conflict."""
        checkpoint("delete.before_intent")
        if image.status is Status.QUEUED and not image.locations:
            self._delete_empty(image, version)
        elif not (self._delayed and self._postpone(image.id, version)):
            self._delete_now(image, version)
        checkpoint("delete.after_row")

    def _delete_now(self, image: Image, version: int | None = None) -> None:
        lease = self._begin(image, version)
        checkpoint("delete.after_intent")
        if lease is not None:
            self.finish(lease)

    # -- delayed -----------------------------------------------------------------------------------
    @on_concurrent_change
    def _postpone(self, image_id: str, version: int | None) -> bool:
        """False when there is no data that could be had back: then it is deleted at once."""
        image = self._repository.get_any(image_id)
        if image.status is Status.PENDING_DELETE:
            raise errors.ImageNotFound(f"no image {image_id}")
        _at(image, version)
        if image.status not in (Status.ACTIVE, Status.DEACTIVATED) or not image.live_locations:
            return False
        self._writer.save(
            self._writer.image(image, image.postpone_delete()), events=[ImageEvent(EventType.IMAGE_DELETE, image)]
        )
        return True

    @on_concurrent_change
    def restore(self, image_id: str) -> Image:
        """Undo a delayed deletion. Raises ImageNotFound (also when its bytes are going already), WrongStatus."""
        image = self._repository.get_any(image_id)
        if image.status is Status.DELETING:
            raise errors.ImageNotFound(f"image {image_id} is being deleted for good")
        change = self._writer.image(image, image.restore())
        self._writer.save(change, events=[ImageEvent(EventType.IMAGE_UPDATE, change.after)])
        return change.after

    def scrub(self, image: Image) -> None:
        """Delete for good what was deleted some time ago, unless it was restored meanwhile. Raises what ``delete``
        raises."""
        if self._repository.get_any(image.id).status is Status.PENDING_DELETE:
            self._delete_now(image)

    # -- inside ------------------------------------------------------------------------------------
    def _delete_empty(self, image: Image, version: int | None) -> None:
        """Nothing but a row: one transaction. Falls back to the long way when something began meanwhile."""
        _at(image, version)
        change = self._writer.image(image, image.begin_delete(), touched=False)
        checkpoint("delete.before_row")
        try:
            self._writer.save(
                change, ImageRemoved(change.after, _now()), events=[ImageEvent(EventType.IMAGE_DELETE, image)]
            )
        except errors.ConcurrentChange:
            lease = self._begin(image, version)
            if lease is not None:
                self.finish(lease)

    @on_concurrent_change
    def _begin(self, image: Image, version: int | None) -> Lease | None:
        """Mark and take the lease; None when a running operation was stopped, whose bytes the reaper removes."""
        current = self._repository.get_any(image.id)
        if current.status is Status.DELETING:
            raise errors.ImageNotFound(f"no image {image.id}")
        _at(current, version)
        if image.status is Status.PENDING_DELETE:
            current.require(Status.PENDING_DELETE)  # or else it was restored
        change = self._writer.image(current, current.begin_delete(), touched=False)
        running = self._repository.lease(image.id)
        lease = self._leases.new(current, Operation.DELETE, current.status, blobs=running.blobs if running else ())
        taken = self._leases.taken(lease, running.token if running else None)
        try:
            self._writer.save(change, taken)
        except errors.LeaseLost as exc:  # the running operation ended just now
            self._leases.forget(lease)
            raise errors.ConcurrentChange(f"image {image.id} has changed") from exc
        except BaseException:
            self._leases.forget(lease)
            raise
        if (
            running is None
            or running.operation in _WRITES_NOTHING
            or (running.operation not in set(Operation) and not running.blobs)
        ):
            return lease
        # Its writer may still be alive for a moment: it finds its lease lost and cleans up after itself. Ours is not
        # extended, so it expires after that moment, and the reaper removes what a dead writer has left.
        self._leases.forget(lease)
        return None

    def finish(self, lease: Lease) -> None:
        """Remove the bytes, then the row. Also called by the reaper, so each step may have been done already."""
        image = self._repository.get_any(lease.image_id)
        try:
            for ref in lease.blobs:
                self._stores.discard(ref)
            if lease.stable in RECEIVING:
                self._on.remove_upload(image)
            if image.staged is not None:
                self._stores.recorded(image.staged.store).discard(image.staged.key)
            for location in image.locations:
                self._blobs.remove(image, location)
                image = self._forget_location(image, location)
        except errors.StoreError as exc:
            if lease.stable in NEXT[Status.DELETING] and not (
                lease.stable is Status.UPLOADING and image.staged is None
            ):
                self._restore(lease, exc)
            else:
                # An upload, or a staging, that was stopped does not go on: the reaper deletes the image when the store
                # is back.
                self._leases.forget(lease)
            raise
        checkpoint("delete.after_bytes")
        checkpoint("delete.before_row")
        # of an image whose deletion was put off it was told then
        events = [] if lease.stable is Status.PENDING_DELETE else [ImageEvent(EventType.IMAGE_DELETE, image)]
        self._writer.save(ImageRemoved(image, _now()), LeaseEnded(lease), events=events)
        self._leases.forget(lease)
        self._on.tell_removed(image.id)

    @on_concurrent_change
    def _forget_location(self, image: Image, location: Location) -> Image:
        """With several copies, note each that is gone, so that giving up half-way leaves only what is there."""
        if len(image.locations) == 1:
            return image
        current = self._repository.get_any(image.id)
        change = self._writer.image(
            current,
            replace(current, locations=tuple(x for x in current.locations if x.url != location.url)),
            touched=False,
        )
        self._writer.save(change)
        return change.after

    @on_concurrent_change
    def _restore(self, lease: Lease, cause: errors.StoreError) -> None:
        image = self._repository.get_any(lease.image_id)
        LOG.warning("image %s can't be deleted (%s): it stays %s", image.id, cause, lease.stable.value)
        try:
            self._writer.save(
                self._writer.image(image, image.undo_delete(lease.stable), touched=False), LeaseEnded(lease)
            )
        finally:
            self._leases.forget(lease)


def _at(image: Image, version: int | None) -> None:
    """Raises Conflict."""
    if version is not None and image.version != version:
        raise errors.Conflict(f"image {image.id} has changed: it is at version {image.version}, not {version}")


def _now() -> datetime:
    return datetime.now(UTC)
