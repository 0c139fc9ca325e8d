"""What happened, as values: handed to the notifiers after the commit that made it true."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING

from glancecore.domain.task import Task, TaskStatus

if TYPE_CHECKING:
    from glancecore.domain.image import Image
    from glancecore.domain.member import Member
    from glancecore.domain.metadef import Outline, Part


class EventType(StrEnum):
    """Names as consumers of Glance's notifications know them."""

    IMAGE_CREATE = "image.create"
    IMAGE_PREPARE = "image.prepare"
    IMAGE_UPLOAD = "image.upload"
    IMAGE_ACTIVATE = "image.activate"
    IMAGE_UPDATE = "image.update"
    IMAGE_DELETE = "image.delete"
    IMAGE_SEND = "image.send"
    MEMBER_CREATE = "image.member.create"
    MEMBER_UPDATE = "image.member.update"
    MEMBER_DELETE = "image.member.delete"
    TASK_CREATE = "task.create"
    TASK_RUN = "task.run"
    TASK_PROCESSING = "task.processing"
    TASK_SUCCESS = "task.success"
    TASK_FAILURE = "task.failure"
    METADEF_NAMESPACE_CREATE = "metadef_namespace.create"
    METADEF_NAMESPACE_UPDATE = "metadef_namespace.update"
    METADEF_NAMESPACE_DELETE = "metadef_namespace.delete"
    METADEF_OBJECT_CREATE = "metadef_object.create"
    METADEF_OBJECT_UPDATE = "metadef_object.update"
    METADEF_OBJECT_DELETE = "metadef_object.delete"
    METADEF_PROPERTY_CREATE = "metadef_property.create"
    METADEF_PROPERTY_UPDATE = "metadef_property.update"
    METADEF_PROPERTY_DELETE = "metadef_property.delete"
    METADEF_TAG_CREATE = "metadef_tag.create"
    METADEF_TAG_UPDATE = "metadef_tag.update"
    METADEF_TAG_DELETE = "metadef_tag.delete"
    METADEF_RESOURCE_TYPE_CREATE = "metadef_resource_type.create"
    METADEF_RESOURCE_TYPE_DELETE = "metadef_resource_type.delete"
    METADEF_NAMESPACE_DELETE_OBJECTS = "metadef_namespace.delete_objects"
    METADEF_NAMESPACE_DELETE_PROPERTIES = "metadef_namespace.delete_properties"
    METADEF_NAMESPACE_DELETE_TAGS = "metadef_namespace.delete_tags"


@dataclass(frozen=True, slots=True)
class ImageEvent:
    """Something happened to an image; ``image`` is its state afterwards (for delete: before). ``store``: where its data
    will go."""

    type: EventType
    image: Image
    store: str | None = None


@dataclass(frozen=True, slots=True)
class MemberEvent:
    type: EventType
    member: Member


@dataclass(frozen=True, slots=True)
class ImageSent:
    """Image data left for a client. ``bytes_sent`` counts the body's bytes handed to the server."""

    image: Image
    bytes_sent: int
    receiver_user: str | None
    receiver_project: str | None
    destination_ip: str | None
    type: EventType = EventType.IMAGE_SEND


@dataclass(frozen=True, slots=True)
class MetadefEvent:
    """Something happened to a namespace, or to ``part`` of it. Both are as afterwards (for delete: before).

    ``old_name`` is the name before a change."""

    type: EventType
    namespace: Outline
    part: Part | None = None
    old_name: str | None = None


@dataclass(frozen=True, slots=True)
class TaskEvent:
    """Something happened to a task; ``task`` is its state afterwards."""

    type: EventType
    task: Task


@dataclass(frozen=True, slots=True)
class EventName:
    """Of an event that an extension tells, such as ``census.take``; at most 64 characters."""

    value: str


@dataclass(frozen=True, slots=True)
class ExtensionEvent:
    """Something that an extension tells. ``subject``: the id of what it happened to, an image's where it is one; events
    of one subject are delivered in order. ``payload``: JSON values."""

    type: EventName
    subject: str
    payload: Mapping[str, object] = field(default_factory=dict)


Event = ImageEvent | MemberEvent | ImageSent | MetadefEvent | TaskEvent | ExtensionEvent
_OF_TASKS = {
    TaskStatus.PENDING: (),
    TaskStatus.PROCESSING: (EventType.TASK_RUN, EventType.TASK_PROCESSING),
    TaskStatus.SUCCESS: (EventType.TASK_SUCCESS,),
    TaskStatus.FAILURE: (EventType.TASK_FAILURE,),
}


def task_events(before: Task | None, after: Task) -> list[TaskEvent]:
    """What is to be told of a change of a task; ``before`` None: it is new."""
    found = [EventType.TASK_CREATE] if before is None else []
    if before is None or before.status is not after.status:
        found += _OF_TASKS[after.status]
    return [TaskEvent(x, after) for x in found]
