"""Copies that are marked as damaged are read anew when there is reason to think that their bytes are back.

That is when their store comes back, and when somebody asks for an image that has no other copy. One thread reads, at a
bounded rate. What is good again is used again; everything else stays as it was, and the auditor's."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from queue import SimpleQueue

from glancecore.domain import errors
from glancecore.domain.image import Image, Location, LocationStatus
from glancecore.features.copies.use_cases import WITH_DATA, Copies, CopyVerdict
from glancecore.kernel.transfer.stores import Stores
from glancecore.ports.repository import Database

LOG = logging.getLogger(__name__)
#: Bytes that are read in a second.
RATE = 50 << 20
#: Seconds after the copies of an image were read until they are read again because somebody asks for it.
REST = 60.0
#: Images that are remembered for that, and images that wait.
_REMEMBERED = 1000
#: Seconds that one process has for a store that came back, until another one may do it.
_TTL = 600.0
_PAGE = 100


class Rechecking:
    def __init__(self, database: Database, stores: Stores, copies: Copies, holder: str) -> None:
        self._database = database
        self._stores = stores
        self._copies = copies
        self._holder = holder
        self._work: SimpleQueue[Callable[[], None]] = SimpleQueue()
        self._stopping = threading.Event()
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        #: Images whose work waits or is under way, and when it ended for others.
        self._images: set[str] = set()
        self._done: dict[str, float] = {}
        #: Stores whose work waits.
        self._waiting: set[str] = set()

    def image(self, image: Image) -> None:
        """Soon, unless this waits, or was done just now."""
        with self._lock:
            if image.id in self._images or len(self._images) >= _REMEMBERED or not self._has_rested(image.id):
                return
            self._images.add(image.id)
        self._begin(lambda: self._recheck_image(image.id))

    def store(self, store_id: str) -> None:
        """All damaged copies in it, soon, in one of the processes that see that it is back."""
        with self._lock:
            if store_id in self._waiting:
                return
            self._waiting.add(store_id)
        self._begin(lambda: self._recheck_store(store_id))

    def stop(self) -> None:
        self._stopping.set()

    # -- inside ------------------------------------------------------------------------------------
    def _has_rested(self, image_id: str) -> bool:
        now = time.monotonic()
        if len(self._done) >= _REMEMBERED:
            self._done = {x: at for x, at in self._done.items() if now - at < REST}
            if len(self._done) >= _REMEMBERED:
                return False
        return now - self._done.get(image_id, -REST) >= REST

    def _begin(self, work: Callable[[], None]) -> None:
        self._work.put(work)
        with self._lock:
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="rechecking", daemon=True)
                self._thread.start()

    def _run(self) -> None:
        while not self._stopping.is_set():
            work = self._work.get()
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
