"""Glance's records as our values. What can't be carried over as it is, is told as a finding; nothing is left out in
silence."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any
from uuid import uuid4

from glancecore.adoption.source import GlanceImage, GlanceNamespace, Row
from glancecore.domain import fields
from glancecore.domain.image import Image, Location, LocationStatus, Status, Visibility
from glancecore.domain.member import Member, MemberStatus
from glancecore.domain.metadef import Association, MetadefObject, MetadefVisibility, Namespace, Property, Tag

#: What Glance keeps of its own imports among the properties.
INTERNAL = "os_glance_"
#: A process of Glance had to finish these; it is gone, and so is what it had.
_UNFINISHED = {
    "saving": "its upload had not ended when the service was taken over; upload it again",
    "uploading": "it was staged when the service was taken over, and the staged data was not; stage it again",
    "importing": "its import had not ended when the service was taken over; import it again",
}
#: An image and what belongs to it are deleted one after the other.
_TOGETHER = timedelta(seconds=60)


class Trouble(StrEnum):
    """What an operator should look at."""

    UNFINISHED = "unfinished"
    UNKNOWN_STORE = "unknown store"
    UNREADABLE_LOCATION = "unreadable location"
    METADATA = "location metadata"
    MISSING = "missing data"
    DIFFERENT = "different data"
    UNCHECKED = "unchecked data"
    REFUSED = "refused"
    NAME_TAKEN = "name taken"


@dataclass(frozen=True, slots=True)
class AdoptionFinding:
    """``about``: image id or namespace."""

    trouble: Trouble
    about: str
    text: str


@dataclass(frozen=True, slots=True)
class Adopted:
    """``removed_at``: the image is deleted, and only its id is kept, so that nobody gets it again."""

    image: Image
    members: tuple[Member, ...] = ()
    removed_at: datetime | None = None
    findings: list[AdoptionFinding] = field(default_factory=list)


#: The store id of a location, by its URL and the store that its metadata names (None: it names none); None: no store is
#: known for it.
Placing = Callable[[str, str | None], str | None]


def image(source: GlanceImage, place: Placing) -> Adopted:
    row, findings = source.row, list[AdoptionFinding]()
    made = Image(
        id=row["id"].lower(),
        created_at=row["created_at"],
        updated_at=row["updated_at"] or row["created_at"],
        name=row["name"],
        owner=row["owner"],
        visibility=Visibility(row["visibility"]),
        protected=bool(row["protected"]),
        hidden=bool(row.get("os_hidden")),
        container_format=row["container_format"],
        disk_format=row["disk_format"],
        min_ram=row["min_ram"],
        min_disk=row["min_disk"],
    )
    if row["status"] == "deleted" or (row["deleted"] and row["status"] != "pending_delete"):
        return Adopted(made, removed_at=row["deleted_at"] or made.updated_at)
    alive = _alive(row)
    properties = {x["name"]: x["value"] for x in source.properties if alive(x)}
    made = made.tagged(*(x["value"] for x in source.tags if alive(x)))
    made = _with_data(made, row, properties, findings)
    if made.status is Status.QUEUED:
        if row["status"] == "queued" and any(alive(x) for x in source.locations):
            findings.append(
                AdoptionFinding(
                    Trouble.UNFINISHED,
                    made.id,
                    "it is queued, but has a location, which is not taken over; its data stays where it lies",
                )
            )
    else:
        locations = [x for each in source.locations if alive(each) and (x := _location(made.id, each, place, findings))]
        if made.status is Status.PENDING_DELETE:
            locations = [replace(x, status=LocationStatus.PENDING_DELETE) for x in locations]
        made = replace(made, locations=tuple(locations))
    members = tuple(_member(x) for x in source.members if alive(x))
    return Adopted(made, members, findings=findings)


def namespace(source: GlanceNamespace) -> Namespace:
    """Raises what ``Namespace.checked`` raises."""
    row = source.row
    return Namespace(
        id=str(uuid4()),
        name=row["namespace"],
        display_name=row["display_name"],
        description=row["description"],
        visibility=MetadefVisibility(row["visibility"] or "private"),
        protected=bool(row["protected"]),
        owner=row["owner"],
        associations=tuple(
            Association(x["name"], *_times(x), x["prefix"], x["properties_target"]) for x in source.associations
        ),
        properties=tuple(Property(x["name"], _json(x["json_schema"])) for x in source.properties),
        objects=tuple(_object(x) for x in source.objects),
        tags=tuple(Tag(x["name"], *_times(x)) for x in source.tags),
        created_at=_times(row)[0],
        updated_at=_times(row)[1],
    ).checked()


# -- inside ----------------------------------------------------------------------------------------
def _alive(image_row: Row) -> Callable[[Row], bool]:
    """Not deleted; of an image that waits for its deletion, not deleted before it."""
    if not image_row["deleted"]:
        return lambda row: not row["deleted"]
    moment = image_row["deleted_at"]
    return lambda row: not row["deleted"] or (row["deleted_at"] is not None and moment - row["deleted_at"] < _TOGETHER)


def _with_data(made: Image, row: Row, properties: Mapping[str, str | None], findings: list[AdoptionFinding]) -> Image:
    own = {name: value for name, value in properties.items() if not name.startswith(INTERNAL)}
    copying = properties.get(f"{INTERNAL}importing_to_stores")
    if row["status"] in _UNFINISHED:
        why = _UNFINISHED[row["status"]]
        findings.append(AdoptionFinding(Trouble.UNFINISHED, made.id, f"status {row['status']}: {why}"))
        # the next upload gets another key: bytes of the first may lie in a store
        return replace(made, properties=own, last_error=why, attempt=1)
    if copying:
        findings.append(
            AdoptionFinding(Trouble.UNFINISHED, made.id, f"it was being copied to {copying}; copy it again")
        )
    status = Status(row["status"])
    if status is Status.QUEUED:
        return replace(made, properties=own)
    return replace(
        made,
        properties=own,
        status=status,
        size=row["size"],
        virtual_size=row["virtual_size"],
        checksum=row["checksum"],
        hash_algo=row.get("os_hash_algo"),
        hash_value=row.get("os_hash_value"),
        attempt=1,
    )


def _location(image_id: str, row: Row, place: Placing, findings: list[AdoptionFinding]) -> Location | None:
    if "://" not in row["value"]:
        findings.append(
            AdoptionFinding(
                Trouble.UNREADABLE_LOCATION,
                image_id,
                "a location is encrypted: turn metadata_encryption_key off in Glance first",
            )
        )
        return None
    metadata = _metadata(image_id, row["meta_data"], findings)
    named = metadata.get("store") or metadata.get("backend")
    store = place(row["value"], named)
    if store is None:
        findings.append(
            AdoptionFinding(
                Trouble.UNKNOWN_STORE,
                image_id,
                f"a copy lies in store {named or 'of no name'}, which is not configured here",
            )
        )
        store = named or ""
    return Location(row["value"], store, {**metadata, "store": store})


def _metadata(image_id: str, text: str | None, findings: list[AdoptionFinding]) -> dict[str, str]:
    """As the published schema has it: texts by name. Numbers and the like become their JSON text; what does not fit is
    left out."""
    try:
        found = json.loads(text or "{}")
    except ValueError:
        found = None
    if not isinstance(found, dict):
        findings.append(
            AdoptionFinding(Trouble.METADATA, image_id, "the metadata of a location is no JSON object: it is left out")
        )
        return {}
    texts = {name: value if isinstance(value, str) else json.dumps(value) for name, value in found.items()}
    fitting = {
        name: value
        for name, value in texts.items()
        if len(name) <= fields.MAX_NAME and len(value) <= fields.MAX_LOCATION_TEXT
    }
    ordered = sorted(fitting.items(), key=lambda x: x[0] not in ("store", "backend"))
    kept = dict(ordered[: fields.MAX_LOCATION_METADATA - 1])  # one is for the store
    if len(kept) < len(texts):
        findings.append(
            AdoptionFinding(
                Trouble.METADATA,
                image_id,
                f"{len(texts) - len(kept)} of {len(texts)} entries of a location's metadata are too long, "
                "or too many: they are left out",
            )
        )
    return kept


def _member(row: Row) -> Member:
    return Member(row["image_id"].lower(), row["member"], MemberStatus(row["status"]), *_times(row))


def _object(row: Row) -> MetadefObject:
    properties = tuple(Property(name, definition) for name, definition in _json(row["json_schema"] or "{}").items())
    required = tuple(x for x in (row["required"] or "").split(",") if x)
    return MetadefObject(row["name"], *_times(row), row["description"], required, properties)


def _times(row: Row) -> tuple[datetime, datetime]:
    return row["created_at"], row["updated_at"] or row["created_at"]


def _json(text: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(text)
    return found
