"""One process of a machine wants to lead, or looks after the machine; its sisters wait for it to end, before they load
what only it needs."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import logging
import os
from pathlib import Path

LOG = logging.getLogger(__name__)


class LocalLeadership:
    """The leadership of a machine's own jobs: whoever is the candidate has it."""

    leads = True

    def beat(self) -> bool:
        return True

    def note(self) -> None:
        """There is nobody to compete with."""

    def close(self) -> None:
        """The candidate's lock is all."""


class MachineLock:
    """A file lock, which the kernel frees when its process dies. ``folder`` is made when it is missing."""

    def __init__(self, folder: Path, option: str = "[periodic] lock_path") -> None:
        """``option``: what the operator sets to have another folder."""
        self._folder = folder
        self._option = option
        self._file: int | None = None
        self._told = False

    def take(self) -> bool:
        """Whether this process may try to lead. A folder that can't be used keeps it from doing so, which is logged."""
        try:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            if os.getuid() and self._folder.stat().st_uid not in (os.getuid(), 0):
                raise PermissionError(errno.EPERM, "it belongs to somebody else")
            opened = os.open(self._folder / "candidate", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        except OSError as exc:
            if not self._told:
                LOG.error(
                    "%s: %s can't be used (%s); its periodic jobs don't run in this process",
                    self._option,
                    self._folder,
                    exc.strerror,
                )
                self._told = True
            return False
        try:
            fcntl.flock(opened, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(opened)
            return False
        self._file = opened
        return True

    def let_go(self) -> None:
        opened, self._file = self._file, None
        if opened is not None:
            with contextlib.suppress(OSError):
                os.close(opened)
