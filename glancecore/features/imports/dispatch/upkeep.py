"""Imports that nobody works on any more: their tasks end, and what they have left goes."""

from __future__ import annotations

import logging
import shutil
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from glancecore.domain import errors
from glancecore.domain.events import task_events
from glancecore.domain.lease import BlobRef, Operation
from glancecore.domain.task import Task
from glancecore.features.imports.flow.logbook import Logbooks
from glancecore.features.imports.import_services import ImportServices
from glancecore.kernel.retrying import on_concurrent_change
from glancecore.ports.task_repository import TaskChanged
from glancecore.sdk.checkpoints import checkpoint

LOG = logging.getLogger(__name__)
#: Time that a runner has to close the book of a task that has ended.
_CLOSING = timedelta(seconds=10)
_GONE = "the image was deleted"


class ImportUpkeep:
    def __init__(self, services: ImportServices, logbook: Logbooks) -> None:
        self._services = services
        self._logbook = logbook

    def tidy(self) -> None:
        """Tasks whose image is gone end, what nobody will need of failed imports goes, expired tasks vanish, scratch
        folders of the dead go. Any process may, at any time."""
        for task in self._services.database.tasks.abandoned():
            self._close(task)
        for task in self._services.database.tasks.outlived(datetime.now(UTC)):
            self._empty(task)
        self._services.database.tasks.forget(datetime.now(UTC))
        for book in self._logbook.quiet():
            if self.ended(book, _CLOSING):
                self.forget(book)
        folder = self._services.settings.work_dir
        if folder.is_dir():
            for inner in folder.iterdir():
                image_id, _, token = inner.name.rpartition(".")
                lease = self._services.database.images.lease(image_id)
                if lease is None or lease.token != token:
                    shutil.rmtree(inner, ignore_errors=True)

    def close_if_deleted(self, task_id: str, image_id: str) -> None:
        lease = self._services.database.images.lease(image_id)
        if lease is None or lease.operation != Operation.IMPORT:
            try:
                self._close(self._services.database.tasks.get(task_id))
            except errors.GlanceError as exc:
                LOG.info("task %s: %s", task_id, exc)

    def forget(self, task_id: str) -> None:
        """One that can't be removed now is removed by ``tidy``."""
        try:
            self._logbook.forget(task_id)
        except errors.DatabaseUnavailable as exc:
            LOG.info("task %s: %s", task_id, exc)

    def ended(self, task_id: str, ago: timedelta = timedelta()) -> bool:
        """Whether it ended at least so long ago."""
        try:
            task = self._services.database.tasks.get(task_id)
        except errors.TaskNotFound:
            return True
        return task.finished and task.updated_at <= datetime.now(UTC) - ago

    # -- inside ------------------------------------------------------------------------------------
    @on_concurrent_change
    def _close(self, task: Task) -> None:
        task = self._services.database.tasks.get(task.id)
        if not task.finished:
            ended = task.with_failure(errors.Gone.code, _GONE, task.kept).fail(datetime.now(UTC))
            ended = replace(ended, version=task.version + 1)
            self._services.writer.save(
                TaskChanged(task, ended), events=task_events(task, ended), initiator=task.initiator
            )
        self.forget(task.id)

    def _empty(self, task: Task) -> None:
        """Remove the data that it keeps: nobody can take it any more before the first byte goes."""
        kept = task.kept
        if kept is None:
            return
        try:
            let_go = self._replaced(task, task.let_go())
            checkpoint("kept.let_go")
            self._services.staged_data.discard(BlobRef(kept.store, kept.key))
            checkpoint("kept.gone")
            self._replaced(let_go, let_go.emptied())
        except errors.ConcurrentChange:
            LOG.debug("task %s: somebody else has changed it meanwhile", task.id)
        except errors.StoreError as exc:
            LOG.warning("task %s: the data that it keeps can't be removed now (%s); trying again", task.id, exc)

    def _replaced(self, task: Task, after: Task) -> Task:
        if after == task:
            return task
        after = replace(after, version=task.version + 1)
        self._services.database.images.commit(TaskChanged(task, after))
        return after
