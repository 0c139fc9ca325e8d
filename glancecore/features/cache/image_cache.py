"""Image data through the cache: a hit is a local file; a miss is read from the stores once, however many ask, and all
stream.

The bytes are read from the stores by a thread of their own, at the stores' speed: a slow client does not hold the
others up, and one that goes away stops nothing. What the image's hash does not confirm never becomes an entry, and
nobody gets its last byte. Whatever goes wrong with the cache itself, the data comes from the stores. One project's
downloads leave the others threads and room to fill it."""

from __future__ import annotations

import hashlib
import logging
import threading
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import closing, contextmanager

from glancecore.domain import errors
from glancecore.domain.image import Image, Status
from glancecore.features.cache.fills import FillPlaces
from glancecore.kernel import metrics
from glancecore.kernel.transfer.cached_data import CachedData, CopySource
from glancecore.kernel.transfer.hashing import Hashes
from glancecore.ports.cache import Cache, Fill, RemovalReason, Seal, Tail
from glancecore.ports.store import CHUNK
from glancecore.sdk import log_lines

LOG = logging.getLogger(__name__)
#: Times that an entry is filled anew after a failure, and seconds for which it is not tried again after that.
TRIES, AVOIDED = 2, 30.0
#: Entries that downloads of this process fill at once.
AT_ONCE = 16


def sealed(image: Image) -> Seal | None:
    """What the image's data must be; None when it is not known, or when there is none: then it is not cached."""
    if not image.size:
        return None
    if image.hash_value and image.hash_algo and image.hash_algo in hashlib.algorithms_available:
        return Seal(image.size, image.hash_algo, image.hash_value)
    return Seal(image.size, "md5", image.checksum) if image.checksum else None


