"""What is looked after from time to time."""

from __future__ import annotations

from glancecore.domain import errors
from glancecore.ports.options import Section
from glancecore.ports.periodic import JobContext, JobTools, PeriodicJob
from glancecore.ports.record_repository import RecordQuery, RecordRemoved
from glancecore_ext_families.family import GONE, MOVES, VERSIONS, Version


class Forget(PeriodicJob):
    """Removes what deleted families have left, and old moves."""

    interval = 3600.0
    summary = (
        "removes what deleted families have left, and moves of channels that are older than [ext_families] history_days"
    )

    def __init__(self, conf: Section, tools: JobTools) -> None:
        super().__init__(conf, tools)
        self._kernel, self._clock = tools.kernel, tools.clock

    def run(self, turn: JobContext) -> None:
        after: tuple[str, str] | None = None
        while page := self._kernel.records.find(RecordQuery(GONE.name, after=after)):
            for record in page:
                turn.find("swept", record.id, "the family was deleted")
                while not turn.dry_run and not self._kernel.extension("families").keeping.sweep(record.id, 1000):
                    turn.check()
            turn.check()
            after = (page[-1].id, page[-1].id)
        self._moves(turn)

    def _moves(self, turn: JobContext) -> None:
        while page := self._kernel.records.expired(MOVES.name, self._clock()):
            for record in page:
                turn.check()
                turn.count("forgotten")
                if not turn.dry_run:
                    try:
                        self._kernel.writer.save(RecordRemoved(record))
                    except (errors.RecordNotFound, errors.ConcurrentChange):
                        turn.count("changed")
            if turn.dry_run:
                return


class Unlist(PeriodicJob):
    """Brings the lists of others in line with the dates of versions: nodes of a release before this way of leaving
    lists set dates alone."""

    interval = 21_600.0
    summary = (
        "takes deprecated public images out of the lists of others, and lists those that are restored, where an older"
        " release has done either"
    )

    def __init__(self, conf: Section, tools: JobTools) -> None:
        super().__init__(conf, tools)
        self._kernel = tools.kernel

    def run(self, turn: JobContext) -> None:
        after: tuple[str, str] | None = None
        while page := self._kernel.records.find(RecordQuery(VERSIONS.name, after=after)):
            turn.check()
            if changes := self._kernel.extension("families").keeping.unlisting([Version.of(x) for x in page]):
                turn.count("mended", len(changes))
                if not turn.dry_run:
                    try:
                        self._kernel.writer.save(*changes)
                    except (errors.RecordExists, errors.RecordNotFound, errors.ConcurrentChange, errors.ImageNotFound):
                        turn.count("changed")
            after = (page[-1].id, page[-1].id)
