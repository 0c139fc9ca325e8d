"""Imports: a user asks for one, cancels it, asks again. The work itself is the runner's."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Protocol

from glancecore.domain import errors
from glancecore.domain.context import Context
from glancecore.domain.events import task_events
from glancecore.domain.image import Image, Status
from glancecore.domain.lease import Lease, Operation
from glancecore.domain.quota import Limits
from glancecore.domain.task import Copy, Progress, Task, TaskType
from glancecore.features.images.use_cases import Images, NewImage
from glancecore.features.imports import expected
from glancecore.features.imports.import_services import ImportServices
from glancecore.kernel.lookups import Lookups
from glancecore.kernel.retrying import on_concurrent_change
from glancecore.kernel.transfer.signatures import CERTIFICATE
from glancecore.kernel.transfer.store_facade import StoreFacade
from glancecore.policies.authorizer import Authorizer
from glancecore.ports.import_method import ImportMethod, MethodRequest, Source
from glancecore.ports.repository import Change
from glancecore.ports.task_repository import TaskAdded, TaskChanged
from glancecore.sdk import tracing
from glancecore.sdk.checkpoints import checkpoint

#: Where an image that is importing came from, and goes back to when the import fails.
_STABLE = {
    Status.QUEUED: Status.QUEUED,
    Status.UPLOADING: Status.UPLOADING,
    Status.ACTIVE: Status.ACTIVE,
    Status.DEACTIVATED: Status.DEACTIVATED,
}


class ImportExecutor(Protocol):
    """Who runs imports, here or elsewhere."""

    def submit(self, task: Task, lease: Lease) -> None:
        """Run it soon; the lease is the executor's from here on."""


@dataclass(frozen=True, slots=True)
class ImportRequest:
    """What the caller asks for. ``method`` is the object of the body; ``stores`` None: the default one."""

    method: Mapping[str, object]
    stores: Sequence[str] | None = None
    all_stores: bool = False
    must_succeed: bool = True
    #: The body as it came, to be shown in the task.
    body: Mapping[str, object] = field(default_factory=dict)
    #: The input of a task of the tasks API.
    given: Mapping[str, object] | None = None

    @property
    def name(self) -> str:
        return str(self.method.get("name"))


