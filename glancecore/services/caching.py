"""The cache as administrators see it, and its care: fetching what is queued, pruning, cleaning, verifying.

A cache belongs to one machine, so its care does too: every machine's glance-api looks after its own, one process at a time.
"""

from __future__ import annotations

import contextlib
import fcntl
import logging
import math
import os
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from pathlib import Path

from glancecore.domain import errors
from glancecore.domain.context import Context
from glancecore.domain.image import Image, Status
from glancecore.policies.authorizer import Authorizer
from glancecore.ports.cache import CachedImage, Removed
from glancecore.ports.repository import Database
from glancecore.services import metrics
from glancecore.services.image_cache import ImageCache, sealed
from glancecore.services.image_data import ImageData

LOG = logging.getLogger(__name__)


class Target(StrEnum):
    """What DELETE /v2/cache clears."""

    CACHE = "cache"
    QUEUE = "queue"
    BOTH = ""


@dataclass(frozen=True, slots=True)
class CachingSettings:
    """The operator's choices; seconds, and bytes a second. An interval of 0: never."""

    max_size: int
    stall_time: float
    prefetch_interval: float
    clean_interval: float
    verify_interval: float
    verify_rate: int
    #: The URL that this machine's glance-api is known by; None: nobody is told what it has cached.
    node: str | None = None
    #: Where this machine's processes agree who cares for the cache; None: each does.
    folder: Path | None = None


@dataclass(frozen=True, slots=True)
class Listing:
    """What is cached, with the checksum of each image, and what is queued."""

    cached: tuple[tuple[CachedImage, str | None], ...]
    queued: tuple[str, ...]


@dataclass(slots=True)
class CareReport:
    """What one run of a job has done, or would do. ``files`` and ``bytes`` removed; ``outcomes``: image ids by what became of them."""

    job: str
    dry_run: bool
    files: int = 0
    bytes: int = 0
    outcomes: dict[str, list[str]] = field(default_factory=dict)

    def note(self, outcome: str, image_id: str) -> None:
        self.outcomes.setdefault(outcome, []).append(image_id)

    def removed(self, what: Removed, outcome: str) -> None:
        self.files += what.files
        self.bytes += what.bytes
        for image_id in what.image_ids:
            self.note(outcome, image_id)

    def __str__(self) -> str:
        counts = ", ".join(f"{outcome} {len(ids)}" for outcome, ids in self.outcomes.items())
        return f"{self.job}{' (dry run)' if self.dry_run else ''}: {self.files} files, {self.bytes} bytes removed" + (f"; {counts}" if counts else "")


