"""Leaving imports to the workers of a job board, or to a process of their own."""

from __future__ import annotations

import logging
from typing import Protocol

from glancecore.domain import errors
from glancecore.domain.lease import Lease
from glancecore.domain.task import Task, TaskStatus
from glancecore.features.imports.dispatch.runner import ImportRunner
from glancecore.features.imports.import_services import ImportServices
from glancecore.sdk.checkpoints import checkpoint

LOG = logging.getLogger(__name__)


class Jobs(Protocol):
    """See ``board.Board``."""

    def post(self, task_id: str, project: str) -> None: ...

    def close(self) -> None: ...


class JobDispatcher:
    """The executor of a process that leaves imports to the workers of a job board."""

    def __init__(self, runner: ImportRunner, jobs: Jobs, services: ImportServices) -> None:
        self._runner = runner
        self._jobs = jobs
        self._services = services

    def submit(self, task: Task, lease: Lease) -> None:
        """Post it. The lease is not extended from here on: a worker takes it over, or the reaper finds it expired."""
        checkpoint("import.before_post")
        try:
            self._jobs.post(task.id, lease.project or "")
        except errors.StoreUnavailable:
            LOG.warning("task %s: the job board does not take it now; it is posted later", task.id)
        finally:
            self._services.leases.forget(lease)
        checkpoint("import.after_post")

    def resume(self, lease: Lease) -> bool:
        """The reaper's handler: make sure that there is a job, and let go at once of what a dead worker has begun."""
        try:
            task = self._runner.task_of(lease)
            if task is None:
                return True
            self._jobs.post(task.id, lease.project or "")
            if task.status is TaskStatus.PENDING:
                return False
            self._runner.hand_over(lease)
            return True
        finally:
            self._services.leases.forget(lease)