class ImageCache:
    """One per process. ``patience``: seconds without a new byte after which who follows a fill goes to the stores
    itself; ``room``: bytes that the cache may take."""

    def __init__(self, cache: Cache, patience: float, room: int) -> None:
        self.driver = cache
        self._places = FillPlaces(AT_ONCE, room)
        self._patience = patience
        self._filled: Callable[[str], None] = lambda _id: None
        self._failures: dict[str, tuple[int, float]] = {}
        self._damaged: dict[str, tuple[int, float]] = {}

    def when_filled(self, filled: Callable[[str], None]) -> None:
        """Call ``filled`` with the id of each image that this process has cached. It must not raise."""
        self._filled = filled

    def file(self, image: Image) -> CachedData | None:
        """The image's data as an open file; None when it is not cached."""
        seal = sealed(image)
        if seal is None:
            return None
        try:
            with self._survived("open"):
                found = self.driver.open(image.id, seal)
        except errors.CacheUnavailable:
            return None
        if found is None:
            return None
        metrics.CACHE_REQUESTS.labels("hit").inc()
        try:
            found.fileno()
        except OSError:
            return CachedData(found, sendable=False)
        return CachedData(found, sendable=True)

    def takes(self, image: Image) -> bool:
        """Whether a download of the whole image is to fill the cache."""
        return image.status is Status.ACTIVE and sealed(image) is not None and not self._avoided(image.id)

    def stream(self, image: Image, source: CopySource) -> Generator[bytes, None, None]:
        """The image's bytes from the first, of whoever reads them from the stores. When this ends early, the rest is to
        be read from the stores. Raises FillDamaged when the stores' bytes are not what the image's hash says; the next
        one to ask is given another copy's."""
        seal = sealed(image)
        if seal is None:
            return
        if self._damaged_copies(image.id) >= source.copies:
            raise errors.FillDamaged(f"the data of image {image.id} in its store is not what the image's hash says")
        at, followed = 0, False
        while at < seal.size and not self._avoided(image.id):
            made, ended = self._looked(image, seal, source.project)
            if made is None:
                metrics.CACHE_REQUESTS.labels("passed").inc()
                return
            if isinstance(made, Fill):
                followed = True
                metrics.CACHE_REQUESTS.labels("miss").inc()
                self._start(made, image, seal, source, ended)
                continue
            if not followed:
                followed = True
                metrics.CACHE_REQUESTS.labels("followed").inc()
            with closing(made):
                for piece in self._followed(made, image, at, seal.size):
                    at += len(piece)
                    yield piece

    def fill(self, image: Image, source: CopySource, check: Callable[[], None] = lambda: None) -> bool:
        """Cache the image, or wait until another reader has; whether it is cached. ``check`` is called for each piece:
        when it raises, what was written is removed, and whoever follows goes to the stores. Raises FillDamaged, and
        what ``check`` raises."""
        seal = sealed(image)
        if seal is None:
            return False
        damaged = self._damaged_copies(image.id)
        if damaged < source.copies and not self._avoided(image.id):
            made = self._claim(image, seal)
            if made is None:
                metrics.CACHE_REQUESTS.labels("passed").inc()
                return False
            if isinstance(made, Fill):
                metrics.CACHE_REQUESTS.labels("miss").inc()
                self._run(made, image, seal, source, check)
                if self._damaged_copies(image.id) > damaged:
                    raise errors.FillDamaged(
                        f"the data of image {image.id} in its store is not what the image's hash says"
                    )
                if self._has(image, seal):
                    return True
            else:
                made.close()
        with closing(self.stream(image, source)) as pieces:
            for _ in pieces:
                check()
        return self._has(image, seal)

    def _has(self, image: Image, seal: Seal) -> bool:
        with self._survived("open"):
            found = self.driver.open(image.id, seal, count=False)
        if found is not None:
            found.close()
        return found is not None

    def drop(self, image_id: str) -> None:
        """The image is gone: so is its entry. What can't be dropped now is found by the cleaner."""
        try:
            with self._survived("drop"):
                if self.driver.drop(image_id) | self.driver.unqueue(image_id):
                    LOG.info("image %s is dropped from the cache", image_id)
        except errors.CacheUnavailable as exc:
            LOG.warning("image %s stays in the cache until it is cleaned: %s", image_id, exc)

    def verify(self, image_id: str, seal: Seal, passing: Callable[[int], None] = lambda _: None) -> bool | None:
        """Hash the entry's bytes; drop it when they are wrong. None when there is no such entry any more. ``passing``
        is called with the bytes of each piece. Raises CacheUnavailable, and the GlanceErrors that ``passing``
        raises."""
        with self._survived("open"):
            file = self.driver.open(image_id, seal, count=False)
        if file is None:
            return None
        hashes = Hashes([seal.algorithm])
        with closing(hashes), self._survived("verify"):
            with file:
                while piece := file.read(CHUNK):
                    passing(len(piece))
                    hashes.update(piece)
            if hashes.result()[seal.algorithm] == seal.digest:
                self.driver.verified(image_id, seal)
                return True
            LOG.error("the cached data of image %s is damaged: it is dropped", image_id)
            metrics.CACHE_REMOVED.labels("damaged").inc()
            self.driver.drop(image_id)
        return False

    # -- inside ------------------------------------------------------------------------------------
    def _looked(self, image: Image, seal: Seal, project: str | None) -> tuple[Fill | Tail | None, Callable[[], None]]:
        """An entry to follow, or to fill, and what is to be called when that has ended; None: neither."""
        may, place = self._places.look(project, image)
        made = self._claim(image, seal) if may else None
        if isinstance(made, Fill):
            held = place or self._places.add(project, image)
            return made, lambda: self._places.give_back(held)
        if place is not None:
            self._places.give_back(place)
        return made, lambda: None

    def _claim(self, image: Image, seal: Seal) -> Fill | Tail | None:
        try:
            with self._survived("claim"):
                return self.driver.claim(image.id, seal)
        except errors.CacheUnavailable as exc:
            LOG.warning("image %s is sent past the cache: %s", image.id, exc)
            return None

    def _followed(self, tail: Tail, image: Image, at: int, size: int) -> Iterator[bytes]:
        """What the tail gives, until it gives no more."""
        while at < size:
            try:
                with self._survived("read"):
                    piece = tail.read(at, CHUNK, self._patience)
            except errors.FillDamaged:
                raise
            except errors.CacheUnavailable as exc:
                LOG.info("image %s: at byte %d of its cache entry: %s", image.id, at, exc)
                return
            if not piece:
                LOG.warning(
                    "image %s: no new byte of its cache entry for %g s: it is sent past the cache",
                    image.id,
                    self._patience,
                )
                self._failed(image.id, TRIES)
                return
            at += len(piece)
            yield piece

    def _start(self, fill: Fill, image: Image, seal: Seal, source: CopySource, ended: Callable[[], None]) -> None:
        try:
            threading.Thread(
                target=log_lines.carried(self._run),
                args=(fill, image, seal, source, lambda: None, ended),
                name=f"cache-{image.id[:8]}",
                daemon=True,
            ).start()
        except RuntimeError as exc:  # no thread left
            LOG.warning("image %s can't be cached now: %s", image.id, exc)
            ended()
            self._failed(image.id, TRIES)
            fill.abort()

    def _run(
        self,
        fill: Fill,
        image: Image,
        seal: Seal,
        source: CopySource,
        check: Callable[[], None] = lambda: None,
        ended: Callable[[], None] = lambda: None,
    ) -> None:
        """The one reader of the stores. Raises what ``check`` raises, which is called for each piece. ``ended`` is
        called before others may fill the entry."""
        stopped: list[BaseException] = []

        def go_on() -> None:
            try:
                check()
            except BaseException as exc:
                stopped.append(exc)
                raise

        hashes = Hashes([seal.algorithm])
        came, damaged, bad = 0, False, self._damaged_copies(image.id)
        try:
            for piece in source.read(bad):
                go_on()
                with self._survived("write"):
                    fill.write(piece)
                hashes.update(piece)
                came += len(piece)
            damaged = came == seal.size and hashes.result()[seal.algorithm] != seal.digest
            if not damaged:
                with self._survived("publish"):
                    fill.publish()
                self._failures.pop(image.id, None)
                self._filled(image.id)
                return
            LOG.error("image %s: what its store gives is not what its hash says; it is not cached", image.id)
            metrics.CACHE_REMOVED.labels("damaged_source").inc()
            self._damaged[image.id] = (bad + 1, time.monotonic() + AVOIDED)
        except Exception as exc:
            if stopped:
                raise
            self._not_cached(image.id, exc)
        finally:
            metrics.CACHE_FILLED.inc(came)
            hashes.close()
            ended()
            fill.abort(damaged=damaged)  # nothing when it is published

    def _not_cached(self, image_id: str, exc: Exception) -> None:
        if isinstance(exc, errors.GlanceError):
            LOG.warning("image %s is not cached: %s", image_id, exc)
        else:
            LOG.error("image %s is not cached", image_id, exc_info=exc)
        self._failed(image_id, 1 if isinstance(exc, (errors.StoreError, errors.FillBroken)) else TRIES)

    def _damaged_copies(self, image_id: str) -> int:
        """How many copies, from the first, this process has just found damaged."""
        count, until = self._damaged.get(image_id, (0, 0.0))
        if count and until < time.monotonic():
            self._damaged.pop(image_id, None)
            return 0
        return count

    def _failed(self, image_id: str, weight: int) -> None:
        count, _ = self._failures.get(image_id, (0, 0.0))
        self._failures[image_id] = (count + weight, time.monotonic() + AVOIDED)

    def _avoided(self, image_id: str) -> bool:
        count, until = self._failures.get(image_id, (0, 0.0))
        if count and until < time.monotonic():
            self._failures.pop(image_id, None)
            return False
        return count >= TRIES

    @contextmanager
    def _survived(self, operation: str) -> Iterator[None]:
        """What a driver raises beside the named errors is its mistake, and no reason not to serve."""
        try:
            yield
        except errors.GlanceError:
            raise
        except Exception as exc:
            LOG.exception("the image cache failed in %s", operation)
            raise errors.CacheUnavailable("the image cache failed") from exc


def told(what: RemovalReason, size: int) -> None:
    """For ``CacheSettings.on_removed``: what the cache removes by itself is counted."""
    metrics.CACHE_REMOVED.labels(what.value).inc()
    metrics.CACHE_REMOVED_BYTES.labels(what.value).inc(size)
