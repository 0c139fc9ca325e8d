"""The copies of an image's data, one by one: is it what was hashed when it came in, and what is done when it is not.

A copy that is known to be wrong is marked, and read by nobody from then on. It goes when another copy has taken its
place."""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import logging
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum

from glancecore.domain import errors
from glancecore.domain.events import EventType, ImageEvent
from glancecore.domain.image import Image, Location, LocationStatus, Status
from glancecore.domain.lease import Lease, Operation
from glancecore.kernel.leases import Leases
from glancecore.kernel.retrying import on_concurrent_change
from glancecore.kernel.transfer.blobs import Blobs
from glancecore.kernel.transfer.stores import Stores
from glancecore.kernel.writer import Writer
from glancecore.ports.repository import ImageRepository, LeaseEnded
from glancecore.sdk.checkpoints import checkpoint

LOG = logging.getLogger(__name__)
#: Statuses in which an image's data is there to be read.
WITH_DATA = frozenset({Status.ACTIVE, Status.DEACTIVATED})


class CopyVerdict(Enum):
    GOOD = "good"
    #: Other bytes, or fewer, or more.
    DAMAGED = "damaged"
    #: The store says that there is no such blob.
    MISSING = "missing"
    #: It could not be read now: nothing is known.
    UNREAD = "unread"


@dataclass(frozen=True, slots=True)
class Inspected:
    verdict: CopyVerdict
    #: In words.
    why: str = ""


class Copies:
    def __init__(self, repository: ImageRepository, stores: Stores, leases: Leases, writer: Writer) -> None:
        self._repository = repository
        self._stores = stores
        self._blobs = Blobs(repository, stores)
        self._leases = leases
        self._writer = writer

    def inspect(self, image: Image, location: Location, passing: Callable[[int], None]) -> Inspected:
        """Read it to its end. ``passing`` is called with the length of each piece, and may wait or raise. Twice before
        it says that the copy is wrong: what a store or the network does once is not the copy's fault."""
        found = self._read(image, location, passing)
        if found.verdict in (CopyVerdict.DAMAGED, CopyVerdict.MISSING):
            found = self._read(image, location, passing)
        return found

    def _read(self, image: Image, location: Location, passing: Callable[[int], None]) -> Inspected:
        algorithm, expected = (
            (image.hash_algo, image.hash_value) if image.hash_algo and image.hash_value else ("md5", image.checksum)
        )
        if expected is None:
            raise ValueError(f"image {image.id} has no hash to compare with")
        digest, seen = hashlib.new(algorithm or "", usedforsecurity=False), 0
        try:
            with contextlib.closing(self._stores.holding(location).open(location.url)) as pieces:
                for piece in pieces:
                    digest.update(piece)
                    seen += len(piece)
                    passing(len(piece))
        except errors.BlobNotFound:
            return Inspected(CopyVerdict.MISSING, f"store {location.store} has no such data any more")
        except errors.StoreError as exc:
            return Inspected(CopyVerdict.UNREAD, str(exc))
        if image.size is not None and seen != image.size:
            return Inspected(
                CopyVerdict.DAMAGED, f"it has {seen} bytes in store {location.store} instead of {image.size}"
            )
        if not hmac.compare_digest(digest.hexdigest(), expected):
            return Inspected(CopyVerdict.DAMAGED, f"its {algorithm} in store {location.store} is not the recorded one")
        return Inspected(CopyVerdict.GOOD)

    @on_concurrent_change
    def mark(self, image_id: str, url: str, status: LocationStatus) -> Image | None:
        """Note that a copy is damaged, or good again. None when the image or the copy is gone meanwhile, or is being
        removed."""
        try:
            image = self._repository.get_any(image_id)
        except errors.ImageNotFound:
            return None
        old = next((x.status for x in image.locations if x.url == url), None)
        if image.status not in WITH_DATA or old not in (LocationStatus.ACTIVE, LocationStatus.DAMAGED):
            return None
        if old is status:
            return image
        change = self._writer.image(image, image.marked(url, status))
        self._writer.save(change, events=[ImageEvent(EventType.IMAGE_UPDATE, change.after)])
        return change.after

    @on_concurrent_change
    def drop_damaged(self, image_id: str, url: str) -> bool:
        """Remove a damaged copy of an image that has a good one. False when that is not so (any more).

        Raises ImageBusy, StoreError: then it stays, marked as it is."""
        try:
            image = self._repository.get_any(image_id)
        except errors.ImageNotFound:
            return False
        found = next((x for x in image.locations if x.url == url), None)
        if (
            found is None
            or found.status is not LocationStatus.DAMAGED
            or image.status not in WITH_DATA
            or not image.good_locations
        ):
            return False
        lease = self._leases.new(image, Operation.DROP_LOCATION, image.status)
        try:
            # The same image, saved: whoever has read it before can no longer drop the good copy.
            held = self._writer.image(image, image)
            self._writer.save(held, self._leases.taken(lease))
            checkpoint("repair.before_drop")
            try:
                self._blobs.remove(held.after, found)
            except BaseException:
                self._writer.save(LeaseEnded(lease))
                raise
            checkpoint("repair.after_drop")
            self._end(image_id, url, lease)
        finally:
            self._leases.forget(lease)
        return True

    @on_concurrent_change
    def _end(self, image_id: str, url: str, lease: Lease) -> None:
        image = self._repository.get_any(image_id)
        if image.status is Status.DELETING:
            raise errors.LeaseLost(f"image {image_id} is being deleted")
        self._writer.save(self._writer.image(image, image.without(url)), LeaseEnded(lease))
