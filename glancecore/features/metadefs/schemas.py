"""Metadata definitions: bodies, answers, and the documents of GET /v2/schemas/metadefs/…."""

from __future__ import annotations

from glancecore.domain.metadef import MAX_DESCRIPTION, MAX_NAME, MAX_OWNER, MetadefVisibility
from glancecore.features.images.schemas import Schema, bounded, collection

#: A type of value that a property can have.
TYPES = ["array", "boolean", "integer", "number", "object", "string"]
#: Set by the service; a caller who tries gets 403.
READ_ONLY = ("created_at", "updated_at", "self", "schema")

_TEXT = {"type": "string"}
_TIME = {"type": "string", "readOnly": True, "format": "date-time"}
_COUNT = {"type": "integer", "minimum": 0}
_FLAG = {"type": "boolean"}
_TEXTS = {"type": "array", "items": _TEXT, "uniqueItems": True}
_NAME = {"type": "string", "minLength": 1, "maxLength": MAX_NAME}
_LINKS = {"self": {"type": "string", "readOnly": True}, "schema": {"type": "string", "readOnly": True}}

#: The name of a namespace is a part of a path.
NAMESPACE_NAME = {**_NAME, "pattern": r"^(?!\.{1,2}$)[^/\x00-\x1f\x7f-\x9f]+$"}
DEFINITION: Schema = {
    "title": {**_TEXT, "description": "What people read."},
    "description": {**_TEXT, "description": "What the property means."},
    "operators": {"type": "array", "items": _TEXT, "description": "Operators that may stand before a value."},
    "type": {"type": "string", "enum": TYPES, "description": "Type of the value."},
    "required": {"type": "array", "items": _TEXT, "minItems": 1, "uniqueItems": True},
    "minimum": {"type": "number"},
    "maximum": {"type": "number"},
    "maxLength": _COUNT,
    "minLength": _COUNT,
    "pattern": {"type": "string", "format": "regex"},
    "enum": {"type": "array", "description": "The allowed values."},
    "readonly": _FLAG,
    "default": {"description": "The value where none is given."},
    "items": {
        "type": "object",
        "additionalProperties": False,
        "properties": {"type": {"type": "string", "enum": TYPES}, "enum": {"type": "array"}},
    },
    "maxItems": _COUNT,
    "minItems": _COUNT,
    "uniqueItems": _FLAG,
    "additionalItems": _FLAG,
}
_NEEDED = ["title", "type"]
#: A definition in an object or a namespace, where its name is the key; clients may repeat the name in it.
_NESTED = {
    "type": "object",
    "required": _NEEDED,
    "additionalProperties": False,
    "properties": {"name": {"type": "string", "maxLength": MAX_NAME}, **DEFINITION},
}
_NESTED_ALL = {
    "type": "object",
    "additionalProperties": _NESTED,
    "propertyNames": {"minLength": 1, "maxLength": MAX_NAME},
}

_OBJECT: Schema = {
    "name": {**_NAME, "description": "Name of the object, unique in its namespace."},
    "description": {**_TEXT, "description": "What the properties are about."},
    "required": {**_TEXTS, "description": "Names of the properties that belong to every such object."},
    "properties": {**_NESTED_ALL, "description": "Property definitions by name."},
}
_ASSOCIATION: Schema = {
    "name": {**_NAME, "description": "Name of the resource type, as Heat calls it where it does."},
    "prefix": {
        "type": "string",
        "maxLength": MAX_NAME,
        "description": (
            "What the names of the namespace's properties begin with on this resource type; with its separator."
        ),
    },
    "properties_target": {
        "type": "string",
        "maxLength": MAX_NAME,
        "description": "Which of the resource's sets of keys and values is meant, where it has several.",
    },
}
_TIMES = {"created_at": _TIME, "updated_at": _TIME}
_TAG: Schema = {"name": {**_NAME, "description": "The tag, unique in its namespace in whatever case."}}
_OWN: Schema = {
    "namespace": {**NAMESPACE_NAME, "description": "Name of the namespace, unique."},
    "display_name": {**_TEXT, "maxLength": MAX_NAME, "description": "Name for people."},
    "description": {**_TEXT, "maxLength": MAX_DESCRIPTION, "description": "What the namespace is about."},
    "visibility": {"type": "string", "enum": [str(x) for x in MetadefVisibility], "description": "Who may see it."},
    "protected": {**_FLAG, "description": "Nothing of a protected namespace can be deleted."},
    "owner": {**_TEXT, "maxLength": MAX_OWNER, "description": "Project that owns it."},
}


def _closed(properties: Schema, *required: str) -> Schema:
    return {"type": "object", "properties": properties, "additionalProperties": False, "required": list(required)}


def _nested(properties: Schema, *required: str) -> Schema:
    """In a namespace that is created: what reading adds may come back, and is ignored."""
    return _closed({**properties, **{name: {} for name in READ_ONLY}}, *required)


