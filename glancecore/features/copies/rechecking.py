"""Copies that are marked as damaged are read anew when there is reason to think that their bytes are back.

That is when their store comes back, and when somebody asks for an image that has no other copy. One thread reads, at a
bounded rate, for the projects in turn. What is good again is used again; everything else stays as it was, and the
auditor's."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable

from glancecore.domain import errors
from glancecore.domain.image import Image, Location, LocationStatus
from glancecore.features.copies.use_cases import WITH_DATA, Copies, CopyVerdict
from glancecore.kernel.transfer.stores import Stores
from glancecore.ports.repository import Database
from glancecore.sdk.workers import Workers

LOG = logging.getLogger(__name__)
#: Bytes that are read in a second.
RATE = 50 << 20
#: Seconds after the copies of an image were read until they are read again because somebody asks for it.
REST = 60.0
#: Images that are remembered for that, and work that waits; so much of this is kept for stores.
_REMEMBERED, _FOR_STORES = 1000, 100
#: Seconds that one process has for a store that came back, until another one may do it.
_TTL = 600.0
_PAGE = 100


class Rechecking:
    def __init__(self, database: Database, stores: Stores, copies: Copies, holder: str) -> None:
        self._database = database
        self._stores = stores
        self._copies = copies
        self._holder = holder
        #: For the projects in turn, and for stores.
        self._workers = Workers("rechecking", 1, _REMEMBERED)
        self._stopping = self._workers.stopping
        self._lock = threading.Lock()
        #: Images whose work waits or is under way, and when it ended for others.
        self._images: set[str] = set()
        self._done: dict[str, float] = {}
        #: Stores whose work waits.
        self._waiting: set[str] = set()

    def image(self, image: Image) -> None:
        """Soon, unless this waits, or was done just now."""
        with self._lock:
            if (
                image.id in self._images
                or len(self._images) >= _REMEMBERED - _FOR_STORES
                or not self._has_rested(image.id)
            ):
                return
            self._images.add(image.id)
        if not self._begin(lambda: self._recheck_image(image.id), image.owner):
            with self._lock:
                self._images.discard(image.id)

    def store(self, store_id: str) -> None:
        """All damaged copies in it, soon, in one of the processes that see that it is back."""
        with self._lock:
            if store_id in self._waiting:
                return
            self._waiting.add(store_id)
        if not self._begin(lambda: self._recheck_store(store_id), None):
            with self._lock:
                self._waiting.discard(store_id)

    def stop(self) -> None:
        self._workers.stop()

    # -- inside ------------------------------------------------------------------------------------
    def _has_rested(self, image_id: str) -> bool:
        now = time.monotonic()
        if len(self._done) >= _REMEMBERED:
            self._done = {x: at for x, at in self._done.items() if now - at < REST}
            if len(self._done) >= _REMEMBERED:
                return False
        return now - self._done.get(image_id, -REST) >= REST

    def _begin(self, work: Callable[[], None], project: str | None) -> bool:
        """False: too much waits already."""
        try:
            self._workers.submit(lambda: self._run(work), project)
        except errors.ServerBusy:
            return False
        return True

    def _run(self, work: Callable[[], None]) -> None:
        if self._stopping.is_set():
            return
        try:
            work()
        except errors.JobStopped:
            return
        except errors.GlanceError as exc:
            LOG.warning("damaged copies can't be read anew now: %s", exc)
        except Exception:
            LOG.exception("damaged copies could not be read anew")

    def _recheck_image(self, image_id: str) -> None:
        try:
            self._recheck(image_id, None, self._paced)
        finally:
            with self._lock:
                self._images.discard(image_id)
                self._done[image_id] = time.monotonic()

    def _recheck_store(self, store_id: str) -> None:
        job, held = f"recheck:{store_id}", time.monotonic()
        with self._lock:
            self._waiting.discard(store_id)  # it may come back once more meanwhile

        def paced(count: int) -> None:
            nonlocal held
            self._paced(count)
            if time.monotonic() - held >= _TTL / 4:
                if not self._database.jobs.hold(job, self._holder, _TTL):
                    raise errors.LeaseLost(f"another process reads store {store_id} now")
                held = time.monotonic()

        if not self._database.jobs.hold(job, self._holder, _TTL):
            return
        try:
            after = ""
            while page := self._database.places.holding(store_id, after, _PAGE):
                for image in page:
                    if any(self._doubtful(image, store_id)):
                        self._recheck(image.id, store_id, paced)
                    paced(0)
                after = page[-1].id
        finally:
            self._database.jobs.let_go(job, self._holder)

    def _recheck(self, image_id: str, store_id: str | None, paced: Callable[[int], None]) -> None:
        try:
            image = self._database.images.get_any(image_id)  # it may have waited for long
        except errors.ImageNotFound:
            return
        if image.status not in WITH_DATA or (image.checksum is None and image.hash_value is None):
            return
        for location in self._doubtful(image, store_id):
            if self._may_be_back(image, location):
                found = self._copies.inspect(image, location, paced)
                if (
                    found.verdict is CopyVerdict.GOOD
                    and self._copies.mark(image.id, location.url, LocationStatus.ACTIVE) is not None
                ):
                    LOG.warning("image %s: its copy in store %s is good again", image.id, location.store)

    @staticmethod
    def _doubtful(image: Image, store_id: str | None) -> list[Location]:
        return [x for x in image.live_locations if x.status is LocationStatus.DAMAGED and store_id in (None, x.store)]

    def _may_be_back(self, image: Image, location: Location) -> bool:
        """Asked before all of it is read."""
        try:
            size = self._stores.holding(location).size(location.url)
        except errors.StoreError:
            return False
        return image.size in (None, size)

    def _paced(self, count: int) -> None:
        if self._stopping.wait(count / RATE):
            raise errors.JobStopped("the process ends")
