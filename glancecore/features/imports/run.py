"""One running import: what it knows, and how it writes that down.

Every commit of a run also touches its lease, so a run that has lost the image can't write anything any more.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime

import tenacity

from glancecore.domain import errors
from glancecore.domain.events import Event, task_events
from glancecore.domain.image import Image, Status
from glancecore.domain.lease import BlobRef, Lease
from glancecore.domain.quota import Limits
from glancecore.domain.staged import Staged
from glancecore.domain.task import Task
from glancecore.features.imports.import_services import ImportServices
from glancecore.ports.import_method import ImportMethod, MethodRequest, Source
from glancecore.ports.import_step import ImportStep
from glancecore.ports.repository import Change, LeaseChanged, LeaseEnded, WithinLimits
from glancecore.ports.task_repository import TaskChanged
from glancecore.sdk import tracing


def _too_busy(state: tenacity.RetryCallState) -> None:
    """That others were always faster is no failure of the import: it is taken up again."""
    raise errors.DatabaseUnavailable("the import can't be saved at the moment") from (
        state.outcome.exception() if state.outcome else None
    )


_again = tenacity.retry(
    retry=tenacity.retry_if_exception_type(errors.ConcurrentChange),
    stop=tenacity.stop_after_attempt(30),
    wait=tenacity.wait_random(0, 0.02),
    retry_error_callback=_too_busy,
)


class ImportRun:
    """Thread-safe: several stores may be written to at once."""

    def __init__(
        self, services: ImportServices, task: Task, lease: Lease, method: ImportMethod, stopping: threading.Event
    ) -> None:
        self.services = services
        self.method = method
        self._task = task
        self._lease = lease
        self._stopping = stopping
        self._lock = threading.RLock()
        self._still_ours = services.leases.check(lease)
        self._saved = time.monotonic()
        self._unsaved: dict[str, int] = {}
        self.undone: set[str] = set()

    @property
    def task(self) -> Task:
        return self._task

    @property
    def lease(self) -> Lease:
        return self._lease

    @property
    def image_id(self) -> str:
        return self._lease.image_id

    @property
    def request(self) -> MethodRequest:
        """Raises SecretsUnreadable."""
        raw = self._task.input.get("import_req")
        body = raw if isinstance(raw, dict) else {}
        method = body.get("method")
        roles = tuple(x for x in self._task.secrets.get("roles", "").split(",") if x)
        return MethodRequest(
            method if isinstance(method, dict) else {},
            roles,
            self.services.kept.open(self._task.id, self._task.secrets),
        )

    @property
    def must_succeed(self) -> bool:
        raw = self._task.input.get("import_req")
        return not isinstance(raw, dict) or raw.get("all_stores_must_succeed", True) is not False

    @property
    def steps(self) -> dict[str, ImportStep]:
        return {} if self.method.source is Source.COPIES else dict(self.services.steps)

    def image(self) -> Image:
        """As it is now. Raises LeaseLost when it is gone."""
        try:
            image = self.services.database.images.get_any(self.image_id)
        except errors.ImageNotFound as exc:
            raise errors.LeaseLost(f"image {self.image_id} is gone") from exc
        if image.status is Status.DELETING:
            raise errors.LeaseLost(f"image {self.image_id} is being deleted")
        return image

    # -- being stopped -----------------------------------------------------------------------------
    def check_alive(self) -> None:
        """Raises LeaseLost, ImportSuspended, ImportCancelled."""
        self._still_ours()
        if self._stopping.is_set():
            raise errors.ImportSuspended("the process is stopping")
        if self._task.cancelled:
            raise errors.ImportCancelled("the import was cancelled")

    def pause(self, seconds: float) -> None:
        """Wait, but not when asked to stop."""
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            self.check_alive()
            if not self._stopping.wait(min(left, 0.5)):
                self.refresh()

    def refresh(self) -> None:
        """Look whether the user has cancelled."""
        with self._lock, tracing.aside():
            self._task = self.services.database.tasks.get(self._task.id)

    # -- writing down ------------------------------------------------------------------------------
    @_again
    def save(
        self,
        image: Callable[[Image], Image] | None = None,
        task: Callable[[Task], Task] | None = None,
        *,
        add: BlobRef | None = None,
        drop: BlobRef | None = None,
        reserved: int | None = None,
        freed: int = 0,
        end: bool = False,
        stable: Status | None = None,
        limits: Limits | None = None,
        events: Callable[[Image], Sequence[Event]] = lambda _: (),
    ) -> Image | None:
        """One commit: what ``image`` and ``task`` make of what is stored now, and the lease with one blob more or less.
        ``events`` of the image as it is afterwards are told, and what has become of the task.

        Raises LeaseLost, QuotaExceeded, DatabaseUnavailable.
        """
        with self._lock:
            changes: list[Change] = []
            at = datetime.now(UTC)
            after: Image | None = None
            if image is not None:
                before = self.image()
                after = image(before)
                if after != before:
                    changes.append(saved := self.services.writer.image(before, after))
                    after = saved.after
            next_task = self._task if task is None else task(self._task)
            if next_task != self._task:
                next_task = replace(next_task, version=self._task.version + 1, updated_at=at)
                changes.append(TaskChanged(self._task, next_task))
            lease = self._changed_lease(add, drop, self._lease.reserved - freed if reserved is None else reserved)
            lease = replace(lease, stable=stable or lease.stable)
            changes.append(LeaseEnded(lease) if end else LeaseChanged(lease))
            if limits is not None:
                changes.append(WithinLimits(lease.project, limits))
            told = [*(() if after is None else events(after)), *task_events(self._task, next_task)]
            try:
                self.services.writer.save(*changes, events=told, initiator=next_task.initiator)
            except errors.ConcurrentChange:
                self._task = self.services.database.tasks.get(self._task.id)
                raise
            except errors.ImageNotFound as exc:
                raise errors.LeaseLost(f"image {self.image_id} is gone") from exc
            self._task, self._lease = next_task, lease
        return after

    def record_failure(self, code: str, message: str, stable: Status, kept: Staged | None) -> bool:
        """It has failed; whoever goes on with it from here cleans up, but for what is ``kept`` for another attempt.
        False: another part had failed before. Raises LeaseLost either way."""
        with self._lock:
            first = self._task.error is None
            if first:
                self.save(task=lambda x: x.with_failure(code, message, kept), stable=stable)
            else:
                self.save()
            return first

    def disown(self, ref: BlobRef) -> None:
        """The image is somebody else's: what we have staged goes, unless the commit whose answer said otherwise has
        made it the image's after all."""
        try:
            staged = self.services.database.images.get_any(self.image_id).staged
        except errors.ImageNotFound:
            staged = None
        if staged is None or (staged.store, staged.key) != (ref.store, ref.key):
            self.services.staged_data.discard(ref)

    def _changed_lease(self, add: BlobRef | None, drop: BlobRef | None, reserved: int) -> Lease:
        blobs = [x for x in self._lease.blobs if x != drop]
        if add is not None and add not in blobs:
            blobs.append(add)
        return replace(self._lease, blobs=tuple(blobs), reserved=max(0, reserved))

    def progress(self, count: int, total: int | None = None, store: str | None = None) -> None:
        """``count`` bytes have gone through the part that runs; written down once a second at most. Also
        ``check_alive``."""
        self.check_alive()
        if time.monotonic() - self._saved < self.services.settings.progress_interval:
            return
        with self._lock:
            self._saved = time.monotonic()

            def told(task: Task) -> Task:
                message = f"Copied {count >> 20} MiB" if task.error is None else task.message
                if store is not None:
                    task = task.copy(store, bytes=count)
                return replace(task, message=message, progress=replace(task.progress, bytes=count, total=total))

            with tracing.aside():
                self.save(task=told)
        self.check_alive()
