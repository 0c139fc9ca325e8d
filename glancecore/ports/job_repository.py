"""What a database driver implements for periodic jobs: who holds one, and what is kept of it between its runs.

One round trip a call. The kit ``glancecore.testing.job_repository`` checks each rule.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from glancecore.ports.repeating import reads, repeatable


@dataclass(frozen=True, slots=True)
class JobRecord:
    """Of a job's last run; times are aware UTC. ``ended_at`` None: it runs, or was cut off. ``state`` is what the job
    remembers, ``report`` what its last ended run told: both JSON values."""

    started_at: datetime | None = None
    ended_at: datetime | None = None
    state: Mapping[str, object] = field(default_factory=dict)
    report: Mapping[str, object] | None = None


class JobRepository(ABC):
    """Thread-safe. Any method may raise DatabaseUnavailable. ``name`` has at most 255 characters."""

    @repeatable
    @abstractmethod
    def hold(self, name: str, holder: str, ttl: float) -> bool:
        """Take it, or go on holding it, for ``ttl`` seconds from now by the database's clock. False while another
        holder's time is not over. Of several that take it at once, one gets it."""

    @repeatable
    @abstractmethod
    def let_go(self, name: str, holder: str) -> None:
        """Anybody may take it now; nothing happens unless ``holder`` has it."""

    @reads
    @abstractmethod
    def holder(self, name: str) -> str | None:
        """Who holds it and has not run out of time."""

    @reads
    @abstractmethod
    def record(self, name: str) -> JobRecord:
        """What was kept last; an empty record at first."""

    @repeatable
    @abstractmethod
    def keep(self, name: str, holder: str, record: JobRecord) -> None:
        """Replace the record. Raises LeaseLost unless ``holder`` took it last, and has not let it go."""
