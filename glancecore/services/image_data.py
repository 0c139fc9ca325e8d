"""Image data: upload in one pass between two short transactions, download from the first copy that answers."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from glancecore.domain import errors
from glancecore.domain.context import Context
from glancecore.domain.events import EventType, ImageEvent, ImageSent
from glancecore.domain.image import Digests, Image, Location, Status
from glancecore.domain.lease import BlobRef, Lease, Operation
from glancecore.domain.quota import Limits
from glancecore.policies.authorizer import Authorizer
from glancecore.ports.quota import Quota
from glancecore.ports.repository import ImageChanged, ImageRepository, LeaseChanged, LeaseEnded, WithinLimits
from glancecore.services.checkpoints import reach
from glancecore.services.hashing import Hashes
from glancecore.services.image_cache import CachedData, ImageCache
from glancecore.services.inspection import InspectionRules, Inspector
from glancecore.services.intake import Intake
from glancecore.services.leases import Leases
from glancecore.services.notifications import Notifications, Telling
from glancecore.services.retrying import on_concurrent_change
from glancecore.services.signatures import SignatureCheck, Signatures
from glancecore.services.stores import StoreFacade, Stores

LOG = logging.getLogger(__name__)
#: First reservation for a body of unknown length, and the largest step by which it grows; bytes.
FIRST_STEP, LARGEST_STEP = 1 << 20, 256 << 20


@dataclass(frozen=True, slots=True)
class DataSettings:
    """The operator's choices about data. ``size_cap`` in bytes; ``algorithm`` is a hashlib name."""

    size_cap: int
    algorithm: str
    inspection: InspectionRules


