"""The auditor: reads all stored data again, at a bounded rate, and compares it with the hash that it had when it came
in.

A copy that is wrong is marked, so that nobody reads it any more, and replaced from a good one. The next pass tries
again what this one could not mend, and takes back a mark when the data is right after all."""

from __future__ import annotations

import contextlib
import logging
import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterator

from glancecore.domain import errors
from glancecore.domain.image import Image, Location, LocationStatus
from glancecore.features.copies.copying import Copying
from glancecore.features.copies.extension import CopiesExtension
from glancecore.features.copies.options import AUDITOR
from glancecore.features.copies.use_cases import WITH_DATA, CopyVerdict, Inspected
from glancecore.kernel.core import CoreTools
from glancecore.periodic.pace import JobPace
from glancecore.ports.options import Section
from glancecore.ports.periodic import JobContext, PeriodicJob
from glancecore.ports.store import Cap
from glancecore.sdk.checkpoints import checkpoint

LOG = logging.getLogger(__name__)
#: Copies that are looked for when one is missing.
_SAMPLE = 20
#: Images that are asked for at once.
_PAGE = 50
#: Seconds between two times that it is remembered how far the pass is.
_REMEMBER = 5.0


class Auditor(PeriodicJob):
    """Compares stored data with its hashes, marks bad copies, repairs them from good ones."""

    options, interval = AUDITOR, 7 * 86400.0
    alarms = frozenset({"lost"})
    summary = "reads stored data again, marks damaged copies, repairs them from good ones"

    def __init__(self, conf: Section, tools: CoreTools) -> None:
        super().__init__(conf, tools)
        self._tools = tools
        self._copies = tools.of(CopiesExtension).use_cases
        self._copying = Copying(tools)
        #: Missing copies of this run, by their store.
        self._missing: Counter[str] = Counter()
        #: Stores that this run leaves alone, for their data is not where it is expected; each with the image behind
        #: which that began.
        self._left: dict[str, tuple[str, errors.StoreError]] = {}

    def run(self, turn: JobContext) -> None:
        """One pass over all images, or the rest of one: it was cut off, or stores were left alone. Raises PlaceMissing,
        StoreError at its end when some were: nothing is marked there, and until the next pass is due the next runs read
        those alone."""
        self._missing.clear()
        self._left.clear()
        state, until = dict(turn.state), turn.state.get("until")
        if isinstance(until, float) and until <= time.time():
            state = {}
        rest: dict[str, object] = {x: state[x] for x in ("stores", "until") if x in state}
        ours = self._stores()
        ours = ours & frozenset(str(state.get("stores", "")).split(",")) or ours
        after = str(state.get("after") or "")
        for store_id in sorted(ours):
            with self._leaving(store_id, after):
                self._see(store_id)
        if after:
            turn.count("passes continued")
        pace, remembered = JobPace(turn, self.conf.bytes_per_second), time.monotonic()
        while ours - self._left.keys() and (page := self._tools.database.images.scan(WITH_DATA, after, _PAGE)):
            for image in page:
                turn.check()
                self._audit(turn, image, after, ours, pace.passed)
                after = image.id
                if time.monotonic() - remembered >= _REMEMBER:
                    turn.remember({**rest, "after": after})
                    remembered = time.monotonic()
        self._end(turn, rest)

    def _end(self, turn: JobContext, rest: dict[str, object]) -> None:
        """Raises PlaceMissing, StoreError."""
        if not self._left:
            turn.remember({})
            return
        until = rest.get("until", time.time() + self.conf.interval)
        turn.remember(
            {
                "stores": ",".join(sorted(self._left)),
                "after": min(after for after, _ in self._left.values()),
                "until": until,
            }
        )
        *others, last = (exc for _, exc in self._left.values())
        for exc in others:
            turn.fail(str(exc))
        raise last

    @contextlib.contextmanager
    def _leaving(self, store_id: str, after: str) -> Iterator[None]:
        """A store whose data is not there is left alone from now on; the others are read."""
        try:
            yield
        except errors.StoreError as exc:
            LOG.error("store %s: the auditor leaves it alone: %s", store_id, exc)
            self._left[store_id] = after, exc

    def _stores(self) -> frozenset[str]:
        """Those whose copies are read. Raises UnknownStore."""
        wanted = self.conf.stores
        if wanted:
            return frozenset(self._tools.stores.get(x).id for x in wanted)
        return frozenset(x.id for x in self._tools.stores if not x.offers(Cap.EXTERNAL))

    def _audit(
        self, turn: JobContext, image: Image, after: str, ours: frozenset[str], passing: Callable[[int], None]
    ) -> None:
        locations = [x for x in image.live_locations if x.store in ours and x.store not in self._left]
        if not locations:
            return
        if image.checksum is None and not (image.hash_algo and image.hash_value):
            turn.count("without hash")
            return
        turn.count("images")
        found = {x.url: self._copies.inspect(image, x, passing) for x in locations}
        for location in locations:
            turn.count("copies")
            if found[location.url].verdict is CopyVerdict.MISSING and location.status is not LocationStatus.DAMAGED:
                with self._leaving(location.store, after):
                    self._doubt(turn, location.store)
            if location.store not in self._left:
                self._judge(turn, image, location, found[location.url])
        bad = [
            x
            for x in locations
            if x.store not in self._left and found[x.url].verdict in (CopyVerdict.DAMAGED, CopyVerdict.MISSING)
        ]
        if bad:
            self._repair(turn, image, bad)

    def _judge(self, turn: JobContext, image: Image, location: Location, found: Inspected) -> None:
        if found.verdict is CopyVerdict.UNREAD:
            turn.count("unread")
            turn.fail(f"image {image.id}: its copy in store {location.store} can't be read now: {found.why}")
        elif found.verdict is CopyVerdict.GOOD:
            if location.status is LocationStatus.DAMAGED:
                turn.find("recovered", image.id, f"its copy in store {location.store} is good again")
                self._mark(turn, image, location, LocationStatus.ACTIVE)
        else:
            turn.find(found.verdict.value, image.id, found.why)
            self._mark(turn, image, location, LocationStatus.DAMAGED)

    def _see(self, store_id: str) -> None:
        """Raises PlaceMissing when the store's data is not where it is expected. One that does not answer may do so
        when it is read."""
        try:
            self._tools.stores.get(store_id).ping()
        except errors.PlaceMissing:
            LOG.error(
                "store %s: its data is not there, so nothing is marked as missing: see glance-manage store show %s",
                store_id,
                store_id,
            )
            raise
        except errors.StoreError as exc:
            LOG.warning("store %s: %s", store_id, exc)

    def _doubt(self, turn: JobContext, store_id: str) -> None:
        """A copy is missing: or is it the store? Looks at the first and at each twentieth. Raises PlaceMissing,
        StoreError."""
        self._missing[store_id] += 1
        if self._missing[store_id] % _SAMPLE != 1:
            return
        self._see(store_id)
        store, places = self._tools.stores.get(store_id), self._tools.database.places
        start = str(uuid.uuid4())
        images = [*places.holding(store_id, start, _SAMPLE), *places.holding(store_id, "", _SAMPLE)]
        urls = list(
            {
                x.url
                for image in images
                for x in image.locations
                if x.store == store_id and x.status is LocationStatus.ACTIVE
            }
        )[:_SAMPLE]
        missing = 0
        for url in urls:
            turn.check()
            try:
                store.size(url)
            except errors.BlobNotFound:
                missing += 1
        if missing > self.conf.most_missing:
            raise errors.PlaceMissing(
                f"store {store_id}: {missing} of {len(urls)} copies that were looked for are missing, so it is the"
                " store that is wrong, and none is marked; bring its data back, or, when they are really gone, run the"
                " auditor once with [periodic_auditor] most_missing = 20",
                store_id,
            )

    def _mark(self, turn: JobContext, image: Image, location: Location, status: LocationStatus) -> None:
        if not turn.dry_run:
            self._copies.mark(image.id, location.url, status)
            checkpoint("repair.marked")

    def _repair(self, turn: JobContext, image: Image, bad: list[Location]) -> None:
        """Each bad copy by a new one in its store, or by nothing when that store has another good one or drains."""
        urls = {x.url for x in bad}
        good = [x for x in image.live_locations if x.url not in urls and x.status is LocationStatus.ACTIVE]
        if not good:
            turn.find(
                "lost",
                image.id,
                "no copy is good: its data can't be downloaded; upload it anew as another image, or bring the store's "
                "data back from a backup",
            )
            return
        if not self.conf.repair:
            return
        for location in bad:
            if turn.dry_run:
                turn.find(
                    "repairable",
                    image.id,
                    f"its copy in store {location.store} would be replaced from store {good[0].store}",
                )
                continue
            try:
                self._replace(turn, image, location)
            except errors.JobStopped:
                raise
            except errors.GlanceError as exc:
                turn.fail(f"image {image.id}: its copy in store {location.store} could not be replaced: {exc}")

    def _replace(self, turn: JobContext, image: Image, location: Location) -> None:
        now = self._tools.database.images.get_any(image.id)
        if (
            not any(x.store == location.store for x in now.good_locations)
            and not self._tools.stores.get(location.store).draining
        ):
            self._copying.copy(turn, image.id, location.store)
            checkpoint("repair.copied")
        if self._copies.drop_damaged(image.id, location.url):
            turn.find("repaired", image.id, f"its copy in store {location.store} was replaced")
