"""What is looked after from time to time."""

from __future__ import annotations

from glancecore.domain import errors
from glancecore.ports.options import Section
from glancecore.ports.periodic import JobContext, JobTools, PeriodicJob
from glancecore.ports.record_repository import RecordRemoved
from glancecore_ext_census.counts import COUNTS


class Forget(PeriodicJob):
    """Removes counts that have expired."""

    interval = 3600.0
    summary = "forgets counts of the census that are older than [ext_census] keep_days"

    def __init__(self, conf: Section, tools: JobTools) -> None:
        super().__init__(conf, tools)
        self._kernel, self._clock = tools.kernel, tools.clock

    def run(self, turn: JobContext) -> None:
        while page := self._kernel.records.expired(COUNTS.name, self._clock()):
            for record in page:
                turn.check()
                turn.find("forgotten", record.id, "its count was too old")
                if not turn.dry_run:
                    try:
                        self._kernel.writer.save(RecordRemoved(record))
                    except (errors.RecordNotFound, errors.ConcurrentChange):
                        turn.count("changed")
            if turn.dry_run:
                return