class ImageData:
    def __init__(self, repository: ImageRepository, authorizer: Authorizer, quota: Quota, stores: Stores, leases: Leases,
                 settings: DataSettings, notifications: Notifications, signatures: Signatures | None = None,
                 cache: ImageCache | None = None) -> None:
        self._repository = repository
        self._policy = authorizer
        self._quota = quota
        self._stores = stores
        self._leases = leases
        self._settings = settings
        self._notifications = notifications
        self._signatures = signatures or Signatures(None)
        self._cache = cache
        self._when_damaged: Callable[[Image], None] | None = None

    # -- upload ------------------------------------------------------------------------------------------------------
    def upload(self, ctx: Context, image_id: str, body: Iterable[bytes], *, size: int | None = None,
               store_id: str | None = None) -> None:
        """Store ``body`` as the data of a queued image, which becomes active.

        ``size`` is what the sender declared, None when unknown. Raises ImageNotFound, Forbidden, WrongStatus, Invalid,
        UnknownStore, TooLarge, QuotaExceeded, SizeMismatch, BadContent, Gone (deleted meanwhile), StoreError, and whatever
        ``body`` raises; then nothing is left of the data and the image is queued again.
        """
        image = self._repository.get(image_id, ctx.viewer)
        self._policy.authorize(ctx, "get_image", image)
        self._policy.authorize(ctx, "upload_image", image)
        image.require(Status.QUEUED)
        image.require_formats()
        store = self._stores.for_data(store_id, size)
        if not store.available:
            raise errors.StoreUnavailable(f"store {store.id} is not available", store.id)
        if not store.writable:
            raise errors.StoreReadOnly(f"store {store.id} takes no new data", store.id)
        if size is not None and size > self._settings.size_cap:
            raise errors.TooLarge(f"the data has {size} bytes; image_size_cap is {self._settings.size_cap}")
        signature = self._signatures.check_of(image, ctx.token)
        limits = self._quota.limits(image.owner)
        reach("upload.before_intent")
        saving, lease = self._begin(image, store, limits, size or 0)
        location: Location | None = None
        try:
            location, digests = self._transfer(saving, lease, store, body, size, limits, signature)
            reach("upload.before_finish")
            told = self._finish(saving, lease, location, digests)
        except BaseException as exc:
            self._give_up(lease, store, location, exc)
            if isinstance(exc, (errors.LeaseLost, errors.ImageNotFound)):
                raise errors.Gone(f"image {image_id} was deleted during the upload") from exc
            raise
        finally:
            self._leases.forget(lease)
        reach("upload.after_finish")
        told.send()

    def _begin(self, image: Image, store: StoreFacade, limits: Limits, reserve: int) -> tuple[Image, Lease]:
        """First transaction: the intent (status, lease, which blob) and the reservation. It is told."""
        saving = replace(image.begin_upload(), version=image.version + 1, updated_at=_now())
        lease = self._leases.new(saving, Operation.UPLOAD, Status.QUEUED,
                                 blobs=(BlobRef(store.id, saving.blob_key, saving.owner),), reserved=reserve)
        told = self._notifications.about(ImageEvent(EventType.IMAGE_PREPARE, saving, store.id))
        self._leases.begin(image, saving, lease, limits, *told.changes)
        reach("upload.after_intent")
        told.send()
        return saving, lease

    def _transfer(self, saving: Image, lease: Lease, store: StoreFacade, body: Iterable[bytes], size: int | None,
                  limits: Limits, signature: SignatureCheck | None) -> tuple[Location, Digests]:
        room = None
        if limits.bytes is not None and size is None:
            room = Reservation(self._repository, lease, limits.bytes).need
        inspector = Inspector(saving.disk_format or "", saving.container_format or "", self._settings.inspection)
        intake = Intake(_noted(body), self._settings.algorithm, size=size, cap=self._settings.size_cap, inspector=inspector,
                        room=room, alive=self._leases.check(lease), signature=signature)
        location = store.put(saving.blob_key, intake, size, owner=saving.owner)
        reach("upload.after_put")
        return location, intake.digests

    def _finish(self, saving: Image, lease: Lease, location: Location, digests: Digests) -> Telling:
        """Second transaction: location, digests and status, and the lease ends. What is to be told of it."""
        before = saving
        while True:
            after = replace(before.finish_upload(digests, (location,)), version=before.version + 1, updated_at=_now())
            told = self._notifications.about(ImageEvent(EventType.IMAGE_UPLOAD, after), ImageEvent(EventType.IMAGE_ACTIVATE, after))
            try:
                self._repository.commit(ImageChanged(before, after), LeaseEnded(lease), *told.changes)
            except errors.ConcurrentChange:  # its metadata was changed during the upload, or it is being deleted
                before = self._repository.get_any(saving.id)
                if before.status is not Status.SAVING:
                    raise errors.LeaseLost(f"image {saving.id} is {before.status.value}") from None
            else:
                return told

    def _give_up(self, lease: Lease, store: StoreFacade, location: Location | None, cause: BaseException) -> None:
        """Remove every byte of this attempt, then let the image be uploaded again. Bytes that can't be removed now stay
        named by the lease, which expires and is the reaper's."""
        LOG.info("upload of image %s ended with %s: %s", lease.image_id, type(cause).__name__, cause)
        try:
            if self._still_ours(lease, location):
                if location is not None:  # else ``put`` has failed, and leaves nothing itself
                    store.delete(location.url)
                release(self._repository, lease, _reason(cause))
        except errors.LeaseLost:
            LOG.info("image %s is not ours any more", lease.image_id)
        except errors.GlanceError as exc:
            LOG.warning("image %s: can't clean up now (%s); the reaper will", lease.image_id, exc)

    def _still_ours(self, lease: Lease, location: Location | None) -> bool:
        """Whether this attempt's bytes may be removed. A commit whose answer was lost may have made them the image's: writing
        to the lease waits for such a commit and fails when it has ended the lease."""
        try:
            self._repository.commit(LeaseChanged(lease))
        except errors.LeaseLost:
            try:
                image = self._repository.get_any(lease.image_id)
            except errors.ImageNotFound:
                return True
            return location is None or all(x.url != location.url for x in image.locations)
        return True

    # -- download ----------------------------------------------------------------------------------------------------
    def download(self, ctx: Context, image_id: str, prefer: Sequence[str] = ()) -> Download | None:
        """The image's data; None when it has none. Raises ImageNotFound, Forbidden, ImageDeactivated, UnknownStore, DataDamaged."""
        image = self._repository.get(image_id, ctx.viewer)
        self._policy.authorize(ctx, "get_image", image)
        self._policy.authorize(ctx, "download_image", image)
        if prefer:
            self._policy.authorize(ctx, "download_from_store", image)
            for store_id in prefer:
                self._stores.get(store_id)
        if image.status is Status.DEACTIVATED and not ctx.admin:
            raise errors.ImageDeactivated(f"image {image_id} is deactivated: its data can't be downloaded")
        if image.status not in (Status.ACTIVE, Status.DEACTIVATED) or not image.live_locations:
            return None
        if not image.good_locations:
            if self._when_damaged is not None:
                self._when_damaged(image)
            raise errors.DataDamaged(f"the data of image {image_id} is damaged, and there is no good copy: its os_hash_value is not that of "
                                     "the stored bytes")
        return Download(image, self._stores.readable(image, prefer), self._stores, None if prefer else self._cache)

    def when_damaged(self, call: Callable[[Image], None]) -> None:
        """``call`` is told each image that was asked for and has damaged copies only."""
        self._when_damaged = call

    def to_cache(self, image: Image) -> Download:
        """The data of an active image, for the service itself."""
        return Download(image, self._stores.readable(image), self._stores)

    def sent(self, ctx: Context, image: Image, count: int) -> None:
        """Tell that ``count`` bytes of the image have gone to the caller."""
        self._notifications.send(ImageSent(image, count, ctx.user, ctx.project, ctx.address), initiator=ctx.initiator)


