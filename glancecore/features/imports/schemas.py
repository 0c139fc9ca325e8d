"""The body of POST /v2/images/{id}/import. What a method takes beside its name is its own to say: ``ImportMethod.schema``."""

from __future__ import annotations

from collections.abc import Mapping

from glancecore.features.images.schemas import Schema, bounded

#: Enabled method -> the schema of its own names.
Methods = Mapping[str, Mapping[str, object]]

_STORES = {"type": "array", "items": {"type": "string", "maxLength": 255}, "minItems": 1, "maxItems": 1000, "uniqueItems": True}
#: Of all methods.
_COMMON: Schema = {
    "name": {"type": "string", "maxLength": 255, "description": "An enabled import method."},
    "signature": {"type": "string", "maxLength": 65536, "description": "A detached OpenPGP signature of the data, ASCII-armoured."},
    "expected": {"type": "object", "additionalProperties": {"type": "string", "maxLength": 255}, "maxProperties": 32,
                 "description": "Digests that the data must have: algorithm and hexadecimal digest."},
}


def body() -> Schema:
    """What holds for each method."""
    return bounded({
        "type": "object", "required": ["method"], "maxProperties": 32,
        "properties": {
            "method": {"type": "object", "required": ["name"], "additionalProperties": True, "maxProperties": 64, "properties": _COMMON},
            "stores": {**_STORES, "description": "Where to put it; the default store otherwise."},
            "all_stores": {"type": "boolean"}, "all_stores_must_succeed": {"type": "boolean"},
        },
    })


def of_method(schema: Mapping[str, object]) -> Schema:
    """Of a whole body, as far as one method's own names go: so that what is wrong is told by its place there."""
    own = schema.get("properties", {})
    if isinstance(own, Mapping) and not {"additionalProperties", "unevaluatedProperties"}.isdisjoint(schema):
        own = {**{x: {} for x in _COMMON}, **own}  # what all methods take, though the schema does not name it
    return bounded({"type": "object", "properties": {"method": {"maxProperties": 64, **schema, "type": "object", "properties": own}}})


def published(methods: Methods) -> Schema:
    """The body with all that the enabled methods take, for readers."""
    found = body()
    method: Schema = found["properties"]["method"]
    choices = []
    for name, schema in methods.items():
        own: Schema = of_method(schema)["properties"]["method"]
        choices.append({**own, "title": name, "required": ["name", *own.get("required", ())],
                        "properties": {**own["properties"], "name": {"const": name}}})
    return {**found, "properties": {**found["properties"], "method": {**method, "anyOf": choices} if choices else method}}
