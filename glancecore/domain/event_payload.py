"""Events as consumers of Glance's notifications know them. Times are UTC, to the second."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from glancecore.domain.events import (
    Event,
    EventType,
    ExtensionEvent,
    ImageEvent,
    ImageSent,
    MemberEvent,
    MetadefEvent,
    TaskEvent,
)
from glancecore.domain.image import Image, Visibility
from glancecore.domain.member import Member
from glancecore.domain.metadef import Association, MetadefObject, Outline, Part, Property
from glancecore.domain.task import Task

Payload = dict[str, object]

#: What of a property definition is told; null when the definition does not say it.
_RULES = (
    "type",
    "title",
    "description",
    "default",
    "minimum",
    "maximum",
    "enum",
    "pattern",
    "minLength",
    "maxLength",
    "confidential",
    "items",
    "uniqueItems",
    "minItems",
    "maxItems",
    "additionalItems",
)
_ENDS = frozenset(
    {
        EventType.IMAGE_DELETE,
        EventType.MEMBER_DELETE,
        EventType.METADEF_NAMESPACE_DELETE,
        EventType.METADEF_OBJECT_DELETE,
        EventType.METADEF_PROPERTY_DELETE,
        EventType.METADEF_TAG_DELETE,
        EventType.METADEF_RESOURCE_TYPE_DELETE,
    }
)


def payload(event: Event, now: datetime) -> Payload:
    """``now``: when it was deleted, for an event that says so."""
    end = now if event.type in _ENDS else None
    if isinstance(event, ImageEvent):
        return _image(event, end)
    if isinstance(event, ImageSent):
        return _sent(event)
    if isinstance(event, MemberEvent):
        return _member(event.member, end)
    if isinstance(event, TaskEvent):
        return _task(event.task)
    if isinstance(event, ExtensionEvent):
        return dict(event.payload)
    return _metadef(event, end)


def subject(event: Event) -> str:
    """The id of what it happened to: an image (also for its members and tasks), or a namespace (also for its parts)."""
    if isinstance(event, (ImageEvent, ImageSent)):
        return event.image.id
    if isinstance(event, MemberEvent):
        return event.member.image_id
    if isinstance(event, TaskEvent):
        return event.task.image_id or event.task.id
    if isinstance(event, ExtensionEvent):
        return event.subject
    return event.namespace.id


def _image(event: ImageEvent, end: datetime | None) -> Payload:
    image = event.image
    told: Payload = {
        "id": image.id,
        "name": image.name,
        "status": "deleted" if end else image.status.value,
        "created_at": _time(image.created_at),
        "updated_at": _time(image.updated_at),
        "min_disk": image.min_disk,
        "min_ram": image.min_ram,
        "protected": image.protected,
        "checksum": image.checksum,
        "owner": image.owner,
        "disk_format": image.disk_format,
        "container_format": image.container_format,
        "size": image.size,
        "virtual_size": image.virtual_size,
        "is_public": image.visibility is Visibility.PUBLIC,
        "visibility": image.visibility.value,
        "properties": dict(image.properties),
        "tags": list(image.tags),
        **_deleted(end),
    }
    if backend := _backend(event.type, image, event.store):
        told["backend"] = backend
    return told


def _backend(event: EventType, image: Image, store: str | None) -> str | None:
    """The store that the data goes to, or has gone to."""
    if event is EventType.IMAGE_PREPARE:
        return store
    if event in (EventType.IMAGE_UPLOAD, EventType.IMAGE_ACTIVATE) and image.live_locations:
        return image.live_locations[0].store
    return None


def _sent(event: ImageSent) -> Payload:
    return {
        "bytes_sent": event.bytes_sent,
        "image_id": event.image.id,
        "owner_id": event.image.owner,
        "receiver_tenant_id": event.receiver_project,
        "receiver_user_id": event.receiver_user,
        "destination_ip": event.destination_ip,
    }


def _member(member: Member, end: datetime | None) -> Payload:
    return {
        "image_id": member.image_id,
        "member_id": member.member,
        "status": member.status.value,
        **_times(member.created_at, member.updated_at),
        **_deleted(end),
    }


def _task(task: Task) -> Payload:
    return {
        "id": task.id,
        "type": task.type.value,
        "status": task.status.value,
        "owner": task.owner,
        "image_id": task.image_id,
        "result": None if task.result is None else dict(task.result),
        "message": task.message,
        "expires_at": _time(task.expires_at) if task.expires_at else None,
        **_times(task.created_at, task.updated_at),
        **_deleted(None),
    }


def _metadef(event: MetadefEvent, end: datetime | None) -> Payload:
    if event.part is None:
        return {**_namespace(event.namespace, event.old_name), **_deleted(end)}
    part = event.part
    return {
        "namespace": event.namespace.name,
        "name": part.name,
        "name_old": event.old_name or part.name,
        **_part(part),
        **_deleted(end),
    }


def _namespace(namespace: Outline, old_name: str | None) -> Payload:
    return {
        "namespace": namespace.name,
        "namespace_old": old_name or namespace.name,
        "display_name": namespace.display_name,
        "protected": namespace.protected,
        "visibility": namespace.visibility.value,
        "owner": namespace.owner,
        "description": namespace.description,
        **_times(namespace.created_at, namespace.updated_at),
    }


def _part(part: Part) -> Payload:
    """What this kind of part has beside its name."""
    if isinstance(part, Property):
        return _rules(part.definition)
    if isinstance(part, MetadefObject):
        return {
            "properties": [{"name": x.name, **_rules(x.definition)} for x in part.properties],
            "required": list(part.required),
            "description": part.description,
            **_times(part.created_at, part.updated_at),
        }
    if isinstance(part, Association):
        return {
            "prefix": part.prefix,
            "properties_target": part.properties_target,
            **_times(part.created_at, part.updated_at),
        }
    return _times(part.created_at, part.updated_at)


def _rules(definition: Mapping[str, object]) -> Payload:
    return {name: definition.get(name) for name in _RULES}


def _times(created: datetime, updated: datetime) -> Payload:
    return {"created_at": _time(created), "updated_at": _time(updated)}


def _deleted(end: datetime | None) -> Payload:
    return {"deleted": end is not None, "deleted_at": _time(end) if end else None}


def _time(when: datetime) -> str:
    return when.strftime("%Y-%m-%dT%H:%M:%SZ")