class Caching:
    """Who may is the policy's word, asked first. Every method that works on the cache raises CacheUnavailable."""

    def __init__(self, database: Database, authorizer: Authorizer, data: ImageData, cache: ImageCache,
                 settings: CachingSettings) -> None:
        self._repository = database.images
        self._cached = database.cached
        self._policy = authorizer
        self._data = data
        self._cache = cache
        self._settings = settings
        self._wanted = threading.Event()
        self._stop = threading.Event()
        cache.when_filled(self._filled)

    # -- the API -----------------------------------------------------------------------------------------------------
    def listing(self, ctx: Context) -> Listing:
        self._policy.authorize(ctx, "cache_list")
        driver = self._cache.driver
        return Listing(tuple((x, self._checksum(x)) for x in driver.entries()), tuple(driver.queued()))

    def queue(self, ctx: Context, image_id: str) -> None:
        """Cache the image soon, in the background. Raises ImageNotFound, Invalid."""
        self._policy.authorize(ctx, "cache_image")
        image = self._repository.get(image_id, ctx.viewer)
        if image.status is not Status.ACTIVE:
            raise errors.Invalid(f"image {image_id} is {image.status.value}: only the data of an active image is cached")
        seal = sealed(image)
        if seal is None:
            raise errors.Invalid(f"image {image_id} has no data, or no hash yet: only data of a known hash is cached")
        if not any(x.image_id == image_id and x.seal == seal for x in self._cache.driver.entries()):
            self._cache.driver.queue(image_id)
            self._wanted.set()

    def delete(self, ctx: Context, image_id: str) -> None:
        """Remove one image from the cache and the queue. Raises ImageNotFound when there is no such image at all."""
        self._policy.authorize(ctx, "cache_delete")
        driver = self._cache.driver
        if not driver.unqueue(image_id) | driver.drop(image_id):
            self._repository.get(image_id, ctx.viewer)
        self._tell()

    def clear(self, ctx: Context, target: Target) -> None:
        self._policy.authorize(ctx, "cache_delete")
        if target is not Target.CACHE:
            self._cache.driver.clear_queue()
        if target is not Target.QUEUE:
            self._cache.driver.clear()
            self._tell()

    def clean_now(self, ctx: Context) -> CareReport:
        """Without hashing: that takes its time, and is the cleaner's."""
        self._policy.authorize(ctx, "cache_clean")
        return self.clean(verify=False)

    def prune_now(self, ctx: Context) -> CareReport:
        self._policy.authorize(ctx, "cache_prune")
        return self.prune()

    def nodes(self, ctx: Context, image_id: str) -> list[str]:
        """The nodes that have the image in their caches. Raises ImageNotFound, NoNodeData."""
        self._policy.authorize(ctx, "list_cached_nodes")
        self._repository.get(image_id, ctx.viewer)
        if self._settings.node is None:
            raise errors.NoNodeData("which nodes have images cached is not recorded: [DEFAULT] worker_self_reference_url is not set")
        return self._cached.nodes(image_id)

    # -- jobs --------------------------------------------------------------------------------------------------------
    def prefetch(self, *, dry_run: bool = False, check: Callable[[], None] = lambda: None) -> CareReport:
        """Cache what is queued, in that order. ``check`` is called before each image; what it raises ends the run."""
        report = CareReport("cache-prefetcher", dry_run)
        for image_id in self._cache.driver.queued():
            check()
            outcome, done = self._fetch(image_id, dry_run=dry_run)
            report.note(outcome, image_id)
            if done and not dry_run:
                self._cache.driver.unqueue(image_id)
        return report

    def prune(self, *, dry_run: bool = False) -> CareReport:
        """Shrink the cache to its bound, which it exceeds only when the operator has lowered it."""
        report = CareReport("cache-pruner", dry_run)
        report.removed(self._cache.driver.prune(self._settings.max_size, dry_run=dry_run), "pruned")
        return report

    def clean(self, *, dry_run: bool = False, verify: bool = True, verify_all: bool = False,
              check: Callable[[], None] = lambda: None) -> CareReport:
        """Remove leftovers, entries of images that are no more or have other data by now, and entries that their hash finds damaged.

        ``verify``: hash what was not hashed for ``verify_interval``; ``verify_all``: everything."""
        report = CareReport("cache-cleaner", dry_run)
        driver = self._cache.driver
        report.removed(driver.clean(self._settings.stall_time, dry_run=dry_run), "leftover")
        for entry in driver.entries():
            check()
            image = self._image(entry.image_id)
            if image is None or sealed(image) != entry.seal:
                report.removed(Removed(1, entry.seal.size, (entry.image_id,)), "orphan")
                if not dry_run:
                    driver.drop(entry.image_id)
            elif verify_all or (verify and self._due(entry)):
                self._verify(report, entry, check)
        for image_id in driver.queued():
            if self._image(image_id) is None:
                report.note("unqueued", image_id)
                if not dry_run:
                    driver.unqueue(image_id)
        return report

    # -- the machine's own care --------------------------------------------------------------------------------------
    def start(self) -> None:
        """Fetch what is queued as soon as it is, and clean from time to time, in a thread of this process."""
        threading.Thread(target=self._loop, name="cache-care", daemon=True).start()

    def stop(self) -> None:
        self._stop.set()
        self._wanted.set()

    def close(self) -> None:
        self.stop()
        self._cache.driver.close()

    def _loop(self) -> None:
        interval = self._settings.clean_interval or math.inf
        clean_at = time.monotonic() + interval
        while not self._stop.is_set():
            try:
                with self._alone() as mine:
                    if mine or self._wanted.is_set():
                        self._fetch_wanted()
                    if mine:
                        self._tell()
                    if mine and time.monotonic() >= clean_at:
                        clean_at = time.monotonic() + interval
                        self._logged(self.prune())
                        self._logged(self.clean(check=self._meanwhile))
                        self._tell()
            except (errors.CacheUnavailable, errors.DatabaseUnavailable, OSError) as exc:
                LOG.warning("care of the image cache: %s", exc)
            except _Stopped:
                return
            except Exception:
                LOG.exception("care of the image cache failed; it goes on")
            self._wanted.wait(min(self._settings.prefetch_interval, interval))

    @contextlib.contextmanager
    def _alone(self) -> Iterator[bool]:
        """Whether this process is the one of the machine that cares, for as long as this lasts."""
        if self._settings.folder is None:
            yield True
            return
        fd = os.open(self._settings.folder / ".care.lock", os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
        try:
            try:
                fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                yield False
            else:
                yield True
        finally:
            os.close(fd)

    def _fetch_wanted(self) -> None:
        self._wanted.clear()
        self._logged(self.prefetch(check=self._going_on))

    def _meanwhile(self) -> None:
        """Hashing takes long: who queues an image must not wait for its end."""
        self._going_on()
        if self._wanted.is_set():
            self._fetch_wanted()

    def _going_on(self) -> None:
        if self._stop.is_set():
            raise _Stopped

    @staticmethod
    def _logged(report: CareReport) -> None:
        metrics.CACHE_CARE.labels(report.job).inc()
        if report.files or report.outcomes:
            LOG.info("%s", report)

    # -- inside ------------------------------------------------------------------------------------------------------
    def _filled(self, image_id: str) -> None:
        if self._settings.node is not None:
            try:
                self._cached.hold(image_id, self._settings.node)
            except errors.GlanceError as exc:  # said again by the next round of care
                LOG.warning("that image %s is cached is not recorded now: %s", image_id, exc)

    def _tell(self) -> None:
        """What this node has, no more and no less."""
        if self._settings.node is not None:
            self._cached.replace(self._settings.node, [x.image_id for x in self._cache.driver.entries()])

    def _fetch(self, image_id: str, *, dry_run: bool) -> tuple[str, bool]:
        """What became of it, and whether it need not be queued any more."""
        image = self._image(image_id)
        if image is None or image.status is not Status.ACTIVE or sealed(image) is None or not image.live_locations:
            return "not active", True
        if dry_run:
            return "to be fetched", False
        try:
            if self._cache.fill(image, self._data.to_cache(image)):
                return "fetched", True
        except errors.FillDamaged:
            return "damaged in its store", True
        except errors.CacheUnavailable as exc:
            LOG.warning("queued image %s: %s", image_id, exc)
            return "failed", False
        if (image.size or 0) > self._settings.max_size:
            LOG.warning("queued image %s is larger than image_cache_max_size", image_id)
            return "too large", True
        return "failed", False

    def _due(self, entry: CachedImage) -> bool:
        interval = self._settings.verify_interval
        return interval > 0 and datetime.now(UTC) - entry.verified >= timedelta(seconds=interval)

    def _verify(self, report: CareReport, entry: CachedImage, check: Callable[[], None]) -> None:
        if report.dry_run:
            report.note("to be verified", entry.image_id)
            return
        pace = _Pace(self._settings.verify_rate, self._stop)

        def each() -> None:
            check()
            pace.wait()

        right = self._cache.verify(entry.image_id, entry.seal, each)
        if right is False:
            report.removed(Removed(1, entry.seal.size, (entry.image_id,)), "damaged")
        elif right:
            report.note("verified", entry.image_id)

    def _image(self, image_id: str) -> Image | None:
        try:
            return self._repository.get_any(image_id)
        except errors.ImageNotFound:
            return None

    def _checksum(self, entry: CachedImage) -> str | None:
        image = self._image(entry.image_id)
        return image.checksum if image is not None and sealed(image) == entry.seal else None


class _Stopped(Exception):
    """The process ends."""


class _Pace:
    """Not more than ``rate`` bytes a second, in pieces of 1 MiB."""

    def __init__(self, rate: int, stop: threading.Event) -> None:
        self._rate, self._stop = rate, stop
        self._pieces, self._began = 0, time.monotonic()

    def wait(self) -> None:
        self._pieces += 1
        ahead = self._pieces * (1 << 20) / self._rate - (time.monotonic() - self._began)
        if ahead > 0:
            self._stop.wait(ahead)
