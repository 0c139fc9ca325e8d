"""The cache as administrators see it, and what its periodic jobs do with it.

A cache belongs to one machine, so its care does too.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum

from glancecore.domain import errors
from glancecore.domain.context import Context
from glancecore.domain.image import Image, Status
from glancecore.features.cache.image_cache import ImageCache, sealed
from glancecore.features.cache.nodes import CacheNodes
from glancecore.kernel.transfer.downloads import Downloads
from glancecore.policies.authorizer import Authorizer
from glancecore.ports.cache import CachedImage, Removed
from glancecore.ports.repository import Database

LOG = logging.getLogger(__name__)


class ClearTarget(StrEnum):
    """What DELETE /v2/cache clears."""

    CACHE = "cache"
    QUEUE = "queue"
    BOTH = ""


@dataclass(frozen=True, slots=True)
class CachingSettings:
    """The operator's choices: bytes, and seconds."""

    max_size: int
    stall_time: float
    #: The URL that this machine's glance-api is known by; None: nobody is told what it has cached.
    node: str | None = None


class Fetched(StrEnum):
    """What became of a queued image."""

    FETCHED = "fetched"
    #: A dry run would.
    WANTED = "to be fetched"
    NOT_ACTIVE = "not active"
    DAMAGED = "damaged in its store"
    TOO_LARGE = "too large"
    #: It stays queued.
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Listing:
    """What is cached, with the checksum of each image, and what is queued."""

    cached: tuple[tuple[CachedImage, str | None], ...]
    queued: tuple[str, ...]


