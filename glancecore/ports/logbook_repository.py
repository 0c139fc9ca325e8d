"""Where the logbooks of running imports are kept when the database itself is out of reach: one document for each task.

What is in a document is known to those who run imports alone.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass

from glancecore.ports.repeating import reads, repeatable


@dataclass(frozen=True, slots=True)
class Logbook:
    """``serial`` counts saves and is the compare-and-set key."""

    serial: int
    document: str


class LogbookRepository(ABC):
    """Thread-safe. Any method may raise DatabaseUnavailable."""

    @reads
    @abstractmethod
    def get(self, task_id: str) -> Logbook | None:
        """The logbook of a task; None: it has none."""

    @abstractmethod
    def put(self, task_id: str, logbook: Logbook) -> None:
        """Durable when it returns. Raises ConcurrentChange unless the one before is stored: that of ``serial - 1``, or none
        for 1. After DatabaseUnavailable it may have been saved."""

    @reads
    @abstractmethod
    def ids(self) -> list[str]:
        """The tasks that have one."""

    @repeatable
    @abstractmethod
    def forget(self, task_id: str) -> None:
        """Remove it; nothing happens when there is none."""
