"""Payloads, held against what a real Glance 33 sent for the same calls (its key sets and values, ids and times
apart)."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from glancecore.domain.event_payload import payload, subject
from glancecore.domain.events import (
    Event,
    EventType,
    ImageEvent,
    ImageSent,
    MemberEvent,
    MetadefEvent,
    TaskEvent,
    task_events,
)
from glancecore.domain.image import Image, Location, Status, Visibility
from glancecore.domain.member import Member, MemberStatus
from glancecore.domain.metadef import Association, MetadefObject, MetadefVisibility, Outline, Part, Property, Tag
from glancecore.domain.task import Task, TaskType

MADE, CHANGED, NOW = (datetime(2026, 1, 2, 3, 4, second, 999_999, UTC) for second in (5, 6, 7))
TIMES = {"created_at": "2026-01-02T03:04:05Z", "updated_at": "2026-01-02T03:04:06Z"}
THERE = {"deleted": False, "deleted_at": None}
GONE = {"deleted": True, "deleted_at": "2026-01-02T03:04:07Z"}

IMAGE = Image(
    "i",
    MADE,
    CHANGED,
    name="n",
    owner="p1",
    disk_format="raw",
    container_format="bare",
    tags=("t",),
    properties={"color": "red"},
)
QUEUED = {
    "id": "i",
    "name": "n",
    "status": "queued",
    **TIMES,
    "min_disk": 0,
    "min_ram": 0,
    "protected": False,
    "checksum": None,
    "owner": "p1",
    "disk_format": "raw",
    "container_format": "bare",
    "size": None,
    "virtual_size": None,
    "is_public": False,
    "visibility": "shared",
    "properties": {"color": "red"},
    "tags": ["t"],
    **THERE,
}
ACTIVE_IMAGE = replace(
    IMAGE,
    status=Status.ACTIVE,
    size=11,
    virtual_size=11,
    checksum="5eb6",
    hash_algo="sha512",
    hash_value="30",
    locations=(Location("file:///i", "fast"),),
)
ACTIVE = {**QUEUED, "status": "active", "size": 11, "virtual_size": 11, "checksum": "5eb6"}
MEMBER = {"image_id": "i", "member_id": "p2", "status": "pending", **TIMES, **THERE}

SPACE = Outline("1", "ns2", MADE, CHANGED, display_name="d", visibility=MetadefVisibility.PUBLIC, owner="p1")
NAMESPACE = {
    "namespace": "ns2",
    "namespace_old": "ns2",
    "display_name": "d",
    "protected": False,
    "visibility": "public",
    "owner": "p1",
    "description": None,
    **TIMES,
    **THERE,
}
RULES = dict.fromkeys(
    (
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
)


def _part(part: Part, event: EventType, **told: object) -> tuple[Event, dict[str, object]]:
    return MetadefEvent(event, SPACE, part), {"namespace": "ns2", "name": part.name, "name_old": part.name, **told}


E = EventType
TAG = Tag("a", MADE, CHANGED)
PROPERTY = Property("pr", {"title": "T", "type": "integer", "minimum": 1, "maximum": 5, "operators": ["<or>"]})
OBJECT = MetadefObject("ob", MADE, CHANGED, "d", ("q",), (Property("q", {"title": "Q", "type": "string"}),))
ASSOCIATION = Association("OS::Glance::Image", MADE, CHANGED, prefix="hw_")

CASES: dict[str, tuple[Event, dict[str, object]]] = {
    "create": (ImageEvent(E.IMAGE_CREATE, IMAGE), QUEUED),
    "prepare": (
        ImageEvent(E.IMAGE_PREPARE, replace(IMAGE, status=Status.SAVING), "fast"),
        {**QUEUED, "status": "saving", "backend": "fast"},
    ),
    "upload": (ImageEvent(E.IMAGE_UPLOAD, ACTIVE_IMAGE), {**ACTIVE, "backend": "fast"}),
    "activate": (ImageEvent(E.IMAGE_ACTIVATE, ACTIVE_IMAGE), {**ACTIVE, "backend": "fast"}),
    "update": (ImageEvent(E.IMAGE_UPDATE, ACTIVE_IMAGE), ACTIVE),
    "update of a public one": (
        ImageEvent(E.IMAGE_UPDATE, replace(ACTIVE_IMAGE, visibility=Visibility.PUBLIC)),
        {**ACTIVE, "visibility": "public", "is_public": True},
    ),
    "delete": (ImageEvent(E.IMAGE_DELETE, ACTIVE_IMAGE), {**ACTIVE, "status": "deleted", **GONE}),
    "send": (
        ImageSent(ACTIVE_IMAGE, 11, "u2", "p2", "192.0.2.7"),
        {
            "bytes_sent": 11,
            "image_id": "i",
            "owner_id": "p1",
            "receiver_tenant_id": "p2",
            "receiver_user_id": "u2",
            "destination_ip": "192.0.2.7",
        },
    ),
    "member": (MemberEvent(E.MEMBER_CREATE, Member("i", "p2", MemberStatus.PENDING, MADE, CHANGED)), MEMBER),
    "member answers": (
        MemberEvent(E.MEMBER_UPDATE, Member("i", "p2", MemberStatus.ACCEPTED, MADE, CHANGED)),
        {**MEMBER, "status": "accepted"},
    ),
    "member goes": (
        MemberEvent(E.MEMBER_DELETE, Member("i", "p2", MemberStatus.PENDING, MADE, CHANGED)),
        {**MEMBER, **GONE},
    ),
    "namespace": (MetadefEvent(E.METADEF_NAMESPACE_CREATE, SPACE), NAMESPACE),
    "namespace renamed": (
        MetadefEvent(E.METADEF_NAMESPACE_UPDATE, SPACE, old_name="ns"),
        {**NAMESPACE, "namespace_old": "ns"},
    ),
    "namespace goes": (MetadefEvent(E.METADEF_NAMESPACE_DELETE, SPACE), {**NAMESPACE, **GONE}),
    "namespace emptied": (MetadefEvent(E.METADEF_NAMESPACE_DELETE_TAGS, SPACE), NAMESPACE),
    "tag": _part(TAG, E.METADEF_TAG_CREATE, **TIMES, **THERE),
    "tag goes": _part(TAG, E.METADEF_TAG_DELETE, **TIMES, **GONE),
    "tag renamed": (
        MetadefEvent(E.METADEF_TAG_UPDATE, SPACE, TAG, "b"),
        {"namespace": "ns2", "name": "a", "name_old": "b", **TIMES, **THERE},
    ),
    "property": _part(
        PROPERTY,
        E.METADEF_PROPERTY_CREATE,
        **{**RULES, "title": "T", "type": "integer", "minimum": 1, "maximum": 5},
        **THERE,
    ),
    "property goes": _part(
        Property("pr", {"title": "T", "type": "string"}),
        E.METADEF_PROPERTY_DELETE,
        **{**RULES, "title": "T", "type": "string"},
        **GONE,
    ),
    "object": _part(
        OBJECT,
        E.METADEF_OBJECT_CREATE,
        properties=[{"name": "q", **RULES, "title": "Q", "type": "string"}],
        required=["q"],
        description="d",
        **TIMES,
        **THERE,
    ),
    "resource type": _part(
        ASSOCIATION, E.METADEF_RESOURCE_TYPE_CREATE, prefix="hw_", properties_target=None, **TIMES, **THERE
    ),
    "resource type goes": _part(
        ASSOCIATION, E.METADEF_RESOURCE_TYPE_DELETE, prefix="hw_", properties_target=None, **TIMES, **GONE
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_the_payload_is_what_consumers_of_glance_know(name: str) -> None:
    event, told = CASES[name]
    assert payload(event, NOW) == told


TASK = Task(
    "t",
    TaskType.API_IMAGE_IMPORT,
    MADE,
    CHANGED,
    owner="p1",
    image_id="i",
    input={"import_req": {"uri": "http://u:secret@h/"}},
    secrets={"token": "secret"},
)


def test_a_task_is_told_without_what_it_was_given() -> None:
    told = {
        "id": "t",
        "type": "api_image_import",
        "status": "pending",
        "owner": "p1",
        "image_id": "i",
        "result": None,
        "message": "",
        "expires_at": None,
        **TIMES,
        **THERE,
    }
    assert payload(TaskEvent(EventType.TASK_CREATE, TASK), NOW) == told
    ended = TASK.succeed(NOW, {"image_id": "i"}, "Copied 3 MiB")
    assert payload(TaskEvent(EventType.TASK_SUCCESS, ended), NOW) == {
        **told,
        "status": "success",
        "result": {"image_id": "i"},
        "message": "Copied 3 MiB",
        "updated_at": "2026-01-02T03:04:07Z",
        "expires_at": "2026-01-04T03:04:07Z",
    }


def test_a_task_tells_of_its_statuses_only() -> None:
    begun = TASK.begin()
    failed = begun.with_failure("e", "why").fail(NOW)
    steps = [
        (None, TASK),
        (TASK, replace(TASK, message="m")),
        (TASK, begun),
        (begun, begun.at("fetch")),
        (begun, failed),
        (None, begun),
        (begun, begun.succeed(NOW, {})),
    ]
    assert [[x.type.value for x in task_events(*step)] for step in steps] == [
        ["task.create"],
        [],
        ["task.run", "task.processing"],
        [],
        ["task.failure"],
        ["task.create", "task.run", "task.processing"],
        ["task.success"],
    ]


def test_events_of_one_image_have_one_subject() -> None:
    member = Member("i", "p", MemberStatus.PENDING, MADE, MADE)
    assert {
        subject(x)
        for x in (
            ImageEvent(EventType.IMAGE_CREATE, IMAGE),
            ImageSent(IMAGE, 0, None, None, None),
            MemberEvent(EventType.MEMBER_CREATE, member),
            TaskEvent(EventType.TASK_RUN, TASK),
        )
    } == {"i"}
    assert subject(MetadefEvent(EventType.METADEF_NAMESPACE_UPDATE, SPACE, old_name="ns")) == SPACE.id
    assert subject(TaskEvent(EventType.TASK_RUN, replace(TASK, image_id=None))) == "t"


def test_every_kind_of_deletion_says_so() -> None:
    """The operations that empty a namespace delete its parts, not the namespace."""
    said = {x for x in EventType if x.value.endswith(".delete")}
    told = {x for x in EventType if payload(_any(x), NOW).get("deleted")}
    assert told == said


def _any(event: EventType) -> Event:
    if event.value.startswith("image.member"):
        return MemberEvent(event, Member("i", "p", MemberStatus.PENDING, MADE, MADE))
    if event is EventType.IMAGE_SEND:
        return ImageSent(IMAGE, 0, None, None, None)
    if event.value.startswith("task"):
        return TaskEvent(event, TASK)
    return MetadefEvent(event, SPACE) if event.value.startswith("metadef") else ImageEvent(event, IMAGE)
