"""Members: bodies and the document of GET /v2/schemas/member."""

from __future__ import annotations

from glancecore.features.images.schemas import TIME, UUID, Schema, bounded, collection

ITEM: Schema = {
    "member_id": {"type": "string", "description": "Project that the image is shared with."},
    "image_id": {"type": "string", "pattern": UUID, "description": "The shared image."},
    "created_at": TIME,
    "updated_at": TIME,
    "status": {
        "type": "string",
        "enum": ["pending", "accepted", "rejected"],
        "description": "What the member project says to it; governs its lists.",
    },
    "schema": {"readOnly": True, "type": "string"},
}


def documents() -> dict[str, Schema]:
    """Those of GET /v2/schemas, by name."""
    one: Schema = {"name": "member", "properties": ITEM}
    return {"member": one, "members": collection("members", one)}


ADD: Schema = bounded(
    {
        "type": "object",
        "required": ["member"],
        "properties": {"member": {"type": "string", "minLength": 1, "maxLength": 255}},
    }
)
CHANGE: Schema = bounded({"type": "object", "required": ["status"], "properties": {"status": ITEM["status"]}})
ANSWER: Schema = {"type": "object", "properties": ITEM, "required": list(ITEM)}
