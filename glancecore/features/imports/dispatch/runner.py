"""Runs imports in this process: a few at once, the others wait, held by the same heartbeat as those that run."""

from __future__ import annotations

import contextlib
import logging
import os
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from enum import Enum
from typing import Protocol

from glancecore.domain import errors
from glancecore.domain.image import Image, Status
from glancecore.domain.lease import BlobRef, Lease, Operation
from glancecore.domain.task import Task, TaskStatus
from glancecore.features.imports import failure
from glancecore.features.imports.dispatch.fair_queue import FairQueue
from glancecore.features.imports.dispatch.upkeep import ImportUpkeep
from glancecore.features.imports.flow.logbook import Logbooks
from glancecore.features.imports.import_services import ImportServices
from glancecore.features.imports.run import ImportRun
from glancecore.ports.repository import LeaseEnded, LeaseTaken
from glancecore.sdk import log_lines, tracing
from glancecore.sdk.checkpoints import checkpoint

LOG = logging.getLogger(__name__)
#: Seconds that running imports have to stop when the process ends.
_STOP_TIMEOUT = 5.0


def _leave_as_it_is(run: ImportRun) -> None:
    """Instead of an undo that ends each process that tries it."""
    LOG.error("image %s: what the steps of its import did to it is not undone", run.image_id)


def _telling(task: Task) -> contextlib.AbstractContextManager[None]:
    """What this thread logs inside has the id of the request that began the import, and those of image and task."""
    return log_lines.work(task.image_id or "", task.id, task.request_id, task.user_id, task.owner)


class FlowRunner(Protocol):
    """See ``pipeline.Pipeline``."""

    def run(self, run: ImportRun, parallel: int) -> None: ...

    def undo(self, run: ImportRun) -> None: ...


class JobOutcome(Enum):
    """What became of a job in this process."""

    #: Its task has ended: the job goes.
    ENDED = "ended"
    #: Somebody must go on with it later.
    LATER = "later"


