"""Imports in a process of their own: what they need of the interpreter and of the processors, no request waits for.

It is started with the first import, and ends when there has been none for a while, or when its parent ends, however
that happens. It takes an import over as a worker of a job board does: by its lease. What it leaves when it dies, a
reaper finds."""

from __future__ import annotations

import contextlib
import logging
import signal
import subprocess
import threading
from collections.abc import Sequence
from typing import IO, cast

from glancecore.domain import errors
from glancecore.kernel import metrics

LOG = logging.getLogger(__name__)
#: Seconds that it has to hand over what it runs.
_STOP_TIMEOUT = 10.0


class ImportProcess:
    """The ``Jobs`` of a process that serves requests; thread-safe. See ``import_worker.ImportWorkerLoop`` for the other
    end: a line with the task's id and its project for each import, and back a line ``idle N`` when the first N of them
    are done with."""

    def __init__(self, command: Sequence[str]) -> None:
        self._command = list(command)
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._posted = 0
        self._closed = False

    def post(self, task_id: str, project: str) -> None:
        """Raises StoreUnavailable: it is posted again when its lease has expired."""
        with self._lock:
            for _ in range(2):  # the one that runs may be about to end
                if self._closed:
                    raise errors.StoreUnavailable("the service is stopping")
                process = self._running()
                try:
                    to = _input(process)
                    to.write(f"{task_id} {project}\n".encode())
                    to.flush()
                except OSError:
                    self._drop()
                else:
                    self._posted += 1
                    return
        raise errors.StoreUnavailable("the process for imports does not take them")

    def close(self) -> None:
        """End it; what it runs is handed over."""
        with self._lock:
            self._closed = True
            process = self._process
            self._drop()
        if process is None:
            return
        try:
            process.wait(_STOP_TIMEOUT)
        except subprocess.TimeoutExpired:
            LOG.warning(
                "the process for imports did not stop in %g s; others take over what it ran when its leases have"
                " expired",
                _STOP_TIMEOUT,
            )
            process.kill()

    def _running(self) -> subprocess.Popen[bytes]:
        if self._process is None or self._process.poll() is not None:
            self._drop()
            try:
                self._process = subprocess.Popen(self._command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)  # noqa: S603 (our own)
            except OSError as exc:
                raise errors.StoreUnavailable(f"the process for imports can't be started: {exc.strerror}") from exc
            self._posted = 0
            threading.Thread(target=self._listen, args=(self._process,), name="import-process", daemon=True).start()
        return self._process

    def _drop(self) -> None:
        """The end of its input is its end."""
        process, self._process = self._process, None
        if process is not None:
            with contextlib.suppress(OSError):  # it has ended before, with something unread
                _input(process).close()

    def _listen(self, process: subprocess.Popen[bytes]) -> None:
        with cast("IO[bytes]", process.stdout) as answers:
            for line in answers:
                with self._lock:
                    if process is self._process and line == b"idle %d\n" % self._posted:
                        self._drop()
        code = process.wait()
        metrics.process_gone(process.pid)
        if code:
            how = signal.Signals(-code).name if code < 0 else f"exit code {code}"
            LOG.error(
                "the process for imports ended: %s; what it ran is taken up again when its leases have expired", how
            )


def _input(process: subprocess.Popen[bytes]) -> IO[bytes]:
    return cast("IO[bytes]", process.stdin)
