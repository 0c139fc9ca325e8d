"""Metadata definitions as JSON: fields that are not set are left out."""

from __future__ import annotations

from collections.abc import Iterable
from urllib.parse import quote

from glancecore.domain.metadef import Association, MetadefObject, Namespace, Outline, Property, Tag
from glancecore.features.images.api import stamp

ROOT = "/v2/metadefs/namespaces"


def path(namespace: str, *rest: str) -> str:
    """Of a namespace or something in it."""
    return "/".join([ROOT, quote(namespace, ":"), *(quote(x, ":") for x in rest)])


def outline(x: Outline, *, associations: bool = True) -> dict[str, object]:
    row: dict[str, object] = {"namespace": x.name}
    if x.display_name is not None:
        row["display_name"] = x.display_name
    if x.description is not None:
        row["description"] = x.description
    row["visibility"], row["protected"] = x.visibility, x.protected
    if x.owner is not None:
        row["owner"] = x.owner
    row |= _times(x)
    if associations and x.associations:
        row["resource_type_associations"] = [association(each) for each in x.associations]
    row |= {"self": path(x.name), "schema": "/v2/schemas/metadefs/namespace"}
    return row


def whole(x: Namespace, prefix: str = "") -> dict[str, object]:
    """``prefix`` is put before the names of properties."""
    row = outline(x)
    if x.properties:
        row["properties"] = {prefix + each.name: each.definition for each in x.properties}
    if x.objects:
        row["objects"] = [an_object(x.name, each, prefix) for each in x.objects]
    if x.tags:
        row["tags"] = [{"name": each.name} for each in x.tags]
    return row


def an_object(namespace: str, x: MetadefObject, prefix: str = "") -> dict[str, object]:
    row: dict[str, object] = {"name": x.name, "required": [prefix + each for each in x.required]}
    if x.description is not None:
        row["description"] = x.description
    return row | {
        "properties": {prefix + each.name: each.definition for each in x.properties},
        **_times(x),
        "self": path(namespace, "objects", x.name),
        "schema": "/v2/schemas/metadefs/object",
    }


def a_property(x: Property) -> dict[str, object]:
    return {"name": x.name, **x.definition}


def properties(found: Iterable[Property]) -> dict[str, object]:
    return {x.name: a_property(x) for x in found}


def association(x: Association) -> dict[str, object]:
    row: dict[str, object] = {"name": x.name}
    if x.prefix is not None:
        row["prefix"] = x.prefix
    if x.properties_target is not None:
        row["properties_target"] = x.properties_target
    return row | _times(x)


def tag(x: Tag) -> dict[str, object]:
    return {"name": x.name, **_times(x)}


def _times(x: Outline | MetadefObject | Association | Tag) -> dict[str, object]:
    return {"created_at": stamp(x.created_at), "updated_at": stamp(x.updated_at)}


def exported(x: Namespace) -> dict[str, object]:
    """A file of ``glance-manage metadefs``: what loading it makes again, without times and links."""
    row: dict[str, object] = {"namespace": x.name}
    row |= {
        name: value
        for name, value in (("display_name", x.display_name), ("description", x.description))
        if value is not None
    }
    row |= {"visibility": x.visibility.value, "protected": x.protected}
    if x.owner is not None:
        row["owner"] = x.owner
    row["resource_type_associations"] = [
        {
            key: value
            for key, value in (("name", a.name), ("prefix", a.prefix), ("properties_target", a.properties_target))
            if value is not None
        }
        for a in x.associations
    ]
    row["properties"] = {p.name: p.definition for p in x.properties}
    row["objects"] = [
        {
            "name": o.name,
            **({} if o.description is None else {"description": o.description}),
            **({"required": list(o.required)} if o.required else {}),
            "properties": {p.name: p.definition for p in o.properties},
        }
        for o in x.objects
    ]
    row["tags"] = [{"name": t.name} for t in x.tags]
    return row
