"""What is looked after from time to time."""

from __future__ import annotations

from glancecore.domain import errors
from glancecore.ports.options import Section
from glancecore.ports.periodic import JobContext, JobTools, PeriodicJob
from glancecore.ports.record_repository import RecordRemoved
from glancecore_ext_console.sessions import SESSIONS


class Sweep(PeriodicJob):
    """Removes sessions that have ended."""

    interval = 3600.0
    summary = "removes sessions of the console that have ended"

    def __init__(self, conf: Section, tools: JobTools) -> None:
        super().__init__(conf, tools)
        self._kernel, self._clock = tools.kernel, tools.clock

    def run(self, turn: JobContext) -> None:
        while page := self._kernel.records.expired(SESSIONS.name, self._clock()):
            for record in page:
                turn.check()
                turn.count("removed")
                if not turn.dry_run:
                    try:
                        self._kernel.writer.save(RecordRemoved(record))
                    except (errors.RecordNotFound, errors.ConcurrentChange):
                        turn.count("changed")
            if turn.dry_run:
                return
