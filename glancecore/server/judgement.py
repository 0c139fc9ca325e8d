"""What a start would say to the configuration as it is now, asked in a process of its own."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import time

#: What the process that judges says when nothing is wrong, and seconds that it may take.
FINE, WITHIN = "fine", 120
#: Tells it which default store is served from now, as ``assembly.stores.default_store`` has it.
SERVED = "GLANCECORE_SERVED_STORE"


class Judgement:
    """A process that does what a start of ``prog`` with this process's command line would do. Nothing of it stays here.

    Its verdict has a pipe of its own: what logs and plugins write to standard output goes where this process's goes.
    """

    def __init__(self, prog: str, served: str = "") -> None:
        """``served``: see ``SERVED``."""
        self._ends = time.monotonic() + WITHIN
        self._said = b""
        environ = {name: value for name, value in os.environ.items() if name != "PROMETHEUS_MULTIPROC_DIR"} | {
            SERVED: served
        }
        self._answer, verdict = os.pipe()
        try:
            os.set_blocking(self._answer, False)
            words = [sys.executable, "-m", "glancecore.cmd.judge", str(verdict), prog, *sys.argv[1:]]
            self._process = subprocess.Popen(words, env=environ, stdin=subprocess.DEVNULL, pass_fds=(verdict,))  # noqa: S603 (its own command line)
        except OSError:
            os.close(self._answer)
            raise
        finally:
            os.close(verdict)

    def over(self) -> bool:
        """Never waits."""
        return self._ended() or time.monotonic() >= self._ends

    def refusal(self) -> str | None:
        """Why a start would be refused; None: it would not. Waits until the process ends, or ends it. Called once."""
        while not (ended := self._ended()) and (left := self._ends - time.monotonic()) > 0:
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(min(left, 0.5))
        self.drop()
        if not ended:
            return f"what a start would do takes longer than {WITHIN} seconds; look for a service that does not answer"
        if not self._said:
            return "the process that was to judge the configuration ended without a word; the log says why"
        said = self._said.decode()
        return None if said == FINE else said

    def drop(self) -> None:
        """Nobody wants to know any more."""
        self._process.kill()
        with contextlib.suppress(subprocess.TimeoutExpired):  # one that a dead disk holds is waited for by nobody
            self._process.wait(1)
        os.close(self._answer)

    def _ended(self) -> bool:
        ended = self._process.poll() is not None
        with contextlib.suppress(BlockingIOError):
            while some := os.read(self._answer, 1 << 16):
                self._said += some
        return ended