class ImportRunner:
    """``submit`` runs a new import, ``resume`` one whose process has died. ``make_flows`` is called at the first
    import."""

    def __init__(
        self, services: ImportServices, logbook: Logbooks, make_flows: Callable[[Logbooks], FlowRunner]
    ) -> None:
        self._services = services
        self._logbook = logbook
        self._upkeep = ImportUpkeep(services, logbook)
        self._make_flows = make_flows
        self._flows: FlowRunner | None = None
        self._lock = threading.Lock()
        self._waiting: FairQueue[tuple[str, Lease]] = FairQueue(services.settings.workers_of_project)
        self._threads: list[threading.Thread] = []
        self._stopping = threading.Event()
        #: Tasks that this process left when the database was away: who takes them over here, has survived it.
        self._left: set[str] = set()

    # -- from outside ------------------------------------------------------------------------------
    def submit(self, task: Task, lease: Lease) -> None:
        """ImportRun it when it is its turn. The lease is extended until then, and is ours to end."""
        self._put(task.id, lease)

    def resume(self, lease: Lease) -> None:
        """Take over an import whose process has died: the reaper's handler. Its lease is ours by now."""
        task = self.task_of(lease)
        if task is None:
            self._services.leases.forget(lease)
        else:
            self._put(task.id, lease)

    def task_of(self, lease: Lease) -> Task | None:
        """The task that an image is imported by; None when it has ended, and what it left is removed."""
        try:
            image = self._services.database.images.get_any(lease.image_id)
        except errors.ImageNotFound as exc:
            raise errors.LeaseLost(f"image {lease.image_id} is gone") from exc
        task_id = image.importing.task if image.importing is not None else None
        try:
            task = self._services.database.tasks.get(task_id) if task_id is not None else None
        except errors.TaskNotFound:
            task = None
        if task is None or task.finished:
            self._sweep(image, lease)
            return None
        return task

    def stop(self) -> None:
        """Stop what runs at its next piece, and hand it and what waits over: others go on with it at once."""
        self._stopping.set()
        self._waiting.close()
        end = time.monotonic() + _STOP_TIMEOUT
        for thread in self._threads:
            thread.join(max(0.0, end - time.monotonic()))
        if any(x.is_alive() for x in self._threads):
            LOG.warning("an import did not stop in %g s; others take it over when its lease has expired", _STOP_TIMEOUT)

    # -- for a job board ---------------------------------------------------------------------------
    def may_take(self, task_id: str) -> bool:
        """Nobody works on this task, or nobody needs to any more."""
        try:
            task = self._services.database.tasks.get(task_id)
        except errors.TaskNotFound:
            return True
        lease = self._lease_of(task)
        if task.finished or lease is None or task.status is TaskStatus.PENDING:
            return True
        return any(x.token == lease.token for x in self._services.database.images.expired(1000))

    def take(self, task_id: str) -> JobOutcome:
        """Take the image over from whoever held it, and run the import in the caller's thread."""
        try:
            task = self._services.database.tasks.get(task_id)
        except errors.TaskNotFound:
            return JobOutcome.ENDED
        if task.finished:
            return JobOutcome.ENDED
        with _telling(task):
            return self._take(task)

    def _take(self, task: Task) -> JobOutcome:
        task_id = task.id
        old = self._lease_of(task)
        if old is None:
            self._upkeep.close_if_deleted(task_id, task.image_id or "")
        else:
            lease = replace(
                old, holder=self._services.leases.holder, token=Lease("", Operation.IMPORT, "", Status.QUEUED).token
            )
            try:
                self._services.database.images.commit(self._services.leases.taken(lease, old.token))
            except errors.LeaseLost:
                self._services.leases.forget(lease)
                return JobOutcome.LATER
            except BaseException:
                self._services.leases.forget(lease)
                raise
            self._run(task_id, lease)
        return JobOutcome.ENDED if self._upkeep.ended(task_id) else JobOutcome.LATER

    def _lease_of(self, task: Task) -> Lease | None:
        lease = self._services.database.images.lease(task.image_id or "")
        return lease if lease is not None and lease.operation == Operation.IMPORT else None

    # -- the workers -------------------------------------------------------------------------------
    def _put(self, task_id: str, lease: Lease) -> None:
        with self._lock:
            if len(self._threads) < self._services.settings.workers:
                thread = threading.Thread(target=self._loop, name=f"import-{len(self._threads)}", daemon=True)
                self._threads.append(thread)
                thread.start()
        self._waiting.put(lease.project or "", (task_id, lease))

    def _loop(self) -> None:
        # Linux counts niceness by thread, and threads that we start have ours: hashing, too, gives way to requests
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), self._services.settings.niceness)
        while (found := self._waiting.get()) is not None:
            project, (task_id, lease) = found
            try:
                self._run(task_id, lease)
            except Exception:
                LOG.exception("task %s: its import could not be run; another try follows", task_id)
            finally:
                self._waiting.done(project)

    @property
    def _pipeline(self) -> FlowRunner:
        with self._lock:
            if self._flows is None:
                self._flows = self._make_flows(self._logbook)
            return self._flows

    def _run(self, task_id: str, lease: Lease) -> None:
        run: ImportRun | None = None
        with contextlib.ExitStack() as telling:
            try:
                task = self._services.database.tasks.get(task_id)
                telling.enter_context(_telling(task))
                telling.enter_context(
                    tracing.continued(
                        "import",
                        task.trace,
                        {
                            "glance.image.id": lease.image_id,
                            "glance.task.id": task.id,
                            "glance.import.stage": task.progress.stage,
                        },
                    )
                )
                run = self._begin(task, lease)
                if run is not None:
                    self._work(run)
            except errors.LeaseLost:
                LOG.info("image %s: its import is not ours any more", lease.image_id)
                self._upkeep.close_if_deleted(task_id, lease.image_id)
            except errors.ImportSuspended:
                self.hand_over(run.lease if run else lease, run)
            except errors.DatabaseUnavailable as exc:
                self._left.add(task_id)
                LOG.warning("image %s: its import is left to be taken up again: %s", lease.image_id, exc)
            finally:
                self._services.leases.forget(lease)

    def _begin(self, task: Task, lease: Lease) -> ImportRun | None:
        """What a dead run has left in the stores is removed, and a new attempt's keys are taken; None when all is done
        already."""
        raw = task.input.get("import_req")
        method = raw.get("method") if isinstance(raw, dict) else None
        name = str(method.get("name")) if isinstance(method, dict) else ""
        if self._stopping.is_set():
            raise errors.ImportSuspended("the process is stopping")
        found = self._services.methods.get(name)
        if found is None:
            raise errors.DatabaseUnavailable(f"import method {name} is not enabled in this process")
        self._services.stores.revive()
        run = ImportRun(self._services, task, lease, found, self._stopping)
        image = run.image()
        if task.finished:
            self._sweep(image, lease)
            return None
        staged = image.staged
        for ref in lease.blobs:
            if staged is None or ref != BlobRef(staged.store, staged.key):
                self._services.stores.discard(ref)
        taken_over = bool(task.progress.stage != "waiting")
        died = taken_over and task.id not in self._left
        run.save(
            image=(lambda x: replace(x, attempt=x.attempt + 1)) if taken_over else None,
            task=lambda x: x.taken_over() if died else x.begin(),
        )
        self._left.discard(task.id)
        for ref in lease.blobs:
            run.save(drop=ref)
        checkpoint("import.begun")
        return run

    def _work(self, run: ImportRun) -> None:
        undo = self._pipeline.undo
        progress = run.task.progress
        if progress.takeovers > self._services.settings.takeovers:
            LOG.error(
                "image %s: %d processes have ended in stage %s of its import, which fails",
                run.image_id,
                progress.takeovers,
                progress.stage,
            )
            if run.task.error is None:
                failure.record_failure(
                    run,
                    errors.ImportFailed(
                        f"{progress.stage} was broken off {progress.takeovers} times; the operator's log says why"
                    ),
                )
            else:
                undo = _leave_as_it_is
        if run.task.error is None:
            try:
                run.check_alive()
                self._pipeline.run(run, self._services.settings.parallel_stores)
            except (errors.LeaseLost, errors.ImportSuspended, errors.DatabaseUnavailable):
                raise
            except Exception as exc:
                if run.task.finished:  # it ended well; only its book could not be closed
                    LOG.info("task %s: the end of its flow was not recorded: %s", run.task.id, exc)
                    return
                if run.task.error is None:  # it was no part of the import that failed
                    if not isinstance(exc, errors.GlanceError):
                        LOG.exception("image %s: the import's flow failed", run.image_id)
                    failure.record_failure(
                        run,
                        exc
                        if isinstance(exc, errors.GlanceError)
                        else errors.ImportFailed("the import failed; the operator's log says why"),
                    )
        if run.task.error is not None:
            failure.roll_back(run, undo)
        if run.task.finished:
            self._upkeep.forget(run.task.id)

    def _sweep(self, image: Image, lease: Lease) -> None:
        """The task has ended; only blobs are left, or an import of a foreign or older writer."""
        for ref in lease.blobs:
            self._services.stores.discard(ref)
        if image.status is Status.IMPORTING:
            self._services.operations.release(lease, "the service that worked on it stopped; try again")
        else:
            self._services.database.images.commit(LeaseEnded(lease))

    def hand_over(self, lease: Lease, run: ImportRun | None = None) -> None:
        """Let another process take it at once. ``run``: what has ended well here."""
        try:
            if run is not None:
                run.save(task=lambda x: x.handed_over())
            self._services.database.images.commit(
                LeaseTaken(replace(lease, token=f"{lease.token[:31]}x"), 0, lease.token)
            )
        except errors.GlanceError as exc:
            LOG.info("image %s: its import will be taken over when its lease has expired: %s", lease.image_id, exc)

    # -- nobody's tasks ----------------------------------------------------------------------------
    def tidy(self) -> None:
        """See ``ImportUpkeep.tidy``."""
        self._upkeep.tidy()
        for task_id in [x for x in list(self._left) if self._upkeep.ended(x)]:  # others went on with them
            self._left.discard(task_id)