class Imports:
    def __init__(
        self,
        services: ImportServices,
        authorizer: Authorizer,
        executor: ImportExecutor,
        images: Images,
        lookups: Lookups,
    ) -> None:
        self._repository = services.database.images
        self._tasks = services.database.tasks
        self._policy = authorizer
        self._quota = services.quota
        self._stores = services.stores
        self._operations = services.operations
        self._methods = services.methods
        self._steps = services.steps
        self._executor = executor
        self._images = images
        self._lookups = lookups
        self._kept = services.kept
        self._signatures = services.signatures

    def start(self, ctx: Context, image_id: str, read: Callable[[], ImportRequest]) -> Task | None:
        """Begin an import; it goes on after this returns. None when there is nothing to do. What is wanted is read when
        the caller has been found to be allowed to import by some method.

        Raises UnknownMethod, Invalid, BadLocation, ImageNotFound, Forbidden, WrongStatus, ImageBusy,
        UnknownImportStore, QuotaExceeded, and what ``read`` raises."""
        image = self._repository.get(image_id, ctx.viewer)
        self._policy.authorize(ctx, "get_image", image)
        policies = sorted({x.policy for x in self._methods.values()}, reverse=True)
        if policies and not any(self._policy.allows(ctx, x, image) for x in policies):
            self._policy.authorize(ctx, policies[0], image)
        return self._start(ctx, image, read())

    def _start(self, ctx: Context, image: Image, wanted: ImportRequest, failed: Task | None = None) -> Task | None:
        """``failed``: an earlier task for the same, whose data is taken over."""
        image_id = image.id
        method = self._methods.get(wanted.name)
        if method is None:
            raise errors.UnknownMethod(
                f"method.name: {wanted.name!r} is not one of {', '.join(self._methods) or 'none'}"
            )
        self._policy.authorize(ctx, method.policy, image)
        expected.wanted(wanted.method)
        request = MethodRequest(
            wanted.method, sorted(ctx.roles), {"token": ctx.token} if ctx.token and method.wants_token else {}
        )
        self._check(ctx, method, request)
        if image.importing is not None and image.importing.task is not None:
            raise errors.ImageBusy(f"image {image_id} has an active task: {image.importing.task}")
        image.require(*method.statuses)
        if image.disk_format is None or image.container_format is None:
            raise errors.WrongStatus(f"image {image_id}: disk_format and container_format must be set before an import")
        if method.source is Source.STAGED and image.staged is None:
            raise errors.ImageBusy(f"image {image_id} is still being staged")
        stores = self._targets(image, wanted, method)
        if not stores:
            return None
        if ctx.token and CERTIFICATE in image.properties and self._signatures.wants_token:
            request = replace(request, secrets={"token": ctx.token})
        return self._begin(ctx, image, wanted, request, stores, failed=failed)

    def start_task(self, ctx: Context, read: Callable[[], tuple[str, NewImage, Mapping[str, object]]]) -> Task:
        """An image and its import from the web in one call: the tasks API. ``read`` gives the URL, the image, and both
        as they came.

        Raises what ``Images.create`` and ``start`` raise."""
        self._policy.authorize(ctx, "tasks_api_access")
        self._policy.authorize(ctx, "add_task")
        self._images.require_creating(ctx)
        uri, new, given = read()
        method = self._methods.get("web-download")
        if method is None:
            raise errors.UnknownMethod("import method web-download is not enabled in this deployment")
        wanted = ImportRequest(
            {"name": "web-download", "uri": uri}, body={"method": {"name": "web-download", "uri": uri}}, given=given
        )
        self._check(ctx, method, MethodRequest(wanted.method))
        image = self._images.create(ctx, lambda: new)
        task = self._start(ctx, image, wanted)
        if task is None:
            raise errors.Conflict("there is no store to import to")
        return task

    def copy(self, image_id: str, store_id: str) -> Task:
        """One more copy, for the service's own reasons: nobody is asked, and no quota is in the way.

        Raises UnknownMethod, ImageNotFound, WrongStatus, ImageBusy, UnknownImportStore, StoreUnavailable, Invalid."""
        method = self._methods.get("copy-image")
        if method is None:
            raise errors.UnknownMethod(
                "copies are made by the import method copy-image: add it to [DEFAULT] enabled_import_methods"
            )
        image = self._repository.get_any(image_id)
        if image.importing is not None and image.importing.task is not None:
            raise errors.ImageBusy(f"image {image_id} has an active task: {image.importing.task}")
        image.require(Status.ACTIVE, Status.DEACTIVATED)
        told = {"name": "copy-image"}
        wanted = ImportRequest(
            told, [store_id], body={"method": told, "stores": [store_id], "all_stores_must_succeed": True}
        )
        return self._begin(
            Context(admin=True), image, wanted, MethodRequest(told), self._targets(image, wanted, method), limited=False
        )

    def cancel(self, ctx: Context, image_id: str, task_id: str) -> None:
        """Ask a running import to stop; it does so within seconds. Raises ImageNotFound, TaskNotFound, Forbidden,
        WrongStatus."""
        self._own_task(ctx, image_id, task_id)
        self._cancel(task_id)

    def retry(self, ctx: Context, image_id: str, task_id: str) -> Task | None:
        """Begin a failed import again, or the copies that have failed; what is done already is not done again.

        Raises ImageNotFound, TaskNotFound, Forbidden, and what ``start`` raises."""
        image, task = self._own_task(ctx, image_id, task_id)
        if not task.finished:
            raise errors.WrongStatus(f"task {task_id} is {task.status.value}: only an ended task can be retried")
        raw = task.input.get("import_req")
        body: Mapping[str, object] = raw if isinstance(raw, dict) else {}
        method = body.get("method")
        failed = [x.store for x in task.progress.copies if x.state.value == "failed"]
        wanted = ImportRequest(
            method if isinstance(method, dict) else {},
            task.stores,
            must_succeed=bool(body.get("all_stores_must_succeed", True)),
            body=body,
        )
        if task.status.value == "success":
            if not failed:
                raise errors.WrongStatus(f"task {task_id} has succeeded in all its stores")
            copying = {"name": "copy-image"}  # of the image's data, wherever that has come from
            wanted = replace(
                wanted,
                method=copying,
                stores=failed,
                body={"method": copying, "stores": failed, "all_stores_must_succeed": wanted.must_succeed},
            )
        return self._start(ctx, image, wanted, task)

    # -- inside ------------------------------------------------------------------------------------
    def _own_task(self, ctx: Context, image_id: str, task_id: str) -> tuple[Image, Task]:
        image = self._repository.get(image_id, ctx.viewer)
        self._policy.authorize(ctx, "get_image", image)
        self._policy.authorize(ctx, "upload_image", image)
        task = self._tasks.get(task_id)
        if task.image_id != image_id:
            raise errors.TaskNotFound(f"image {image_id} has no task {task_id}")
        return image, task

    @on_concurrent_change
    def _cancel(self, task_id: str) -> None:
        task = self._tasks.get(task_id)
        after = task.cancel()
        if after != task:
            self._repository.commit(TaskChanged(task, replace(after, version=task.version + 1)))

    def _check(self, ctx: Context, method: ImportMethod, request: MethodRequest) -> None:
        """What a caller's request must be; where it leads may be asked of name servers. Raises Invalid, BadLocation,
        Forbidden, StoreUnavailable, ServerBusy, PluginBroken."""
        for step in self._steps.values() if method.source is not Source.COPIES else ():
            if step.unavailable_because is not None:
                raise errors.PluginBroken(f"nothing can be imported: {step.unavailable_because}")
        if method.source is Source.FETCHED:
            self._lookups.run(lambda _: method.check(request), ctx.project, outside=True)
        else:
            method.check(request)
        self._check_signature(method, request)

    def _check_signature(self, method: ImportMethod, request: MethodRequest) -> None:
        """A signature that nobody would look at is refused. Raises Invalid."""
        checking = (
            [x for x in self._steps.values() if x.checks_signatures] if method.source is not Source.COPIES else []
        )
        if "signature" in request.method and not checking:
            raise errors.Invalid("method.signature: no import step of this deployment checks signatures")

    def _targets(self, image: Image, wanted: ImportRequest, method: ImportMethod) -> tuple[str, ...]:
        having = {x.store for x in image.good_locations}
        if wanted.all_stores:
            return tuple(
                x.id for x in self._stores if x.writable and (method.source is not Source.COPIES or x.id not in having)
            )
        size = image.staged.digests.size if image.staged is not None else image.size
        found = dict.fromkeys(self._target(x).id for x in wanted.stores or [self._stores.for_data(None, size).id])
        if method.source is Source.COPIES and having & set(found):
            raise errors.Invalid(f"stores: {', '.join(sorted(having & set(found)))} has the image already")
        return tuple(found)

    def _target(self, store_id: str) -> StoreFacade:
        try:
            store = self._stores.get(store_id)
        except errors.UnknownStore as exc:
            raise errors.UnknownImportStore(str(exc)) from exc
        if not store.available:
            raise errors.StoreUnavailable(f"store {store.id} is not available", store.id)
        if store.draining:
            store.require_writable()
        if not store.writable:
            raise errors.UnknownImportStore(f"store {store.id} takes no new data")
        return store

    def _begin(
        self,
        ctx: Context,
        image: Image,
        wanted: ImportRequest,
        request: MethodRequest,
        stores: tuple[str, ...],
        *,
        limited: bool = True,
        failed: Task | None = None,
    ) -> Task:
        """One commit: the image is importing, held by a lease, and the task says so; what ``failed`` keeps goes over to
        the image."""
        at = datetime.now(UTC)
        kind = TaskType.API_IMAGE_IMPORT if wanted.given is None else TaskType.IMPORT
        task_id = str(uuid.uuid4())
        task = Task(
            task_id,
            kind,
            at,
            at,
            owner=image.owner,
            image_id=image.id,
            user_id=ctx.user,
            request_id=ctx.request_id,
            progress=Progress("waiting", copies=tuple(Copy(x) for x in stores)),
            input={
                "image_id": image.id,
                "import_req": dict(wanted.body),
                "backend": list(stores),
                **(wanted.given or {}),
            },
            secrets={"roles": ",".join(request.roles), **self._kept.seal(task_id, request.secrets)},
            trace=tracing.carrier(),
        )
        kept = failed.kept if failed is not None and failed.keeps(at) else None
        saved = self._operations.writer.image(image, image.begin_import(task.id, stores, kept))
        begun = saved.after
        limits = self._quota.limits(image.owner) if limited else Limits()
        size = begun.size or 0
        lease = self._operations.leases.new(begun, Operation.IMPORT, _STABLE[image.status], reserved=size * len(stores))
        changes: list[Change] = [TaskAdded(task)]
        if failed is not None and kept is not None:
            changes.append(TaskChanged(failed, replace(failed.emptied(), version=failed.version + 1)))
        checkpoint("import.before_intent")
        self._operations.begin(image, saved, lease, limits, *changes, events=task_events(None, task))
        checkpoint("import.after_intent")
        self._executor.submit(task, lease)
        return task
