"""gunicorn's arbiter, with a reload that nothing can end the service by.

SIGHUP: the configuration is judged as a start would judge it, while all else goes on; what came meanwhile lets it be
judged once more. Refused, nothing changes. Taken, new workers begin, and the former ones are asked to stop when all of
the new ones serve. What gunicorn's own does: it ends the service when a file is wrong, stops the former workers before
the new ones have begun, and looks after nothing while they drain."""

from __future__ import annotations

import signal
import time
from typing import TYPE_CHECKING, Any

from gunicorn import arbiter

if TYPE_CHECKING:
    from glancecore.server.judgement import Judgement

#: Tells a worker that others serve in its place, and that it has time: SIGTERM says that the service ends.
REPLACED = signal.SIGUSR2


class Arbiter(arbiter.Arbiter):  # type: ignore[misc]
    def __init__(self, app: Any) -> None:
        #: Workers of this age, or older, are of a configuration that is replaced.
        self._former = 0
        #: Those of them that were asked to stop.
        self._leaving: set[int] = set()
        #: SIGHUP came, and what is judged because of an earlier one.
        self._asked = False
        self._judgement: Judgement | None = None
        super().__init__(app)

    def reload(self) -> None:
        """``manage_workers`` is called as soon as the signals are handled, when a child ends, and once a second."""
        self._asked = True

    def stop(self, graceful: bool = True) -> None:
        judgement, self._judgement, self._asked = self._judgement, None, False
        if judgement is not None:
            judgement.drop()
        super().stop(graceful)

    def _read_again(self) -> None:
        """Begin to judge the configuration, and take it when that is over."""
        if self._judgement is not None and self._judgement.over():
            judgement, self._judgement = self._judgement, None
            if self.app.read_again(judgement.refusal()):
                self._former = self.worker_age
                self.setup(self.app)
        if self._asked and self._judgement is None:
            self._asked = False
            self._judgement = self.app.judge()

    def manage_workers(self) -> None:
        """As many as there should be, those that leave not counted."""
        self._read_again()
        current = [pid for pid, worker in self.WORKERS.items() if worker.age > self._former]
        for _ in range(self.num_workers - len(current)):
            self.spawn_worker()
        serving = {pid: worker for pid, worker in self.WORKERS.items() if worker.age > self._former}
        wanted_away = sorted(serving, key=lambda x: serving[x].age)[: max(0, len(serving) - self.num_workers)]
        if all(_serves(x) for x in serving.values()):
            wanted_away += [pid for pid in self.WORKERS if pid not in serving]
        self._leaving &= set(self.WORKERS)
        for pid in [x for x in wanted_away if x not in self._leaving]:
            self._leaving.add(pid)
            self.kill_worker(pid, signal.SIGTERM if pid in serving else REPLACED)


def _serves(worker: Any) -> bool:
    """Until a worker first tells that it is alive, the file by which it does has the time of its making, by the other
    clock."""
    return bool(worker.tmp.last_update() <= time.monotonic())
