"""The care of a machine's image cache: fetching what is queued, pruning, cleaning and verifying."""

from __future__ import annotations

from datetime import timedelta

from glancecore.domain.errors import ConfigError
from glancecore.features.cache.extension import CacheExtension
from glancecore.features.cache.options import CLEANER, PREFETCHER
from glancecore.features.cache.use_cases import Caching, Fetched
from glancecore.kernel.core import CoreTools
from glancecore.periodic.pace import JobPace
from glancecore.ports.cache import CachedImage, Removed
from glancecore.ports.options import Section
from glancecore.ports.periodic import JobContext, PeriodicJob


class CacheJob(PeriodicJob):
    """A cache is a folder on a machine's own disk: each machine looks after its own."""

    of_machine = True

    def __init__(self, conf: Section, tools: CoreTools) -> None:
        super().__init__(conf, tools)
        self._there = tools.of(CacheExtension).caching

    def applies(self) -> bool:
        return self._there is not None

    @property
    def caching(self) -> Caching:
        if self._there is None:
            raise ConfigError("[DEFAULT] image_cache_dir: it is not set, so there is no cache")
        return self._there


class CachePrefetcher(CacheJob):
    """Caches what is queued, in that order, also what is queued meanwhile."""

    options, interval = PREFETCHER, 300.0
    summary = "caches the queued images"

    def run(self, turn: JobContext) -> None:
        seen: set[str] = set()
        while waiting := [x for x in self.caching.queued() if x not in seen]:
            for image_id in waiting:
                turn.check()
                seen.add(image_id)
                self._told(turn, image_id, self.caching.fetch(image_id, turn.check, dry_run=turn.dry_run))
        if not turn.dry_run:
            self.caching.tell()

    @staticmethod
    def _told(turn: JobContext, image_id: str, outcome: Fetched) -> None:
        match outcome:
            case Fetched.FETCHED | Fetched.WANTED:
                turn.find(outcome.value, image_id, "it was queued")
            case Fetched.NOT_ACTIVE:
                turn.find(outcome.value, image_id, "it has no data of a known hash: it is no longer queued")
            case Fetched.TOO_LARGE:
                turn.find(outcome.value, image_id, "it is larger than image_cache_max_size: it is no longer queued")
            case Fetched.DAMAGED:
                turn.find(
                    outcome.value, image_id, "no copy has the bytes that the image's hash says: it is no longer queued"
                )
            case Fetched.FAILED:
                turn.fail(f"image {image_id} could not be cached now: it stays queued")


class CachePruner(CacheJob):
    """Shrinks the cache to its bound."""

    interval = 3600.0
    summary = "shrinks the cache to image_cache_max_size, when that was lowered"

    def run(self, turn: JobContext) -> None:
        _removed(turn, "pruned", self.caching.prune(dry_run=turn.dry_run), "it is the least recently used")
        if not turn.dry_run:
            self.caching.tell()


class CacheCleaner(CacheJob):
    """Removes what nobody needs or nobody should get."""

    options, interval = CLEANER, 3600.0
    summary = "removes leftovers, entries of images that are no more, and damaged entries"

    def run(self, turn: JobContext) -> None:
        _removed(
            turn, "leftover", self.caching.drop_leftovers(dry_run=turn.dry_run), "its writer is dead, or stands still"
        )
        for entry in list(self.caching.orphans()):
            turn.check()
            self._drop(turn, entry)
        for image_id in list(self.caching.queued_in_vain()):
            turn.find("unqueued", image_id, "there is no such image")
            if not turn.dry_run:
                self.caching.unqueue(image_id)
        if not turn.dry_run:
            self.caching.tell()
        if (spell := self.spell()) is not None:
            self._verify(turn, spell)

    def spell(self) -> timedelta | None:
        """Entries are hashed that were not for so long."""
        return timedelta(seconds=self.conf.verify_after) if self.conf.verify_after else None

    def _verify(self, turn: JobContext, spell: timedelta) -> None:
        pace = JobPace(turn, self.conf.bytes_per_second)
        for entry in self.caching.not_verified_for(spell):
            turn.check()
            if turn.dry_run:
                turn.find("to be verified", entry.image_id, f"last verified {entry.verified:%Y-%m-%d %H:%M}")
                continue
            right = self.caching.verify(entry, pace.passed)
            if right:
                turn.count("verified")
            elif right is False:
                _removed(
                    turn,
                    "damaged",
                    Removed(1, entry.seal.size, (entry.image_id,)),
                    "its bytes are not those that were cached",
                )
                self.caching.tell()

    def _drop(self, turn: JobContext, entry: CachedImage) -> None:
        _removed(
            turn,
            "orphan",
            Removed(1, entry.seal.size, (entry.image_id,)),
            "the image is gone, or has other data by now",
        )
        if not turn.dry_run:
            self.caching.drop(entry)


class WholeCacheCleaner(CacheCleaner):
    """The cleaner that an operator asks to hash everything."""

    def spell(self) -> timedelta:
        return timedelta()


def _removed(turn: JobContext, kind: str, what: Removed, why: str) -> None:
    turn.count("files removed", what.files)
    turn.count("bytes removed", what.bytes)
    for image_id in what.image_ids:
        turn.find(kind, image_id, why)
