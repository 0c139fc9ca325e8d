"""Namespaces of metadata definitions as rows, and back. What is read and written whole is JSON, by position."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import orjson

from glancecore.domain.metadef import (
    Association,
    MetadefObject,
    MetadefVisibility,
    Namespace,
    Outline,
    Property,
    Tag,
)
from glancecore_db_sql.rows import Row, micros, moment

SCALARS = (
    "id",
    "namespace",
    "created_at",
    "updated_at",
    "display_name",
    "description",
    "visibility",
    "protected",
    "owner",
    "version",
)
#: Of an outline, and of the whole.
OUTLINE, WHOLE = ("associations",), ("associations", "properties", "objects", "tags")
COLUMNS = (*SCALARS, *WHOLE)


def encode(namespace: Namespace) -> Row:
    """In the order of COLUMNS."""
    x = namespace
    return (
        x.id,
        x.name,
        micros(x.created_at),
        micros(x.updated_at),
        x.display_name,
        x.description,
        x.visibility.value,
        int(x.protected),
        x.owner,
        x.version,
        _json(
            [
                (a.name, micros(a.created_at), micros(a.updated_at), a.prefix, a.properties_target)
                for a in x.associations
            ]
        ),
        _json(_property_list(x.properties)),
        _json(
            [
                (
                    o.name,
                    micros(o.created_at),
                    micros(o.updated_at),
                    o.description,
                    o.required,
                    _property_list(o.properties),
                )
                for o in x.objects
            ]
        ),
        _json([(t.name, micros(t.created_at), micros(t.updated_at)) for t in x.tags]),
    )


def outline(scalars: Sequence[Any], associations: list[list[Any]]) -> Outline:
    return Outline(*_own(scalars, associations))


def whole(
    scalars: Sequence[Any],
    associations: list[list[Any]],
    properties: list[list[Any]],
    objects: list[list[Any]],
    tags: list[list[Any]],
) -> Namespace:
    groups = tuple(
        [
            MetadefObject(name, moment(created), moment(updated), description, tuple(required), _properties(parts))
            for name, created, updated, description, required, parts in objects
        ]
    )
    words = tuple([Tag(name, moment(created), moment(updated)) for name, created, updated in tags])
    values: tuple[Any, ...] = (*_own(scalars, associations), _properties(properties), groups, words)
    return Namespace(*values)


def _own(scalars: Sequence[Any], associations: list[list[Any]]) -> tuple[Any, ...]:
    id_, name, created, updated, display_name, description, visibility, protected, owner, version = scalars
    return (
        id_,
        name,
        moment(created),
        moment(updated),
        display_name,
        description,
        MetadefVisibility(visibility),
        protected == 1,
        owner,
        tuple(
            [
                Association(x, moment(made), moment(changed), prefix, target)
                for x, made, changed, prefix, target in associations
            ]
        ),
        version,
    )


def _properties(rows: list[list[Any]]) -> tuple[Property, ...]:
    return tuple([Property(name, definition) for name, definition in rows])


def _property_list(properties: Iterable[Property]) -> list[tuple[str, object]]:
    return [(x.name, x.definition) for x in properties]


def _json(value: object) -> str:
    return orjson.dumps(value).decode()
