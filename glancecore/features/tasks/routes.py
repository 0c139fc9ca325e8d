"""The routes of tasks."""

from __future__ import annotations

from glancecore.features.images.routes import INT, ONE
from glancecore.features.images.schemas import Schema
from glancecore.features.tasks import schemas
from glancecore.features.tasks.api import TasksApi
from glancecore.ports.http import Lane, Param, Route


def routes(task: TasksApi, image_body: Schema) -> list[Route]:
    """``image_body``: what a new image may have."""
    return [
        Route("GET", f"{ONE}/tasks", task.of_image, "Tasks of an image", {200: schemas.OF_IMAGE}, tag="imports"),
        Route(
            "GET",
            "/v2/tasks",
            task.list,
            "List tasks",
            {200: schemas.LISTED},
            tag="tasks",
            params=(
                Param("limit", "Rows of a page.", schema=INT),
                Param("marker", "Id of the last task of the page before."),
                Param("status", "pending, processing, success or failure."),
                Param("type", "import."),
                Param("sort_key", "What to sort by."),
                Param("sort_dir", "asc or desc."),
            ),
        ),
        Route(
            "POST",
            "/v2/tasks",
            task.add,
            "Make an image of a URL",
            {201: schemas.ANSWER},
            body=schemas.body(image_body),
            tag="tasks",
            lane=Lane.TRANSFER,
        ),
        Route("GET", "/v2/tasks/<task_id>", task.show, "Show a task", {200: schemas.ANSWER}, tag="tasks"),
    ]
