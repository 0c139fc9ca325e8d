"""The auditor: reads all stored data again, at a bounded rate, and compares it with the hash that it had when it came in.

A copy that is wrong is marked, so that nobody reads it any more, and replaced from a good one. The next pass tries again what this one
could not mend, and takes back a mark when the data is right after all.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from glancecore.domain import errors
from glancecore.domain.image import Image, Location, LocationStatus
from glancecore.periodic.copying import Copying
from glancecore.periodic.options import JOBS
from glancecore.periodic.pace import Pace
from glancecore.periodic.tools import Tools
from glancecore.ports.options import Section
from glancecore.ports.periodic import PeriodicJob, Turn
from glancecore.ports.store import Cap
from glancecore.services.checkpoints import reach
from glancecore.services.copies import WITH_DATA, Inspected, Verdict

#: Images that are asked for at once.
_PAGE = 50
#: Seconds between two times that it is remembered how far the pass is.
_REMEMBER = 5.0


class Auditor(PeriodicJob):
    """Compares stored data with its hashes, marks bad copies, repairs them from good ones."""

    options, interval = JOBS["auditor"]
    summary = "reads stored data again, marks damaged copies, repairs them from good ones"

    def __init__(self, conf: Section, tools: Tools) -> None:
        super().__init__(conf, tools)
        self._tools = tools
        self._copying = Copying(tools)

    def run(self, turn: Turn) -> None:
        """One pass over all images, or the rest of one that was cut off."""
        self._stores()
        after = str(turn.state.get("after") or "")
        if after:
            turn.count("passes continued")
        pace, remembered = Pace(turn, self.conf.bytes_per_second), time.monotonic()
        while page := self._tools.database.images.scan(WITH_DATA, after, _PAGE):
            for image in page:
                turn.check()
                self._audit(turn, image, pace.passed)
                after = image.id
                if time.monotonic() - remembered >= _REMEMBER:
                    turn.remember({"after": after})
                    remembered = time.monotonic()
        turn.remember({})

    def _stores(self) -> frozenset[str]:
        """Those whose copies are read. Raises UnknownStore."""
        wanted = self.conf.stores
        if wanted:
            return frozenset(self._tools.stores.get(x).id for x in wanted)
        return frozenset(x.id for x in self._tools.stores if not x.can(Cap.EXTERNAL))

    def _audit(self, turn: Turn, image: Image, passing: Callable[[int], None]) -> None:
        ours = self._stores()
        locations = [x for x in image.live_locations if x.store in ours]
        if not locations:
            return
        if image.checksum is None and not (image.hash_algo and image.hash_value):
            turn.count("without hash")
            return
        turn.count("images")
        found = {x.url: self._tools.copies.inspect(image, x, passing) for x in locations}
        for location in locations:
            turn.count("copies")
            self._judge(turn, image, location, found[location.url])
        if any(x.verdict in (Verdict.DAMAGED, Verdict.MISSING) for x in found.values()):
            self._repair(turn, image, [x for x in locations if found[x.url].verdict in (Verdict.DAMAGED, Verdict.MISSING)])

    def _judge(self, turn: Turn, image: Image, location: Location, found: Inspected) -> None:
        if found.verdict is Verdict.UNREAD:
            turn.count("unread")
            turn.fail(f"image {image.id}: its copy in store {location.store} can't be read now: {found.why}")
        elif found.verdict is Verdict.GOOD:
            if location.status is LocationStatus.DAMAGED:
                turn.find("recovered", image.id, f"its copy in store {location.store} is good again")
                self._mark(turn, image, location, LocationStatus.ACTIVE)
        else:
            turn.find(found.verdict.value, image.id, found.why)
            self._mark(turn, image, location, LocationStatus.DAMAGED)

    def _mark(self, turn: Turn, image: Image, location: Location, status: LocationStatus) -> None:
        if not turn.dry_run:
            self._tools.copies.mark(image.id, location.url, status)
            reach("repair.marked")

    def _repair(self, turn: Turn, image: Image, bad: list[Location]) -> None:
        """Each bad copy by a new one in its store, or by nothing when that store has another good one."""
        urls = {x.url for x in bad}
        good = [x for x in image.live_locations if x.url not in urls and x.status is LocationStatus.ACTIVE]
        if not good:
            turn.find("lost", image.id, "no copy is good: its data can't be downloaded; upload it anew as another image, or bring the store's "
                                        "data back from a backup")
            return
        if not self.conf.repair:
            return
        for location in bad:
            if turn.dry_run:
                turn.find("repairable", image.id, f"its copy in store {location.store} would be replaced from store {good[0].store}")
                continue
            try:
                self._replace(turn, image, location)
            except errors.JobStopped:
                raise
            except errors.GlanceError as exc:
                turn.fail(f"image {image.id}: its copy in store {location.store} could not be replaced: {exc}")

    def _replace(self, turn: Turn, image: Image, location: Location) -> None:
        now = self._tools.database.images.get_any(image.id)
        if not any(x.store == location.store for x in now.good_locations):
            self._copying.copy(turn, image.id, location.store)
            reach("repair.copied")
        if self._tools.copies.drop_damaged(image.id, location.url):
            turn.find("repaired", image.id, f"its copy in store {location.store} was replaced")
