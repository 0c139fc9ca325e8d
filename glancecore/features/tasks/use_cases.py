"""Reading tasks: those of an image by who sees the image, all of them by administrators."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from glancecore.domain import errors
from glancecore.domain.context import Context
from glancecore.domain.image import Image
from glancecore.domain.task import Task
from glancecore.policies.authorizer import Authorizer
from glancecore.ports.repository import Database
from glancecore.ports.task_repository import TaskQuery

#: The list of an image's tasks has no pages.
MOST_OF_IMAGE = 100


@dataclass(frozen=True, slots=True)
class TaskPage:
    """``marker`` is where the next page begins, None when this one was not full."""

    tasks: Sequence[Task] = ()
    marker: str | None = None


class Tasks:
    def __init__(self, database: Database, authorizer: Authorizer) -> None:
        self._repository = database.images
        self._tasks = database.tasks
        self._policy = authorizer

    def of_image(self, ctx: Context, image_id: str) -> list[Task]:
        """The newest tasks of an image that the caller sees, newest first. Who does not own it is not told who asked,
        and what for."""
        image = self._repository.get(image_id, ctx.viewer)
        self._policy.authorize(ctx, "get_image", image)
        found = self._tasks.of_image(image_id, datetime.now(UTC), MOST_OF_IMAGE)
        return found if _owns(ctx, image) else [_for_others(x) for x in found]

    def find(self, ctx: Context, query: TaskQuery) -> TaskPage:
        """Raises Forbidden, UnknownMarker."""
        self._policy.authorize(ctx, "tasks_api_access")
        self._policy.authorize(ctx, "get_tasks")
        found = self._tasks.find(query)
        return TaskPage(found, found[-1].id if found and len(found) == query.limit else None)

    def show(self, ctx: Context, task_id: str) -> Task:
        """Raises Forbidden, TaskNotFound."""
        self._policy.authorize(ctx, "tasks_api_access")
        self._policy.authorize(ctx, "get_task")
        task = self._tasks.get(task_id)
        if task.expires_at is not None and task.expires_at < datetime.now(UTC):
            raise errors.TaskNotFound(f"no task {task_id}")
        return task


def _owns(ctx: Context, image: Image) -> bool:
    return ctx.admin or (ctx.project is not None and ctx.project == image.owner)


def _for_others(task: Task) -> Task:
    return replace(task, user_id=None, request_id=None, owner=None, input=_bare(task.input))


def _bare(value: Mapping[str, object]) -> dict[str, object]:
    """Without what may be secret: users, passwords and queries of URLs."""
    return {name: _bare_value(inner) for name, inner in value.items()}


def _bare_value(value: object) -> object:
    if isinstance(value, dict):
        return _bare(value)
    if isinstance(value, (list, tuple)):
        return [_bare_value(x) for x in value]
    if isinstance(value, str) and "://" in value:
        scheme, _, rest = value.partition("://")
        host = rest.split("/", 1)[0].rpartition("@")[2].split("?", 1)[0].split("#", 1)[0]
        return f"{scheme}://{host}"
    return value
