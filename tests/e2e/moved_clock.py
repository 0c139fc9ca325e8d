"""Processes whose clock we move: time-machine says in them how far it is ahead, as a file does. What counts seconds
goes on by itself."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from pathlib import Path

import lab
import requests
from waiting import until


class MovedClock:
    """``env``: what the processes are started with."""

    def __init__(self, folder: Path) -> None:
        self._file = folder / "clock"
        self._ahead = timedelta()
        self.env: Mapping[str, str] = {
            "PYTHONPATH": str(Path(__file__).with_name("clock")),
            "GLANCECORE_TEST_CLOCK": str(self._file),
        }
        self.forward([])

    def forward(self, services: Sequence[lab.Service], *, days: int = 0, minutes: int = 0) -> None:
        """Until those that run see it."""
        self._ahead += timedelta(days=days, minutes=minutes)
        other = self._file.with_suffix(".new")
        other.write_text(f"{self._ahead // timedelta(minutes=1)}\n")
        other.replace(self._file)
        for service in services:
            if service.process is not None:
                until(lambda url=service.url: self._seen(url))  # type: ignore[misc]

    def _seen(self, url: str) -> bool:
        said = parsedate_to_datetime(requests.get(f"{url}/versions", timeout=20).headers["Date"])
        return said > datetime.now(UTC) + self._ahead - timedelta(minutes=1)
