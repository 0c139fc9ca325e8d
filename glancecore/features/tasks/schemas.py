"""Tasks: their schema for clients and what answers look like."""

from __future__ import annotations

from glancecore.features.images.schemas import UUID, Schema, bounded

_TEXT = {"type": ["null", "string"]}
ITEM: Schema = {
    "id": {"type": "string", "pattern": UUID, "description": "Identifier of the task."},
    "type": {
        "type": "string",
        "enum": ["import", "api_image_import", "location_import"],
        "description": "What it does.",
    },
    "status": {
        "type": "string",
        "enum": ["pending", "processing", "success", "failure"],
        "description": "How far it is.",
    },
    "input": {"type": ["null", "object"], "description": "What was asked for."},
    "result": {"type": ["null", "object"], "description": "What came of it."},
    "owner": {**_TEXT, "description": "Project that owns the image."},
    "message": {**_TEXT, "description": "Progress, or why it failed."},
    "image_id": {**_TEXT, "description": "Image that it works on."},
    "request_id": {**_TEXT, "description": "Request that began it."},
    "user_id": {**_TEXT, "description": "User who began it."},
    "expires_at": {**_TEXT, "description": "When it is forgotten; null until it has ended."},
    "created_at": {"type": "string"},
    "updated_at": {"type": "string"},
    "self": {"type": "string", "readOnly": True},
    "schema": {"type": "string", "readOnly": True},
}
#: Beside Glance's: the error's stable code, and how far each part is.
EXTENSIONS: Schema = {
    "error": {**_TEXT, "description": "Stable code of the failure, for programs."},
    "cancel_requested": {"type": "boolean"},
    "kept_until": {
        **_TEXT,
        "description": "Until when the data that it has fetched can be used by a retry; null when nothing is kept.",
    },
    "progress": {
        "type": "object",
        "properties": {
            "stage": {"type": "string"},
            "bytes": {"type": "integer"},
            "total": {"type": ["null", "integer"]},
            "stores": {
                "type": "array",
                "items": {
                    "type": "object",
                    "properties": {
                        "store": {"type": "string"},
                        "state": {"type": "string", "enum": ["waiting", "writing", "done", "failed"]},
                        "bytes": {"type": "integer"},
                        "error": _TEXT,
                    },
                },
            },
        },
    },
}
_STUB = ("id", "type", "status", "owner", "expires_at", "created_at", "updated_at", "self", "schema")
STUB: Schema = {"type": "object", "properties": {name: ITEM[name] for name in _STUB}, "required": list(_STUB)}
ANSWER: Schema = {"type": "object", "properties": {**ITEM, **EXTENSIONS}, "required": list(ITEM)}
#: A row of GET /v2/images/{id}/tasks has other times and no links.
ROW: Schema = {
    "type": "object",
    "properties": {
        **{name: value for name, value in ITEM.items() if name not in ("self", "schema")},
        **EXTENSIONS,
        "deleted": {"type": "boolean"},
        "deleted_at": _TEXT,
    },
    "required": [*(name for name in ITEM if name not in ("self", "schema")), "deleted", "deleted_at"],
}


def documents() -> dict[str, Schema]:
    """Those of GET /v2/schemas, by name."""
    return {"task": {"name": "task", "properties": {**ITEM, **EXTENSIONS}}, "tasks": _collection()}


def _collection() -> Schema:
    stub = {"properties": {name: ITEM[name] for name in _STUB}, "name": "task"}
    return {
        "name": "tasks",
        "properties": {
            "tasks": {"type": "array", "items": stub},
            "first": {"type": "string"},
            "next": {"type": "string"},
            "schema": {"type": "string"},
        },
        "links": [
            {"rel": "first", "href": "{first}"},
            {"rel": "next", "href": "{next}"},
            {"rel": "describedby", "href": "{schema}"},
        ],
    }


def body(image: Schema) -> Schema:
    """POST /v2/tasks. ``image``: the body that makes an image."""
    return bounded(
        {
            "type": "object",
            "required": ["type", "input"],
            "properties": {
                "type": {"type": "string", "enum": ["import"]},
                "input": {
                    "type": "object",
                    "required": ["import_from", "import_from_format"],
                    "properties": {
                        "import_from": {"type": "string", "maxLength": 4096},
                        "import_from_format": {"type": "string", "maxLength": 255},
                        "image_properties": image,
                    },
                },
            },
        }
    )


LISTED: Schema = {
    "type": "object",
    "required": ["tasks", "first", "schema"],
    "properties": {
        "tasks": {"type": "array", "items": STUB},
        "first": {"type": "string"},
        "next": {"type": "string"},
        "schema": {"type": "string"},
    },
}
OF_IMAGE: Schema = {"type": "object", "required": ["tasks"], "properties": {"tasks": {"type": "array", "items": ROW}}}