class Download:
    """Data that may be read. ``size`` in bytes. ``cache``: where it may come from as well."""

    def __init__(self, image: Image, locations: Sequence[Location], stores: Stores, cache: ImageCache | None = None) -> None:
        self.image = image
        self._locations = locations
        self._stores = stores
        self._cache = cache

    @property
    def size(self) -> int:
        if self.image.size is not None:
            return self.image.size
        return self._stores.holding(self._locations[0]).size(self._locations[0].url)

    @property
    def ranged(self) -> bool:
        """Whether parts may be asked for. What lies on other people's servers only is proved by its hash, which only the whole has."""
        return any(map(self._stores.vouch, self._locations))

    def cached(self) -> CachedData | None:
        """The cache's copy, when it has one."""
        return self._cache.file(self.image) if self._cache else None

    def fills(self, offset: int, length: int) -> bool:
        """Whether ``open`` of this part goes through the cache: the whole does, when the cache takes it."""
        return self._cache is not None and offset == 0 and length == self.size and self._cache.takes(self.image)

    def local_path(self) -> Path | None:
        """A local file with the data, when the copy to be read first is one."""
        location = self._locations[0]
        try:
            return self._stores.holding(location).local_path(location.url)
        except errors.StoreError as exc:
            LOG.warning("image %s: no local file in store %s: %s", self.image.id, location.store, exc)
            return None

    def direct_url(self, asked: bool | None) -> str | None:
        """Where the client may read the copy to be read first by itself; None when the data is to be passed on."""
        location = self._locations[0]
        try:
            return self._stores.holding(location).direct_url(location.url, asked)
        except errors.StoreError as exc:
            LOG.warning("image %s: no signed URL from store %s: %s", self.image.id, location.store, exc)
            return None

    def open(self, offset: int, length: int) -> Iterator[bytes]:
        """``length`` bytes from ``offset``. The first copy that gives its first piece is read; when one breaks off, the
        next goes on where it ended. Raises StoreUnavailable now when none answers."""
        whole = offset == 0 and length == self.size
        pieces = self._through(self._cache, length) if self._cache and self.fills(offset, length) else (
            self._read(offset, length) if whole else self._read(offset, length, [x for x in self._locations if self._stores.vouch(x)]))
        if whole and not all(map(self._stores.vouch, self._locations)):
            pieces = _proved(pieces, self.image)
        first = next(pieces, b"")
        return _chain(first, pieces)

    @property
    def copies(self) -> int:
        return len(self._locations)

    def read(self, first: int = 0) -> Iterator[bytes]:
        """All of it, from the stores, the copy of that number first."""
        return self._read(0, self.size, [*self._locations[first:], *self._locations[:first]])

    def _through(self, cache: ImageCache, size: int) -> Iterator[bytes]:
        """The cache's bytes as far as they come, then the stores'."""
        at = 0
        for piece in cache.stream(self.image, self):
            at += len(piece)
            yield piece
        yield from self._read(at, size - at)

    def _read(self, offset: int, length: int, locations: Sequence[Location] | None = None) -> Iterator[bytes]:
        at, end = offset, offset + length
        last: errors.StoreError | None = None
        for location in self._locations if locations is None else locations:
            if at >= end:
                return
            try:
                for piece in self._stores.holding(location).open(location.url, at, end - at):
                    at += len(piece)
                    yield piece
            except errors.StoreError as exc:
                LOG.warning("image %s: reading from store %s failed at byte %d: %s", self.image.id, location.store, at, exc)
                last = exc
        if at < end:
            raise errors.StoreUnavailable(f"the data of image {self.image.id} can't be read now") from last


