"""The reaper: what is over its time goes."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from glancecore.domain import errors
from glancecore.domain.lease import Operation
from glancecore.features.images.extension import ImagesExtension
from glancecore.features.images.options import REAPER
from glancecore.kernel.core import CoreTools
from glancecore.ports.options import Section
from glancecore.ports.periodic import JobContext, PeriodicJob

#: Rows that are forgotten in one step, and images that are asked for at once.
_STEP = 1000
_PAGE = 100
#: Operations that are undone or finished there and then. Imports and hashes go on for long: they are for processes that
#: serve.
_SHORT = frozenset({Operation.UPLOAD, Operation.STAGE, Operation.DELETE, Operation.DROP_LOCATION, Operation.MOVE})


class Scrubber(PeriodicJob):
    """Deletes for good what was deleted ``scrub_time`` ago: the first part of the reaper, and glance-scrubber's."""

    interval = 300.0
    summary = "deletes for good what was deleted some time ago"

    def __init__(self, conf: Section, tools: CoreTools) -> None:
        super().__init__(conf, tools)
        self._tools = tools

    def run(self, turn: JobContext) -> None:
        images, deletion, left = self._tools.database.images, self._tools.of(ImagesExtension).deletion, set[str]()
        before = datetime.now(UTC) - timedelta(seconds=self._tools.core.conf.scrub_time)
        while True:
            page = [x for x in images.pending(before, _PAGE + len(left)) if x.id not in left]
            if not page:
                return
            for image in page:
                turn.check()
                if turn.dry_run:
                    left.add(image.id)
                    turn.find(
                        "scrubbable",
                        image.id,
                        f"deleted at {image.updated_at:%Y-%m-%d %H:%M:%S}, {image.size or 0} bytes in "
                        f"{len(image.locations)} copies would go",
                    )
                    continue
                try:
                    deletion.scrub(image)
                except (errors.ImageNotFound, errors.WrongStatus):
                    left.add(image.id)  # somebody else was faster, or it was restored
                except (errors.StoreError, errors.Conflict) as exc:
                    left.add(image.id)
                    turn.fail(f"image {image.id} can't be deleted now: {exc}")
                else:
                    turn.find(
                        "scrubbed", image.id, f"{image.size or 0} bytes in {len(image.locations)} copies are gone"
                    )


class ReaperJob(PeriodicJob):
    """Deletes for good what was deleted some time ago, takes over what dead processes left, forgets expired tasks and
    removed ids."""

    options, interval = REAPER, 300.0
    summary = "deletes for good what was deleted some time ago, ends what dead processes left, forgets what has expired"

    def __init__(self, conf: Section, tools: CoreTools) -> None:
        super().__init__(conf, tools)
        self._tools = tools
        self._scrubber = Scrubber(conf, tools)

    def run(self, turn: JobContext) -> None:
        self._scrubber.run(turn)
        self._leases(turn)
        if not turn.dry_run:
            self._tasks(turn)
            self._removed(turn)

    def _leases(self, turn: JobContext) -> None:
        turn.check()
        if not turn.dry_run:
            turn.count("taken over", self._tools.core.reaper.take_over(_SHORT))
            return
        for lease in self._tools.database.images.expired():
            turn.find("abandoned", lease.image_id, f"its {lease.operation} by {lease.holder} would be taken over")

    def _tasks(self, turn: JobContext) -> None:
        while True:
            turn.check()
            gone = self._tools.database.tasks.forget(datetime.now(UTC), _STEP)
            turn.count("tasks", gone)
            if gone < _STEP:
                return

    def _removed(self, turn: JobContext) -> None:
        days = self.conf.purge_after_days
        while days:
            turn.check()
            gone = self._tools.database.purge(datetime.now(UTC) - timedelta(days=days), _STEP)
            turn.count("purged", gone)
            if gone < _STEP:
                return
