"""How many transfers one worker carries at once, and how many of them for one address and one project."""

from __future__ import annotations

import threading
from collections import Counter

from glancecore.domain import errors
from glancecore.kernel import metrics
from glancecore.server.limits import ShareLimits


class Shares:
    """Asked by the server for the client's address, and by the application, once it knows who asks, for the project."""

    def __init__(self, limits: ShareLimits) -> None:
        self._limits = limits
        self._lock = threading.Lock()
        self._addresses: Counter[str] = Counter()
        self._projects: Counter[str] = Counter()
        self._count = 0

    @property
    def count(self) -> int:
        return self._count

    def begin(self, address: str) -> Transfer:
        """``address``: empty for a Unix socket. Raises ServerBusy, TooManyTransfers."""
        limits = self._limits
        with self._lock:
            if self._count >= limits.transfers:
                metrics.SERVER_REFUSED.labels("transfers").inc()
                raise errors.ServerBusy(f"{limits.transfers} transfers are under way; try again later")
            if address and limits.of_address and self._addresses[address] >= limits.of_address:
                metrics.SERVER_REFUSED.labels("transfers of an address").inc()
                raise errors.TooManyTransfers(
                    f"{limits.of_address} transfers of your address are under way; try again when one of them has ended"
                )
            self._count += 1
            self._addresses[address] += 1
        return Transfer(self, address)

    def claim(self, project: str) -> None:
        limit = self._limits.of_project
        with self._lock:
            if limit and self._projects[project] >= limit:
                metrics.SERVER_REFUSED.labels("transfers of a project").inc()
                raise errors.TooManyTransfers(
                    f"{limit} transfers of your project are under way; try again when one of them has ended"
                )
            self._projects[project] += 1

    def end(self, address: str, project: str | None) -> None:
        with self._lock:
            self._count -= 1
            _less(self._addresses, address)
            if project is not None:
                _less(self._projects, project)


class Transfer:
    """One of them; ``environ["glancecore.transfer"]``."""

    def __init__(self, shares: Shares, address: str) -> None:
        self._shares = shares
        self._address = address
        self._project: str | None = None

    def claim(self, project: str) -> None:
        """It is this project's. Raises TooManyTransfers."""
        if self._project is None:
            self._shares.claim(project)
            self._project = project

    def end(self) -> None:
        self._shares.end(self._address, self._project)


def _less(counts: Counter[str], key: str) -> None:
    counts[key] -= 1
    if not counts[key]:
        del counts[key]
