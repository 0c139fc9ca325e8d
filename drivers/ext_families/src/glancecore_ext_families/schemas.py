"""What clients send and get, as JSON schemas, and how it is made."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from glancecore.ports.record_repository import Record
from glancecore_ext_families.family import PRIVATE, PUBLIC, Channel, Family, Version
from glancecore_ext_families.references import CHANNEL, LATEST, LONGEST_FAMILY

_TIME = {"type": "string", "description": "UTC, YYYY-MM-DDTHH:MM:SSZ"}
_DATE = {"type": ["null", "string"], "maxLength": 20, "description": "UTC, YYYY-MM-DDTHH:MM:SSZ"}
_UUID = {"type": "string", "maxLength": 36, "pattern": "^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$"}
_NOTE = {"type": "string", "maxLength": 1000}
_WORD = {"type": ["null", "string"], "maxLength": 64, "pattern": "^[A-Za-z0-9._-]*$"}
_VISIBILITY = {"type": "string", "enum": [PRIVATE, PUBLIC]}
_DESCRIPTION = {"type": "string", "maxLength": 2000}
_REVISION = {
    "type": "integer",
    "minimum": 0,
    "maximum": 2**53,
    "description": "Do it only if the channel is at this revision; 0: if it is not there.",
}


def _body(required: list[str], **properties: object) -> dict[str, object]:
    return {"type": "object", "required": required, "additionalProperties": False, "properties": properties}


CREATE = _body(
    ["name"],
    name={"type": "string", "maxLength": LONGEST_FAMILY},
    id=_UUID,
    visibility=_VISIBILITY,
    description=_DESCRIPTION,
)
CHANGE = _body(
    [],
    visibility=_VISIBILITY,
    description=_DESCRIPTION,
    default={"type": "string", "maxLength": 32, "pattern": f"^{CHANNEL}$"},
)
ADD = _body(
    ["image_id"],
    image_id=_UUID,
    architecture=_WORD,
    firmware=_WORD,
    latest={"type": "boolean", "description": "Whether it may become latest; true unless it is said."},
)
DEPRECATE = _body(
    [],
    deprecated_at=_DATE,
    obsolete_at=_DATE,
    ends_at=_DATE,
    replacement={"type": ["null", "string"], "maxLength": 200},
    reason=_NOTE,
    force={
        "type": "boolean",
        "description": "Also when a channel points to it, or when it is the last one that could be latest.",
    },
)
PROMOTE = _body(["label"], label={"type": "string", "maxLength": 64}, reason=_NOTE, expected_revision=_REVISION)
MOVE = _body([], reason=_NOTE, expected_revision=_REVISION)
REASON = _body([], reason=_NOTE)

_TEXT = {"type": "string"}
_OPTIONAL = {"type": ["null", "string"]}
FAMILY = {
    "type": "object",
    "required": ["id", "name", "owner", "visibility", "description", "default", "created_at"],
    "properties": {
        "id": _TEXT,
        "name": _TEXT,
        "owner": _OPTIONAL,
        "visibility": _VISIBILITY,
        "description": _TEXT,
        "created_at": _TIME,
        "default": {
            **_OPTIONAL,
            "description": "The channel that the family's bare name means; null: one that leads you to no image.",
        },
        "architecture": _OPTIONAL,
        "firmware": _OPTIONAL,
    },
}
VERSION = {
    "type": "object",
    "required": ["label", "image_id", "state", "created_at", "latest"],
    "properties": {
        "label": _TEXT,
        "image_id": _TEXT,
        "created_at": _TIME,
        "state": {"type": "string", "enum": ["current", "deprecated", "obsolete", "ended"]},
        "latest": {"type": "boolean", "description": "Whether it may become latest."},
        "architecture": _OPTIONAL,
        "firmware": _OPTIONAL,
        "deprecated_at": _DATE,
        "obsolete_at": _DATE,
        "ends_at": _DATE,
        "replacement": _OPTIONAL,
        "reason": _OPTIONAL,
    },
}
CHANNEL_SHOWN = {
    "type": "object",
    "required": ["name", "label", "image_id", "pinned", "moved_at", "revision"],
    "properties": {
        "name": _TEXT,
        "label": _TEXT,
        "image_id": _TEXT,
        "pinned": {"type": "boolean"},
        "moved_at": _TIME,
        "revision": {
            "type": ["null", "integer"],
            "description": (
                "The number of its last move; null for latest, which nobody moves, and for who may not see all moves."
            ),
        },
    },
}
MOVED = {
    "type": "object",
    "required": ["number", "channel", "action", "from", "to", "reason", "at", "user", "project"],
    "properties": {
        "number": {"type": "integer"},
        "channel": _TEXT,
        "action": {"type": "string", "enum": ["promote", "rollback", "pin", "unpin", "delete"]},
        "from": _OPTIONAL,
        "to": _OPTIONAL,
        "from_image": _OPTIONAL,
        "to_image": _OPTIONAL,
        "revision": {"type": ["null", "integer"]},
        "reason": _TEXT,
        "at": _TIME,
        "user": _OPTIONAL,
        "project": _OPTIONAL,
    },
}


def listed(name: str, schema: Mapping[str, object]) -> dict[str, object]:
    return {
        "type": "object",
        "required": [name],
        "properties": {name: {"type": "array", "items": schema}, "next": _TEXT},
    }


def family(of: Family, *, hidden: bool = False) -> dict[str, object]:
    """``hidden``: its default is."""
    row = {
        x: getattr(of, x)
        for x in (
            "id",
            "name",
            "owner",
            "visibility",
            "description",
            "default",
            "architecture",
            "firmware",
            "created_at",
        )
    }
    return {**row, "default": None} if hidden else row


def version(of: Version, now: datetime) -> dict[str, object]:
    names = (
        "label",
        "image_id",
        "created_at",
        "architecture",
        "firmware",
        "deprecated_at",
        "obsolete_at",
        "ends_at",
        "replacement",
        "reason",
    )
    return {**{x: getattr(of, x) for x in names}, "state": of.state(now), "latest": of.in_latest}


def channel(name: str, of: Channel, *, whole: bool = True) -> dict[str, object]:
    """``whole``: with the revision, which tells of moves of other channels too."""
    return {
        "name": name,
        "label": of.target.label,
        "image_id": of.target.image_id,
        "pinned": of.pinned,
        "moved_at": of.moved_at,
        "revision": of.revision if whole else None,
    }


def latest(of: Version) -> dict[str, object]:
    return {
        "name": LATEST,
        "label": of.label,
        "image_id": of.image_id,
        "pinned": False,
        "moved_at": of.created_at,
        "revision": None,
    }


def move(of: Record) -> dict[str, object]:
    return dict(of.data)