class Reservation:
    """Room for a body of unknown length: reserved in growing steps before the bytes are taken, so that parallel uploads
    can't overshoot the project's limit."""

    def __init__(self, repository: ImageRepository, lease: Lease, limit: int) -> None:
        self._repository = repository
        self._lease = lease
        self._limit = limit
        self._step = FIRST_STEP

    def need(self, seen: int) -> None:
        """Make sure that ``seen`` bytes are reserved. Raises QuotaExceeded, LeaseLost."""
        reserved = self._lease.reserved
        if seen <= reserved:
            return
        for wanted in (max(seen, reserved + self._step), seen):
            grown = replace(self._lease, reserved=wanted)
            try:
                self._repository.commit(LeaseChanged(grown), WithinLimits(grown.project, Limits(bytes=self._limit)))
            except errors.QuotaExceeded:
                if wanted == seen:
                    raise
            else:
                self._lease = grown
                self._step = min(self._step * 2, LARGEST_STEP)
                return


@on_concurrent_change
def release(repository: ImageRepository, lease: Lease, fault: str | None) -> None:
    """Give an operation up: the image goes back to its stable status with the reason, and the lease ends.

    Raises LeaseLost when somebody else holds the image now."""
    try:
        image = repository.get_any(lease.image_id)
    except errors.ImageNotFound as exc:
        raise errors.LeaseLost(f"image {lease.image_id} is gone") from exc
    if image.status is Status.DELETING:
        raise errors.LeaseLost(f"image {image.id} is being deleted")
    after = replace(image.give_up(lease.stable, fault), version=image.version + 1, updated_at=_now())
    repository.commit(ImageChanged(image, after), LeaseEnded(lease))


def _noted(body: Iterable[bytes]) -> Iterator[bytes]:
    first = True
    for piece in body:
        yield piece
        if first:
            first = False
            reach("upload.first_piece")
    reach("upload.all_pieces")


def _proved(pieces: Iterator[bytes], image: Image) -> Iterator[bytes]:
    """The pieces; the last one only when all of them have the image's hash. Raises DataDamaged instead."""
    algorithm = image.hash_algo or ""
    hashes = Hashes([algorithm])
    held = b""
    try:
        for piece in pieces:
            hashes.update(piece)
            if held:
                yield held
            held = piece
        if hashes.result()[algorithm] != image.hash_value:
            LOG.error("image %s: its web server gives other data than was hashed; it is not sent", image.id)
            raise errors.DataDamaged(f"the data of image {image.id} is not what it was: its os_hash_value is not that of what its server sends now")
        yield held
    finally:
        hashes.close()
        close: Callable[[], None] | None = getattr(pieces, "close", None)
        if close:
            close()


def _chain(first: bytes, rest: Iterator[bytes]) -> Iterator[bytes]:
    try:
        if first:
            yield first
        yield from rest
    finally:
        close: Callable[[], None] | None = getattr(rest, "close", None)
        if close:
            close()


def _reason(cause: BaseException) -> str:
    return str(cause) if isinstance(cause, errors.GlanceError) else "the upload broke off"


def _now() -> datetime:
    return datetime.now(UTC)
