"""The body of POST /v2/images/{id}/import. What a method takes beside its name is its own to say:
``ImportMethod.schema``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from glancecore.features.images.schemas import Schema, bounded

#: Enabled method -> the schema of its own names.
Methods = Mapping[str, Mapping[str, object]]

_STORES = {
    "type": "array",
    "items": {"type": "string", "maxLength": 255},
    "minItems": 1,
    "maxItems": 1000,
    "uniqueItems": True,
}
#: Of all methods.
_COMMON: Schema = {
    "name": {"type": "string", "maxLength": 255, "description": "An enabled import method."},
    "signature": {
        "type": "string",
        "maxLength": 65536,
        "description": "A detached OpenPGP signature of the data, ASCII-armoured.",
    },
    "expected": {
        "type": "object",
        "additionalProperties": {"type": "string", "maxLength": 255},
        "maxProperties": 32,
        "description": "Digests that the data must have: algorithm and hexadecimal digest.",
    },
}
_BODY: Schema = {
    "method": {
        "type": "object",
        "required": ["name"],
        "additionalProperties": True,
        "maxProperties": 64,
        "properties": _COMMON,
    },
    "stores": {**_STORES, "description": "Where to put it; the default store otherwise."},
    "all_stores": {"type": "boolean"},
    "all_stores_must_succeed": {"type": "boolean"},
}
#: Names of Glance's methods. Clients send them with others as well, gophercloud an empty ``uri`` with each: there they
#: mean nothing.
_OF_GLANCE = frozenset({"uri", "glance_region", "glance_image_id", "glance_service_interface"})
#: With one of these a method's schema says itself which other names it takes.
_OPENING = ("additionalProperties", "unevaluatedProperties", "patternProperties")


def body() -> Schema:
    """What holds for each method."""
    return bounded(
        {
            "type": "object",
            "required": ["method"],
            "maxProperties": 32,
            "properties": _BODY,
        }
    )


def of_method(schema: Mapping[str, object]) -> Schema:
    """Of a whole body, as far as one method's own names go: so that what is wrong is told by its place there. Names
    that it does not have are refused, unless it says itself which it takes."""
    own = schema.get("properties", {})
    if isinstance(own, Mapping):
        own = {**{x: {} for x in _COMMON}, **own}  # what all methods take, though the schema does not name it
    closed = {} if _open(schema) else {"additionalProperties": False}
    return bounded(
        {
            "type": "object",
            "properties": {"method": {"maxProperties": 64, **closed, **schema, "type": "object", "properties": own}},
        }
    )


def meant(given: Mapping[str, Any], schema: Mapping[str, Any]) -> dict[str, Any]:
    """A body, which ``body`` takes, without what means nothing: it is neither judged nor kept. ``schema``: the
    method's."""
    none = frozenset() if _open(schema) else _OF_GLANCE.difference(schema.get("properties", ()))
    known = {x: y for x, y in given.items() if x in _BODY}
    return {**known, "method": {x: y for x, y in given["method"].items() if x not in none}}


def _open(schema: Mapping[str, object]) -> bool:
    return any(schema.get(x, False) is not False for x in _OPENING)


def published(methods: Methods) -> Schema:
    """The body with all that the enabled methods take, for readers."""
    found = body()
    method: Schema = found["properties"]["method"]
    choices = []
    for name, schema in methods.items():
        own: Schema = of_method(schema)["properties"]["method"]
        choices.append(
            {
                **own,
                "title": name,
                "required": ["name", *own.get("required", ())],
                "properties": {**own["properties"], "name": {"const": name}},
            }
        )
    return {
        **found,
        "properties": {**found["properties"], "method": {**method, "anyOf": choices} if choices else method},
    }
