"""Bodies and answers about the limits of projects."""

from __future__ import annotations

from glancecore.domain.quota import HIGHEST, RESOURCES, UNLIMITED
from glancecore.ports.http import Schema


def _limit(name: str, also: str = "") -> Schema:
    shift = RESOURCES[name][1]
    return {
        "type": ["integer", "null"] if also else "integer",
        "minimum": UNLIMITED,
        "maximum": HIGHEST >> shift,
        "description": f"{'MiB' if shift else 'How many'}; {UNLIMITED}: no limit{also}.",
    }


#: What is not named stays as it is.
CHANGE: Schema = {
    "type": "object",
    "minProperties": 1,
    "additionalProperties": False,
    "properties": {x: _limit(x, "; null: the default counts again") for x in RESOURCES},
}
OWN: Schema = {
    "type": "object",
    "additionalProperties": False,
    "properties": {x: _limit(x) for x in RESOURCES},
    "description": "What the project has of its own.",
}
USAGE: Schema = {
    "type": "object",
    "additionalProperties": {
        "type": "object",
        "required": ["usage", "limit"],
        "properties": {
            "usage": {"type": "integer"},
            "limit": {"type": "integer", "description": f"{UNLIMITED}: no limit."},
        },
    },
    "description": "As GET /v2/info/usage has it.",
}
PROJECT: Schema = {"type": "string", "description": "The project's id."}
ANSWER: Schema = {
    "type": "object",
    "required": ["project_id", "limits", "usage"],
    "properties": {"project_id": PROJECT, "limits": OWN, "usage": USAGE},
}
LISTED: Schema = {
    "type": "object",
    "required": ["quotas", "first"],
    "properties": {
        "quotas": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["project_id", "limits"],
                "properties": {"project_id": PROJECT, "limits": OWN},
            },
        },
        "first": {"type": "string"},
        "next": {"type": "string"},
    },
}
