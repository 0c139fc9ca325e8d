"""JSON of metadata definitions to values: bodies of requests, and the files of ``glance-manage metadefs``."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from glancecore.domain import errors, text
from glancecore.domain.metadef import Association, MetadefObject, MetadefVisibility, Namespace, Property, Tag
from glancecore.features.metadefs import schemas
from glancecore.features.metadefs.validation import is_pattern
from glancecore.sdk.request_body import Checker

_NAMESPACE, _OBJECT, _PROPERTY = (
    Checker(x) for x in (schemas.NAMESPACE_BODY, schemas.OBJECT_BODY, schemas.PROPERTY_BODY)
)
_ASSOCIATION, _TAG, _TAGS = (Checker(x) for x in (schemas.ASSOCIATION_BODY, schemas.TAG_BODY, schemas.TAGS_BODY))


def namespace(wanted: Any, owner: str | None, at: datetime) -> Namespace:
    """A new namespace; ``owner`` when the body names none. Raises Invalid, ReadOnlyProperty."""
    fields = _own(wanted, owner)
    return Namespace(
        id=str(uuid.uuid4()),
        created_at=at,
        updated_at=at,
        **fields,
        associations=tuple(_association(x, at) for x in wanted.get("resource_type_associations", ())),
        properties=_properties("properties", wanted.get("properties", {})),
        objects=tuple(_object(f"objects.{n}.", x, at) for n, x in enumerate(wanted.get("objects", ()))),
        tags=tuple(Tag(text.name("tag", x["name"]), at, at) for x in wanted.get("tags", ())),
    )


def namespace_fields(wanted: Any) -> Mapping[str, object]:
    """The own fields of a full replacement; the owner stays when none is named. Raises Invalid, ReadOnlyProperty."""
    fields = _own(wanted, None)
    if "owner" not in wanted:
        del fields["owner"]
    return fields


def _own(wanted: Any, owner: str | None) -> dict[str, Any]:
    _check(_NAMESPACE, wanted)
    for field in ("namespace", "display_name", "owner"):
        text.name(field, wanted.get(field) or "")
    text.free("description", wanted.get("description") or "")
    return {
        "name": wanted["namespace"],
        "display_name": wanted.get("display_name"),
        "description": wanted.get("description"),
        "visibility": MetadefVisibility(wanted.get("visibility", "private")),
        "protected": wanted.get("protected", False),
        "owner": wanted.get("owner", owner),
    }


def an_object(wanted: Any, at: datetime) -> MetadefObject:
    _check(_OBJECT, wanted)
    return _object("", wanted, at)


def a_property(wanted: Any) -> Property:
    _check(_PROPERTY, wanted)
    return _property("", wanted["name"], wanted)


def association(wanted: Any, at: datetime) -> Association:
    _check(_ASSOCIATION, wanted)
    return _association(wanted, at)


def tag(wanted: Any, at: datetime) -> Tag:
    _check(_TAG, wanted)
    return Tag(text.name("name", wanted["name"]), at, at)


def tags(wanted: Any, at: datetime) -> list[Tag]:
    _check(_TAGS, wanted)
    return [Tag(text.name("name", x["name"]), at, at) for x in wanted["tags"]]


# -- inside ----------------------------------------------------------------------------------------
def _check(checker: Checker, wanted: Any) -> None:
    if not isinstance(wanted, dict):
        raise errors.Invalid("the body must be a JSON object")
    for name in schemas.READ_ONLY:
        if name in wanted:
            raise errors.ReadOnlyProperty(f"{name} is set by the service and can't be given")
    checker.check(wanted)


def _association(wanted: dict[str, Any], at: datetime) -> Association:
    for field in ("name", "prefix", "properties_target"):
        text.name(field, wanted.get(field) or "")
    return Association(wanted["name"], at, at, wanted.get("prefix"), wanted.get("properties_target"))


def _object(where: str, wanted: dict[str, Any], at: datetime) -> MetadefObject:
    return MetadefObject(
        text.name(f"{where}name", wanted["name"]),
        at,
        at,
        wanted.get("description"),
        tuple(wanted.get("required", ())),
        _properties(f"{where}properties", wanted.get("properties", {})),
    )


def _properties(where: str, wanted: dict[str, Any]) -> tuple[Property, ...]:
    return tuple(_property(f"{where}.{name}.", name, x) for name, x in wanted.items())


def _property(where: str, name: str, wanted: dict[str, Any]) -> Property:
    pattern = wanted.get("pattern")
    if pattern is not None and not is_pattern(pattern):
        raise errors.Invalid(
            f"{where}pattern: {text.shortened(pattern)!r} is no regular expression of JSON schema, or a too large one"
        )
    return Property(text.name(f"{where}name", name), {key: value for key, value in wanted.items() if key != "name"})
