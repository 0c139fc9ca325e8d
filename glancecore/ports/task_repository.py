"""What a database driver implements for tasks: reads, and the changes that ``ImageRepository.commit`` applies.

A task is changed in the same commit as its image and its lease, so that they never contradict each other. One round
trip a call. The kit ``glancecore.testing.task_repository`` checks each rule."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from glancecore.domain.task import Task, TaskStatus, TaskType
from glancecore.ports.repeating import reads


class TaskSort(StrEnum):
    CREATED_AT = "created_at"
    UPDATED_AT = "updated_at"
    STATUS = "status"
    TYPE = "type"
    ID = "id"


@dataclass(frozen=True, slots=True)
class TaskQuery:
    """Which tasks that have not expired at ``now``, in which order; all conditions must hold.

    ``owner`` None: of everybody. The id, in the direction of the last key, makes the order total. ``marker``: start
    behind this task."""

    now: datetime
    owner: str | None = None
    status: TaskStatus | None = None
    type: TaskType | None = None
    sort: tuple[tuple[TaskSort, bool], ...] = ((TaskSort.CREATED_AT, True),)
    """(key, descending), …"""
    marker: str | None = None
    limit: int = 25


# -- changes ---------------------------------------------------------------------------------------
@dataclass(frozen=True, slots=True)
class TaskAdded:
    """Raises TaskExists when the id is in use."""

    task: Task


@dataclass(frozen=True, slots=True)
class TaskChanged:
    """``after`` replaces ``before``. Raises ConcurrentChange unless the stored version is ``before.version``;
    TaskNotFound. ``after.version`` must be ``before.version + 1``, and id, type and created_at stay: else
    ValueError."""

    before: Task
    after: Task


TaskChange = TaskAdded | TaskChanged


class TaskRepository(ABC):
    """Thread-safe. Any method may raise DatabaseUnavailable."""

    @reads
    @abstractmethod
    def get(self, task_id: str) -> Task:
        """The task, expired or not. Raises TaskNotFound."""

    @reads
    @abstractmethod
    def find(self, query: TaskQuery) -> list[Task]:
        """At most ``query.limit`` tasks. Raises UnknownMarker."""

    @reads
    @abstractmethod
    def of_image(self, image_id: str, now: datetime, limit: int = 1000) -> list[Task]:
        """The tasks of an image that have not expired at ``now``, at most ``limit``, newest first."""

    @reads
    @abstractmethod
    def abandoned(self, limit: int = 100) -> list[Task]:
        """Unfinished tasks whose image has no lease of an import or of a hash: nobody will ever end them. Oldest
        first."""

    @reads
    @abstractmethod
    def outlived(self, now: datetime, limit: int = 100) -> list[Task]:
        """Ended tasks that keep data for another attempt that will not come: its time (``kept_until``) is over, or the
        image is not queued any more, or gone. The oldest ``kept_until`` first."""

    @abstractmethod
    def forget(self, before: datetime, limit: int = 1000) -> int:
        """Remove tasks that expired before that time and keep no data, at most ``limit``. How many."""