class Caching:
    """Who may is the policy's word, asked first. Every method that works on the cache raises CacheUnavailable."""

    def __init__(
        self,
        database: Database,
        authorizer: Authorizer,
        downloads: Downloads,
        cache: ImageCache,
        settings: CachingSettings,
        queued: Callable[[], None],
    ) -> None:
        """``queued`` is called when this process has queued an image."""
        self._repository = database.images
        self._nodes = CacheNodes(database)
        self._policy = authorizer
        self._downloads = downloads
        self._cache = cache
        self._settings = settings
        self._queued = queued
        cache.when_filled(self._filled)

    # -- the API -----------------------------------------------------------------------------------
    def listing(self, ctx: Context) -> Listing:
        self._policy.authorize(ctx, "cache_list")
        driver = self._cache.driver
        return Listing(tuple((x, self._checksum(x)) for x in driver.entries()), tuple(driver.queued()))

    def queue(self, ctx: Context, image_id: str) -> None:
        """Cache the image soon, in the background. Raises ImageNotFound, Invalid."""
        self._policy.authorize(ctx, "cache_image")
        image = self._repository.get(image_id, ctx.viewer)
        if image.status is not Status.ACTIVE:
            raise errors.Invalid(
                f"image {image_id} is {image.status.value}: only the data of an active image is cached"
            )
        seal = sealed(image)
        if seal is None:
            raise errors.Invalid(f"image {image_id} has no data, or no hash yet: only data of a known hash is cached")
        if not any(x.image_id == image_id and x.seal == seal for x in self._cache.driver.entries()):
            self._cache.driver.queue(image_id)
            self._queued()

    def delete(self, ctx: Context, image_id: str) -> None:
        """Remove one image from the cache and the queue. Raises ImageNotFound when there is no such image at all."""
        self._policy.authorize(ctx, "cache_delete")
        driver = self._cache.driver
        if not driver.unqueue(image_id) | driver.drop(image_id):
            self._repository.get(image_id, ctx.viewer)
        self.tell()

    def clear(self, ctx: Context, target: ClearTarget) -> None:
        self._policy.authorize(ctx, "cache_delete")
        if target is not ClearTarget.CACHE:
            self._cache.driver.clear_queue()
        if target is not ClearTarget.QUEUE:
            self._cache.driver.clear()
            self.tell()

    def clean_now(self, ctx: Context) -> None:
        """Without hashing: that takes its time, and is the cleaner's."""
        self._policy.authorize(ctx, "cache_clean")
        self.drop_leftovers()
        for entry in list(self.orphans()):
            self.drop(entry)
        for image_id in list(self.queued_in_vain()):
            self.unqueue(image_id)
        self.tell()

    def prune_now(self, ctx: Context) -> Removed:
        self._policy.authorize(ctx, "cache_prune")
        removed = self.prune()
        self.tell()
        return removed

    def nodes(self, ctx: Context, image_id: str) -> list[str]:
        """The nodes that have the image in their caches. Raises ImageNotFound, NoNodeData."""
        self._policy.authorize(ctx, "list_cached_nodes")
        self._repository.get(image_id, ctx.viewer)
        if self._settings.node is None:
            raise errors.NoNodeData(
                "which nodes have images cached is not recorded: [DEFAULT] worker_self_reference_url is not set"
            )
        return self._nodes.nodes(image_id)

    # -- what jobs use -----------------------------------------------------------------------------
    def queued(self) -> list[str]:
        """Image ids, in the order in which they were queued."""
        return list(self._cache.driver.queued())

    def unqueue(self, image_id: str) -> None:
        self._cache.driver.unqueue(image_id)

    def fetch(self, image_id: str, check: Callable[[], None], *, dry_run: bool = False) -> Fetched:
        """Cache a queued image, and unqueue it unless that may still succeed later. ``check`` is called now and then;
        what it raises ends the waiting."""
        outcome = self._fetch(image_id, check, dry_run=dry_run)
        if outcome not in (Fetched.WANTED, Fetched.FAILED) and not dry_run:
            self.unqueue(image_id)
        return outcome

    def prune(self, *, dry_run: bool = False) -> Removed:
        """Shrink the cache to its bound, which it exceeds only when the operator has lowered it."""
        return self._cache.driver.prune(self._settings.max_size, dry_run=dry_run)

    def drop_leftovers(self, *, dry_run: bool = False) -> Removed:
        """Of dead processes, and fills that stand still."""
        return self._cache.driver.clean(self._settings.stall_time, dry_run=dry_run)

    def orphans(self) -> Iterator[CachedImage]:
        """Entries of images that are no more, or have other data by now."""
        for entry in self._cache.driver.entries():
            image = self._image(entry.image_id)
            if image is None or sealed(image) != entry.seal:
                yield entry

    def drop(self, entry: CachedImage) -> None:
        self._cache.driver.drop(entry.image_id)

    def queued_in_vain(self) -> Iterator[str]:
        """Queued images that are no more."""
        for image_id in self._cache.driver.queued():
            if self._image(image_id) is None:
                yield image_id

    def not_verified_for(self, spell: timedelta) -> list[CachedImage]:
        before = datetime.now(UTC) - spell
        return [x for x in self._cache.driver.entries() if x.verified <= before]

    def verify(self, entry: CachedImage, passing: Callable[[int], None]) -> bool | None:
        """See ``ImageCache.verify``."""
        return self._cache.verify(entry.image_id, entry.seal, passing)

    def tell(self) -> None:
        """What this node has, no more and no less."""
        if self._settings.node is not None:
            self._nodes.replace(self._settings.node, [x.image_id for x in self._cache.driver.entries()])

    def close(self) -> None:
        self._cache.driver.close()

    # -- inside ------------------------------------------------------------------------------------
    def _filled(self, image_id: str) -> None:
        if self._settings.node is not None:
            try:
                self._nodes.hold(image_id, self._settings.node)
            except errors.GlanceError as exc:  # said again by the next job
                LOG.warning("image %s: that it is cached is not recorded now: %s", image_id, exc)

    def _fetch(self, image_id: str, check: Callable[[], None], *, dry_run: bool) -> Fetched:
        image = self._image(image_id)
        if image is None or image.status is not Status.ACTIVE or sealed(image) is None or not image.good_locations:
            return Fetched.NOT_ACTIVE
        if dry_run:
            return Fetched.WANTED
        try:
            if self._cache.fill(image, self._downloads.to_cache(image), check):
                return Fetched.FETCHED
        except errors.FillDamaged:
            return Fetched.DAMAGED
        except errors.CacheUnavailable as exc:
            LOG.warning("image %s is queued for the cache and can't be cached now: %s", image_id, exc)
            return Fetched.FAILED
        return Fetched.TOO_LARGE if (image.size or 0) > self._settings.max_size else Fetched.FAILED

    def _image(self, image_id: str) -> Image | None:
        try:
            return self._repository.get_any(image_id)
        except errors.ImageNotFound:
            return None

    def _checksum(self, entry: CachedImage) -> str | None:
        image = self._image(entry.image_id)
        return image.checksum if image is not None and sealed(image) == entry.seal else None
