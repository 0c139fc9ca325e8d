"""What is looked after from time to time."""

from __future__ import annotations

from glancecore.domain import errors
from glancecore.ports.options import Section
from glancecore.ports.periodic import JobContext, JobTools, PeriodicJob
from glancecore.ports.record_repository import RecordRemoved
from glancecore_ext_console.evacuations import EVACUATIONS
from glancecore_ext_console.events import EVENTS
from glancecore_ext_console.sessions import SESSIONS
from glancecore_ext_console.trials import TRIALS


class Sweep(PeriodicJob):
    """Removes sessions that have ended, and events that nobody looks at any more."""

    interval = 3600.0
    summary = (
        "removes sessions of the console that have ended, and events that are older than [ext_console] event_hours"
    )

    def __init__(self, conf: Section, tools: JobTools) -> None:
        super().__init__(conf, tools)
        self._kernel, self._clock = tools.kernel, tools.clock

    def run(self, turn: JobContext) -> None:
        for collection in (SESSIONS, EVENTS, TRIALS, EVACUATIONS):
            self._sweep(turn, collection.name)

    def _sweep(self, turn: JobContext, collection: str) -> None:
        while page := self._kernel.records.expired(collection, self._clock()):
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
