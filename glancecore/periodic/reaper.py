"""The reaper: what is over its time goes."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from glancecore.periodic.options import JOBS
from glancecore.periodic.tools import Tools
from glancecore.ports.options import Section
from glancecore.ports.periodic import PeriodicJob, Turn

#: Tasks that are forgotten in one step.
_STEP = 1000


class Reaper(PeriodicJob):
    """Forgets expired tasks, and removed images when their time is over."""

    options, interval = JOBS["reaper"]
    summary = "removes what is over its time: deleted images, staged leftovers, orphans, expired tasks"

    def __init__(self, conf: Section, tools: Tools) -> None:
        super().__init__(conf, tools)
        self._tools = tools

    def run(self, turn: Turn) -> None:
        self._tasks(turn)
        self._removed(turn)

    def _tasks(self, turn: Turn) -> None:
        while not turn.dry_run:
            turn.check()
            gone = self._tools.database.tasks.forget(datetime.now(UTC), _STEP)
            turn.count("tasks", gone)
            if gone < _STEP:
                return

    def _removed(self, turn: Turn) -> None:
        days = self.conf.purge_after_days
        while days and not turn.dry_run:
            turn.check()
            gone = self._tools.database.purge(datetime.now(UTC) - timedelta(days=days), _STEP)
            turn.count("purged", gone)
            if gone < _STEP:
                return
