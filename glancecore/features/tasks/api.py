"""Tasks."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlencode

from flask import Request, Response

from glancecore.domain import errors
from glancecore.domain.context import Context
from glancecore.domain.task import Task, TaskStatus, TaskType
from glancecore.features.images.api import new_image, stamp
from glancecore.features.images.schemas import Schema
from glancecore.features.images.use_cases import NewImage
from glancecore.features.imports.api import MOST_BYTES
from glancecore.features.imports.use_cases import Imports
from glancecore.features.tasks import schemas
from glancecore.features.tasks.use_cases import Tasks
from glancecore.http.arguments import pairs, whole_number
from glancecore.ports.task_repository import TaskQuery, TaskSort
from glancecore.sdk import request_body as body
from glancecore.sdk.responses import json_response


class TasksApi:
    def __init__(
        self, tasks: Tasks, imports: Imports, image_body: Schema, max_json_body: int, limit_default: int, limit_max: int
    ) -> None:
        self._tasks = tasks
        self._imports = imports
        self._image_body = body.Checker(image_body)
        self._body = body.Checker(schemas.body(image_body))
        self._limit = max_json_body
        self._default = limit_default
        self._max = limit_max

    def of_image(self, _request: Request, ctx: Context, image_id: str) -> Response:
        return json_response({"tasks": [_row(x) for x in self._tasks.of_image(ctx, image_id)]})

    def list(self, request: Request, ctx: Context) -> Response:
        page = self._tasks.find(ctx, self._query(request))
        args = [(name, value) for name, value in pairs(request) if name != "marker"]
        links = {"first": _link(args)}
        if page.marker:
            links["next"] = _link([*args, ("marker", page.marker)])
        return json_response({"tasks": [_stub(x) for x in page.tasks], **links, "schema": "/v2/schemas/tasks"})

    def show(self, _request: Request, ctx: Context, task_id: str) -> Response:
        return json_response(_whole(self._tasks.show(ctx, task_id)))

    def add(self, request: Request, ctx: Context) -> Response:
        """The way that was there before imports: an image from a URL in one call."""

        def read() -> tuple[str, NewImage, dict[str, Any]]:
            given = body.read_json(request, min(self._limit, MOST_BYTES))
            self._body.check(given)
            wanted = given["input"]
            properties = {"disk_format": wanted["import_from_format"], **wanted.get("image_properties", {})}
            return wanted["import_from"], new_image(properties, self._image_body), wanted

        task = self._imports.start_task(ctx, read)
        response = json_response(_whole(task), 201)
        response.headers["Location"] = f"{request.root_url}v2/tasks/{task.id}"
        return response

    def _query(self, request: Request) -> TaskQuery:
        args = request.args
        limit = whole_number("limit", args.get("limit", str(self._default)))
        kind = args.get("type")
        if kind not in (None, "import"):
            raise errors.Invalid(f"type: {kind!r} is not one of import")
        status = args.get("status")
        if status is not None and status not in set(TaskStatus):
            raise errors.Invalid(f"status: {status!r} is not one of {', '.join(TaskStatus)}")
        key, direction = args.get("sort_key", "created_at"), args.get("sort_dir", "desc")
        if key not in set(TaskSort):
            raise errors.Invalid(f"sort_key: {key!r} is not one of {', '.join(TaskSort)}")
        if direction not in ("asc", "desc"):
            raise errors.Invalid(f"sort_dir: {direction!r} is not one of asc, desc")
        return TaskQuery(
            datetime.now(UTC),
            status=TaskStatus(status) if status else None,
            type=TaskType(kind) if kind else None,
            sort=((TaskSort(key), direction == "desc"),),
            marker=args.get("marker"),
            limit=min(limit, self._max),
        )


def _link(args: list[tuple[str, str]]) -> str:
    return "/v2/tasks" + (f"?{urlencode(args)}" if args else "")


def _stub(task: Task) -> dict[str, object]:
    return {
        "id": task.id,
        "type": task.type,
        "status": task.status,
        "owner": task.owner,
        "created_at": stamp(task.created_at),
        "updated_at": stamp(task.updated_at),
        "expires_at": stamp(task.expires_at) if task.expires_at else None,
        "self": f"/v2/tasks/{task.id}",
        "schema": "/v2/schemas/task",
    }


def _whole(task: Task) -> dict[str, object]:
    return {**_stub(task), **_details(task)}


def _details(task: Task) -> dict[str, object]:
    progress = task.progress
    return {
        "input": task.input,
        "result": task.result,
        "message": task.message,
        "image_id": task.image_id,
        "request_id": task.request_id,
        "user_id": task.user_id,
        "error": task.error,
        "cancel_requested": task.cancelled,
        "kept_until": stamp(task.kept_until) if task.kept_until else None,
        "progress": {
            "stage": progress.stage,
            "bytes": progress.bytes,
            "total": progress.total,
            "stores": [
                {"store": x.store, "state": x.state, "bytes": x.bytes, "error": x.error} for x in progress.copies
            ],
        },
    }


def _row(task: Task) -> dict[str, object]:
    """As Glance's database has it: other times, no links."""
    return {
        "id": task.id,
        "type": task.type,
        "status": task.status,
        "owner": task.owner,
        "created_at": _exact(task.created_at),
        "updated_at": _exact(task.updated_at),
        "expires_at": _exact(task.expires_at),
        "deleted": False,
        "deleted_at": None,
        **_details(task),
    }


def _exact(at: datetime | None) -> str | None:
    return at.strftime("%Y-%m-%dT%H:%M:%S.%f") if at else None
