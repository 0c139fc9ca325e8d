"""Who asks, whom it belongs to, and things to ask about, made beside the API so that each test has what it needs."""

from __future__ import annotations

import contextlib
import tempfile
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from api import Person
from building import built
from werkzeug.test import TestResponse

from glancecore.assembly.lifecycle import Service
from glancecore.domain.image import Image, Status, Visibility
from glancecore.domain.member import Member, MemberStatus
from glancecore.domain.task import Task, TaskStatus, TaskType
from glancecore.ports.repository import ImageAdded, MemberAdded
from glancecore.ports.task_repository import TaskAdded

OWNER, OTHER = "owners", "others"
#: Who may have to do with an image of OWNER's; ``other`` is who it is shared with where it is.
ROLES = ("admin", "owner", "reader", "other", "stranger", "anonymous")
#: Who sees an image of OWNER's, and for ``shared`` what OTHER has said to it.
VISIBILITIES = ("private", "accepted", "pending", "community", "public")


@dataclass(frozen=True)
class Anonymous(Person):
    """Somebody without credentials."""

    def call(self, method: str, path: str, body: object = None, **headers: str) -> TestResponse:
        return super().call(method, path, body, **{"X_Identity_Status": "", **headers})


@dataclass
class House:
    service: Service
    people: dict[str, Person]

    @property
    def admin(self) -> Person:
        return self.people["admin"]

    @property
    def owner(self) -> Person:
        return self.people["owner"]

    def image(self, visibility: str = "private", **fields: Any) -> Image:
        """An image of OWNER's, as it is in the database."""
        at = datetime.now(UTC)
        shared = visibility in ("accepted", "pending")
        given: dict[str, Any] = {
            "id": str(uuid.uuid4()),
            "created_at": at,
            "updated_at": at,
            "owner": OWNER,
            "tags": ("seed",),
            "disk_format": "raw",
            "container_format": "bare",
            "visibility": Visibility.SHARED if shared else Visibility(visibility),
            **fields,
        }
        image = Image(**given)
        repository = self.service.database.images
        repository.commit(ImageAdded(image))
        if shared:
            repository.commit(MemberAdded(Member(image.id, OTHER, MemberStatus(visibility), at, at)))
        return image

    def task(self, image: Image, status: TaskStatus = TaskStatus.PENDING, **fields: Any) -> Task:
        at = datetime.now(UTC)
        task = Task(
            str(uuid.uuid4()),
            TaskType.API_IMAGE_IMPORT,
            at,
            at,
            status=status,
            owner=image.owner,
            image_id=image.id,
            **{"expires_at": at + timedelta(hours=1), **fields},
        )
        self.service.database.images.commit(TaskAdded(task))
        return task


def active(**fields: Any) -> dict[str, Any]:
    """Fields of an image that has no data left, but is active."""
    return {"status": Status.ACTIVE, "size": 0, **fields}


@contextlib.contextmanager
def opened(
    database: str, *, config: Mapping[str, Mapping[str, object]] | None = None, **default: object
) -> Iterator[House]:
    """``default``: options of [DEFAULT], ``config``: those of other sections."""
    with (
        tempfile.TemporaryDirectory() as folder,
        built(
            database,
            {
                **(config or {}),
                "DEFAULT": {"allow_anonymous_access": True, "image_cache_dir": f"{folder}/cache", **default},
            },
        ) as service,
    ):
        app = service.app
        yield House(
            service,
            {
                "admin": Person(app, "admins", "admin,member,reader"),
                "owner": Person(app, OWNER),
                "reader": Person(app, OWNER, "reader"),
                "other": Person(app, OTHER),
                "stranger": Person(app, "strangers"),
                "anonymous": Anonymous(app),
            },
        )
