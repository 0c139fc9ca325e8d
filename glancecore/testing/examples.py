"""Images, members and leases to test with; every field can be given."""

from __future__ import annotations

import uuid
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from glancecore.domain.context import Viewer
from glancecore.domain.image import Image, Location, Status
from glancecore.domain.lease import Lease, Operation
from glancecore.domain.member import Member, MemberStatus
from glancecore.domain.metadef import Association, MetadefObject, Namespace, Property, Tag

#: A fixed moment that examples count from.
START = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
#: Owner of the examples, a member of the shared ones, somebody else, an operator, and one without a project.
OWNER = Viewer("ours")
FRIEND = Viewer("friends")
STRANGER = Viewer("strangers")
ADMIN = Viewer("operators", admin=True)
NOBODY = Viewer(None)

PENDING, ACCEPTED, REJECTED = MemberStatus.PENDING, MemberStatus.ACCEPTED, MemberStatus.REJECTED


def after(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


def make_image(second: float = 0, **fields: Any) -> Image:
    """A queued, shared image of OWNER's project, made ``second`` seconds after START."""
    given: dict[str, Any] = {
        "id": str(uuid.uuid4()),
        "created_at": after(second),
        "updated_at": after(second),
        "owner": OWNER.project,
        **fields,
    }
    return Image(**given).tagged(*given.get("tags", ()))


def make_location(name: str = "blob", store: str = "fast") -> Location:
    return Location(f"file:///data/{name}", store, {"zone": "1"})


def with_data(image: Image, size: int, copies: int = 1) -> Image:
    """Active, with ``copies`` locations of ``size`` bytes."""
    places = tuple(make_location(f"{image.id}-{n}") for n in range(copies))
    return replace(image, status=Status.ACTIVE, size=size, locations=places, disk_format="raw", container_format="bare")


def saved(image: Image, **changes: Any) -> Image:
    """The next version, saved a second later."""
    return replace(image, version=image.version + 1, updated_at=image.updated_at + timedelta(seconds=1), **changes)


def make_member(image: Image, project: str = "friends", status: MemberStatus = PENDING, second: float = 0) -> Member:
    return Member(image.id, project, status, after(second), after(second))


def make_lease(image: Image, **fields: Any) -> Lease:
    given: dict[str, Any] = {
        "operation": Operation.UPLOAD,
        "holder": "process-1",
        "stable": Status.QUEUED,
        "project": image.owner,
        **fields,
    }
    return Lease(image.id, **given)


def make_namespace(name: str = "ns", second: float = 0, **fields: Any) -> Namespace:
    """A private namespace of OWNER's project, made ``second`` seconds after START."""
    given: dict[str, Any] = {
        "id": str(uuid.uuid4()),
        "created_at": after(second),
        "updated_at": after(second),
        "owner": OWNER.project,
        **fields,
    }
    return Namespace(name=name, **given)


def make_association(name: str = "OS::Glance::Image", prefix: str | None = None, second: float = 0) -> Association:
    return Association(name, after(second), after(second), prefix)


def make_property(name: str = "os", **definition: Any) -> Property:
    return Property(name, {"title": name, "type": "string", **definition})


def make_object(name: str = "group", *properties: Property, second: float = 0, **fields: Any) -> MetadefObject:
    return MetadefObject(name, after(second), after(second), properties=properties, **fields)


def make_tag(name: str = "tag", second: float = 0) -> Tag:
    return Tag(name, after(second), after(second))


def saved_namespace(namespace: Namespace, **changes: Any) -> Namespace:
    """The next version, saved a second later."""
    return replace(
        namespace, version=namespace.version + 1, updated_at=namespace.updated_at + timedelta(seconds=1), **changes
    )
