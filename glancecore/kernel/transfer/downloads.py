"""Reading image data: from the cache, or from the first copy that answers; another one goes on where it breaks off."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from glancecore.domain import errors
from glancecore.domain.context import Context
from glancecore.domain.events import ImageSent
from glancecore.domain.image import Image, Location, Status
from glancecore.kernel.notifications import Notifications
from glancecore.kernel.transfer.cached_data import CachedData, DataCache
from glancecore.kernel.transfer.hashing import Hashes
from glancecore.kernel.transfer.stores import Stores
from glancecore.policies.authorizer import Authorizer
from glancecore.ports.repository import ImageRepository

LOG = logging.getLogger(__name__)


class Downloads:
    """The use case: a user reads an image's data."""

    def __init__(
        self, repository: ImageRepository, authorizer: Authorizer, stores: Stores, notifications: Notifications
    ) -> None:
        self._repository = repository
        self._policy = authorizer
        self._stores = stores
        self._notifications = notifications
        self._cache: DataCache | None = None
        self._when_damaged: Callable[[Image], None] | None = None
        self._when_used: Callable[[Image], None] | None = None

    def download(self, ctx: Context, image_id: str, prefer: Sequence[str] = ()) -> Download | None:
        """The image's data; None when it has none. Raises ImageNotFound, Forbidden, ImageDeactivated, UnknownStore,
        DataDamaged."""
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
            raise errors.DataDamaged(
                f"the data of image {image_id} is damaged, and there is no good copy: its os_hash_value is not that of "
                "the stored bytes"
            )
        return Download(
            image, self._stores.readable(image, prefer), self._stores, None if prefer else self._cache, ctx.project
        )

    def use(self, cache: DataCache) -> None:
        """Downloads come from there when it has them, and fill it."""
        self._cache = cache

    def when_damaged(self, call: Callable[[Image], None]) -> None:
        """``call`` is told each image that was asked for and has damaged copies only."""
        self._when_damaged = call

    def when_used(self, call: Callable[[Image], None]) -> None:
        """``call`` is told each image that a user has read data of, or was sent to the backend for."""
        self._when_used = call

    def redirected(self, image: Image) -> None:
        """The caller reads the image from the backend itself."""
        if self._when_used is not None:
            self._when_used(image)

    def to_cache(self, image: Image) -> Download:
        """The data of an active image, for the service itself."""
        return Download(image, self._stores.readable(image), self._stores)

    def sent(self, ctx: Context, image: Image, count: int) -> None:
        """Tell that ``count`` bytes of the image have gone to the caller."""
        if self._when_used is not None and (count or not image.size):
            self._when_used(image)
        self._notifications.send(ImageSent(image, count, ctx.user, ctx.project, ctx.address), initiator=ctx.initiator)


class Download:
    """Data that may be read. ``size`` in bytes. ``cache``: where it may come from as well. ``project``: for whom; None:
    for nobody."""

    def __init__(
        self,
        image: Image,
        locations: Sequence[Location],
        stores: Stores,
        cache: DataCache | None = None,
        project: str | None = None,
    ) -> None:
        self.image = image
        self.project = project
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
        """Whether parts may be asked for. What lies on other people's servers only is proved by its hash, which only
        the whole has."""
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
        pieces = (
            self._through(self._cache, length)
            if self._cache and self.fills(offset, length)
            else (
                self._read(offset, length)
                if whole
                else self._read(offset, length, [x for x in self._locations if self._stores.vouch(x)])
            )
        )
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

    def _through(self, cache: DataCache, size: int) -> Iterator[bytes]:
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
                LOG.warning(
                    "image %s: reading from store %s failed at byte %d: %s", self.image.id, location.store, at, exc
                )
                last = exc
        if at < end:
            raise errors.StoreUnavailable(f"the data of image {self.image.id} can't be read now") from last


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
            raise errors.DataDamaged(
                f"the data of image {image.id} is not what it was: its os_hash_value is not that of what its server"
                " sends now"
            )
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