# -- bodies ----------------------------------------------------------------------------------------
PARTS: Schema = {
    "resource_type_associations": {"type": "array", "items": _nested(_ASSOCIATION, "name")},
    "properties": _NESTED_ALL,
    "objects": {"type": "array", "items": _nested(_OBJECT, "name")},
    "tags": {"type": "array", "items": _nested(_TAG, "name")},
}
NAMESPACE_BODY = bounded(_closed({**_OWN, **PARTS}, "namespace"))
OBJECT_BODY = bounded(_closed(_OBJECT, "name"))
PROPERTY_BODY = bounded(_closed({"name": _NAME, **DEFINITION}, "name", *_NEEDED))
ASSOCIATION_BODY = bounded(_closed(_ASSOCIATION, "name"))
TAG_BODY = bounded(_closed(_TAG, "name"))
TAGS_BODY = bounded(_closed({"tags": {"type": "array", "items": _closed(_TAG, "name")}}, "tags"))
VALIDATE_BODY = bounded(
    _closed(
        {
            "resource_type": {**_NAME, "description": "Such as OS::Glance::Image."},
            "properties": {
                "type": "object",
                "description": "Names and values as the resource has them, with their prefixes.",
            },
        },
        "resource_type",
        "properties",
    )
)

# -- answers ---------------------------------------------------------------------------------------
PROPERTY = _closed({"name": _NAME, **DEFINITION}, "name", *_NEEDED)
PROPERTIES = _closed({"properties": {"type": "object", "additionalProperties": PROPERTY}}, "properties")
_READ_PROPERTIES = {"type": "object", "additionalProperties": _closed(DEFINITION, *_NEEDED)}
OBJECT = _closed(
    {**_OBJECT, "properties": _READ_PROPERTIES, **_TIMES, **_LINKS}, "name", "required", "properties", *_TIMES, *_LINKS
)
OBJECTS = _closed(
    {"objects": {"type": "array", "items": OBJECT}, "first": _TEXT, "next": _TEXT, "schema": _TEXT}, "objects", "schema"
)
ASSOCIATION = _closed({**_ASSOCIATION, **_TIMES}, "name", *_TIMES)
ASSOCIATIONS = _closed(
    {"resource_type_associations": {"type": "array", "items": ASSOCIATION}}, "resource_type_associations"
)
RESOURCE_TYPES = _closed(
    {"resource_types": {"type": "array", "items": _closed({"name": _NAME, **_TIMES}, "name", *_TIMES)}},
    "resource_types",
)
TAG = _closed({**_TAG, **_TIMES}, "name", *_TIMES)
TAGS = _closed({"tags": {"type": "array", "items": TAG_BODY}, "first": _TEXT, "next": _TEXT}, "tags")
_READ_PARTS = {
    "resource_type_associations": ASSOCIATIONS["properties"]["resource_type_associations"],
    "properties": _READ_PROPERTIES,
    "objects": {"type": "array", "items": OBJECT},
    "tags": {"type": "array", "items": TAG_BODY},
}
NAMESPACE = _closed(
    {**_OWN, **_TIMES, **_LINKS, **_READ_PARTS}, "namespace", "visibility", "protected", *_TIMES, *_LINKS
)
NAMESPACES = _closed(
    {
        "namespaces": {
            "type": "array",
            "items": _closed(
                {**_OWN, **_TIMES, **_LINKS, "resource_type_associations": _READ_PARTS["resource_type_associations"]},
                "namespace",
                "visibility",
                "protected",
                *_TIMES,
                *_LINKS,
            ),
        },
        "first": _TEXT,
        "next": _TEXT,
        "schema": _TEXT,
    },
    "namespaces",
    "first",
    "schema",
)
VERDICT = _closed(
    {
        "valid": _FLAG,
        "checked": {"type": "array", "items": _TEXT, "description": "Properties that have a definition."},
        "violations": {
            "type": "array",
            "items": _closed(
                {"namespace": _TEXT, "property": _TEXT, "rule": _TEXT, "message": _TEXT},
                "namespace",
                "property",
                "rule",
                "message",
            ),
        },
    },
    "valid",
    "checked",
    "violations",
)


# -- GET /v2/schemas/metadefs/… --------------------------------------------------------------------
def _document(name: str, properties: Schema, *required: str) -> Schema:
    return {"name": name, "properties": properties, "additionalProperties": False, "required": list(required)}


def documents() -> dict[str, Schema]:
    """Those of GET /v2/schemas, by name."""
    namespace = _document("namespace", {**_OWN, **_TIMES, **_LINKS, **PARTS}, "namespace")
    association = _document("resource_type_association", {**_ASSOCIATION, **_TIMES}, "name")
    one = _document("property", {"name": _NAME, **DEFINITION}, "name", *_NEEDED)
    many = collection("properties", one)
    many["properties"]["properties"] = {
        "type": "object",
        "additionalProperties": _document("property", {"name": _NAME, **DEFINITION}, *_NEEDED),
    }
    group = _document("object", {**_OBJECT, **_TIMES, **_LINKS}, "name")
    tag = _document("tag", {**_TAG, **_TIMES}, "name")
    made = {
        "namespace": namespace,
        "namespaces": collection("namespaces", namespace),
        "resource_type": association,
        "resource_types": collection("resource_type_associations", association),
        "property": one,
        "properties": many,
        "object": group,
        "objects": collection("objects", group),
        "tag": tag,
        "tags": collection("tags", tag),
    }
    return {f"metadefs/{name}": x for name, x in made.items()}
