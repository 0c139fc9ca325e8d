"""What a policy says, as values and as JSON."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from enum import StrEnum
from typing import Any


class Action(StrEnum):
    DEPRECATE = "deprecate"
    HIDE = "hide"
    DEACTIVATE = "deactivate"
    DELETE = "delete"


#: Dates that a step may wait for: properties of images, and what families say of versions.
DATES = ("provided_until", "uuid_validity", "deprecated_at", "obsolete_at", "ends_at")
_TEXTS = {"type": "array", "maxItems": 16, "items": {"type": "string", "minLength": 1, "maxLength": 255}}
_PROPERTIES = {
    "type": "object",
    "maxProperties": 16,
    "propertyNames": {"maxLength": 255},
    "additionalProperties": {"type": "string", "maxLength": 255},
}
_COUNT = {"type": "integer", "minimum": 1, "maximum": 10_000}
SELECTOR = {
    "type": "object",
    "additionalProperties": False,
    "description": "Images of the project for which all of this holds; one that says nothing selects none.",
    "properties": {
        "families": {**_TEXTS, "description": "Versions of one of these families."},
        "names": {**_TEXTS, "description": "Has one of these names."},
        "name_prefix": {"type": "string", "maxLength": 255},
        "tags": {**_TEXTS, "description": "Has all of these tags."},
        "properties": {**_PROPERTIES, "description": "Has all of these properties."},
    },
}
KEEP = {
    "type": "object",
    "additionalProperties": False,
    "description": "Selected images that nothing is done to: whatever a step says.",
    "properties": {
        "newest": {
            **_COUNT,
            "description": (
                "So many of each family (of each name, where there is no family) that can be used. Versions of another"
                " architecture or firmware are counted by themselves, and so are those that can't become latest."
            ),
        },
        "younger_than_days": _COUNT,
        "used_within_days": {**_COUNT, "description": "Used or changed within so many days."},
        "tags": {**_TEXTS, "description": "Has one of these tags."},
        "properties": {**_PROPERTIES, "description": "Has one of these properties."},
    },
}
STEP = {
    "type": "object",
    "required": ["action"],
    "minProperties": 2,
    "additionalProperties": False,
    "properties": {
        "action": {"type": "string", "enum": list(Action)},
        "age_days": {**_COUNT, "description": "Created so many days ago."},
        "unused_days": {
            **_COUNT,
            "description": "Nobody has used or changed it for so many days, and uses are counted for as long.",
        },
        "beyond": {**_COUNT, "description": "So many newer ones of its family, or name, can be used."},
        "past": {"type": "string", "enum": list(DATES), "description": "That date is over."},
        "days": {"type": "integer", "minimum": 0, "maximum": 10_000, "description": "With past: so many days ago."},
    },
}
BODY = {
    "type": "object",
    "required": ["name", "selector", "steps"],
    "additionalProperties": False,
    "properties": {
        "name": {"type": "string", "minLength": 1, "maxLength": 64},
        "selector": SELECTOR,
        "keep": KEEP,
        "steps": {
            "type": "array",
            "minItems": 1,
            "maxItems": 8,
            "items": STEP,
            "description": "An image takes one step in each plan, in this order.",
        },
    },
}


@dataclass(frozen=True, slots=True)
class Fact:
    """What is known of an image. ``link``: the version of what families know of it, 0 where they don't; ``number``: its
    place in the family. ``group``: with what it is counted: versions of its family that are of its kind, or images of
    its name. ``tags`` and ``properties`` are those that matter to the policy. ``held``: why nothing may be done to it.
    ``idle_since``: nobody has used it since then, as far as that was counted; None: uses are not counted. ``dates`` by
    the names of DATES."""

    image_id: str
    version: int
    created_at: datetime
    group: str
    name: str = ""
    tags: frozenset[str] = frozenset()
    properties: Mapping[str, str | None] = field(default_factory=dict)
    active: bool = True
    hidden: bool = False
    family: str | None = None
    label: str | None = None
    number: int = 0
    link: int = 0
    current: bool = True
    held: str | None = None
    idle_since: datetime | None = None
    dates: Mapping[str, datetime] = field(default_factory=dict)

    @property
    def usable(self) -> bool:
        return self.active and not self.hidden and self.current

    @property
    def order(self) -> tuple[int, datetime, str]:
        return self.number, self.created_at, self.image_id


@dataclass(frozen=True, slots=True)
class Entry:
    """What is to be done to an image, if it is still so. ``why`` for people."""

    image_id: str
    version: int
    link: int
    action: Action
    why: str


def selected(selector: Mapping[str, Any], fact: Fact) -> bool:
    """One that says nothing selects none."""
    said = {x: y for x, y in selector.items() if y}
    return bool(said) and all(
        (
            "families" not in said or fact.family in said["families"],
            "names" not in said or fact.name in said["names"],
            "name_prefix" not in said or fact.name.startswith(said["name_prefix"]),
            "tags" not in said or fact.tags >= set(said["tags"]),
            "properties" not in said or all(fact.properties.get(x) == y for x, y in said["properties"].items()),
        )
    )


def wants_uses(policy: Mapping[str, Any]) -> bool:
    """Whether it matters to the policy when images were used."""
    return "used_within_days" in (policy.get("keep") or {}) or any("unused_days" in x for x in policy["steps"])


def moment(text: str | None) -> datetime | None:
    """A time in UTC, or the last moment of a day, as properties have them; None: it is none."""
    with suppress(ValueError):
        return datetime.combine(date.fromisoformat(text or ""), time.max, UTC)
    try:
        at = datetime.fromisoformat(text or "")
        return at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def days(count: int) -> timedelta:
    return timedelta(days=count)
