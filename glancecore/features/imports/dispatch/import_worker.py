"""The inside of the process for imports: ids of tasks come in a pipe, and are imported a few at once."""

from __future__ import annotations

import logging
import os
import select
import threading
import time
from collections.abc import Iterator
from typing import BinaryIO

from glancecore.features.imports.dispatch.fair_queue import FairQueue
from glancecore.features.imports.dispatch.runner import ImportRunner

LOG = logging.getLogger(__name__)
#: Seconds without an import after which the parent is told.
IDLE = 60.0


class ImportWorkerLoop:
    """``run`` until the input ends: then what runs is stopped and handed over, and what waits as well."""

    def __init__(self, runner: ImportRunner, workers: int, workers_of_project: int, idle: float = IDLE) -> None:
        self._runner = runner
        self._idle = idle
        self._waiting: FairQueue[str] = FairQueue(workers_of_project)
        self._ending = False
        self._lock = threading.Lock()
        self._known: set[str] = set()
        self._ended = time.monotonic()
        self._threads = [threading.Thread(target=self._work, name=f"import-{x}", daemon=True) for x in range(workers)]

    def run(self, source: BinaryIO, answers: BinaryIO) -> None:
        for thread in self._threads:
            thread.start()
        seen, told = 0, -1
        for line in self._lines(source):
            if line is not None:
                seen += 1
                self._add(line)
            elif told != seen and self._rested():
                told = seen
                answers.write(b"idle %d\n" % seen)
                answers.flush()
        self._stop()

    def end(self) -> None:
        """As if the input had ended; from a signal's handler."""
        self._ending = True

    def _stop(self) -> None:
        self._runner.stop()
        self._waiting.close()
        for thread in self._threads:
            thread.join()

    def _lines(self, source: BinaryIO) -> Iterator[str | None]:
        """None about every second without a line."""
        begun = b""
        while not self._ending:
            ready, _, _ = select.select([source], [], [], min(1.0, self._idle / 4))
            if not ready:
                yield None
                continue
            data = os.read(source.fileno(), 1 << 16)
            if not data:
                return
            *whole, begun = (begun + data).split(b"\n")
            for line in whole:
                yield line.decode()

    def _add(self, line: str) -> None:
        """One that is here already is not taken twice: its sender found its lease expired, while it waited or ran."""
        task_id, _, project = line.partition(" ")
        with self._lock:
            if task_id in self._known:
                return
            self._known.add(task_id)
        self._waiting.put(project, task_id)

    def _rested(self) -> bool:
        with self._lock:
            return not self._known and time.monotonic() - self._ended >= self._idle

    def _work(self) -> None:
        while (found := self._waiting.get()) is not None:
            project, task_id = found
            try:
                if self._runner.may_take(task_id):  # while it waited here, another process may have begun it
                    self._runner.take(task_id)
            except Exception:
                LOG.exception("task %s: its import could not be run; another try follows", task_id)
            finally:
                self._waiting.done(project)
                with self._lock:
                    self._known.discard(task_id)
                    self._ended = time.monotonic()
