"""What operators look at: stores, and what jobs have told. An extension shows it to them; it asks no policy, so the
extension's route does."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol


@dataclass(frozen=True, slots=True)
class StoreInventory:
    """What lay in a store at ``at`` (aware UTC): ``bytes`` of all copies; ``only``: images without a good copy
    elsewhere; ``damaged``: copies that are known to be wrong; ``lost``: images without any good copy that had one
    there."""

    at: datetime
    bytes: int
    only: int
    damaged: int
    lost: int


@dataclass(frozen=True, slots=True)
class StoreOverview:
    """``state``: up, down, unused (nobody has started it yet), or not configured, for one that was used before; ``why``
    it is not up, for operators. ``driver`` None: not configured. ``free`` in bytes, None when it does not say.
    ``images``: that have data in it. ``inventory`` None: it is still being counted."""

    id: str
    driver: str | None
    state: str
    why: str = ""
    default: bool = False
    writable: bool = False
    draining_since: datetime | None = None
    free: int | None = None
    images: int = 0
    inventory: StoreInventory | None = None


@dataclass(frozen=True, slots=True)
class JobOverview:
    """A periodic job that is enabled. ``of_machine``: each machine has its own runs; this is this one's. ``interval``
    in seconds. ``report``: what its last ended run told, as JSON: outcome, seconds, counts, findings, errors.
    ``ended_at`` None: it runs, was cut off, or never ran. Times are aware UTC."""

    name: str
    summary: str
    interval: float
    dry_run: bool
    of_machine: bool
    started_at: datetime | None
    ended_at: datetime | None
    report: Mapping[str, object] | None


class Overview(Protocol):
    """Reading it changes nothing."""

    def stores(self) -> Sequence[StoreOverview]:
        """Each is asked whether it answers: seconds, for those that don't. Raises DatabaseUnavailable."""

    def jobs(self) -> Sequence[JobOverview]:
        """Raises DatabaseUnavailable."""

    def dry_run(self, name: str) -> Mapping[str, object]:
        """Run an enabled job once, in this thread, as one that changes nothing and is not recorded: its report, as in
        ``JobOverview``. It takes as long as it takes, and is cut off when the process ends. Raises NotFound,
        DatabaseUnavailable."""

    def leader(self) -> str | None:
        """The process that runs the deployment's jobs; None: nobody does. Raises DatabaseUnavailable."""
