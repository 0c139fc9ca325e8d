"""The image: its schema for clients (GET /v2/schemas/image) and the validators of bodies."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from glancecore.domain import errors
from glancecore.domain import fields as domain
from glancecore.domain.text import shortened

UUID = "^([0-9a-fA-F]){8}-([0-9a-fA-F]){4}-([0-9a-fA-F]){4}-([0-9a-fA-F]){4}-([0-9a-fA-F]){12}$"
Schema = dict[str, Any]
#: What a body may have where nothing else is said. Quotas are stricter, and tell so in their own words.
MOST_ITEMS, MOST_NAMES, MOST_CHARACTERS = 10_000, 10_000, 65_535
#: Steps of one patch.
MOST_OPERATIONS = 1000
TIME = {"type": "string", "description": "UTC, YYYY-MM-DDTHH:MM:SSZ"}


def bounded(schema: Schema) -> Schema:
    """The schema of a body with a bound for every list, object and text in it."""
    made = dict(schema)
    for name in ("items", "additionalProperties", "propertyNames"):
        if isinstance(made.get(name), dict):
            made[name] = bounded(made[name])
    if "properties" in made:
        made["properties"] = {name: bounded(x) for name, x in made["properties"].items()}
    types = [made["type"]] if isinstance(made.get("type"), str) else made.get("type", [])
    if "array" in types:
        made.setdefault("maxItems", MOST_ITEMS)
    if "object" in types and made.get("additionalProperties") is not False:
        made.setdefault("maxProperties", MOST_NAMES)
    if "string" in types and not {"enum", "const"} & made.keys():
        made.setdefault("maxLength", MOST_CHARACTERS)
    return made


@dataclass(frozen=True, slots=True)
class Formats:
    """The operator's allowed formats, and what extensions show on images beside the base fields: the schema of each
    key."""

    disk: Sequence[str]
    container: Sequence[str]
    shown: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    def check(self, disk_format: str | None, container_format: str | None) -> None:
        """What did not come in a body, as one that says it is judged. Raises Invalid."""
        for name, value, allowed in (
            ("disk_format", disk_format, self.disk),
            ("container_format", container_format, self.container),
        ):
            if value is not None and value not in allowed:
                raise errors.Invalid(f"{name}: {shortened(repr(value))} is not one of {', '.join(['null', *allowed])}")


def common() -> Schema:
    """Custom properties whose meaning is agreed upon; shown in the schema with ``is_base: false``."""
    text = {"type": "string", "is_base": False}
    uuid = {"type": ["null", "string"], "pattern": UUID, "is_base": False}
    return {
        "kernel_id": {**uuid, "description": "ID of the image that is the kernel of this AMI-style image."},
        "ramdisk_id": {**uuid, "description": "ID of the image that is the ramdisk of this AMI-style image."},
        "instance_uuid": {**text, "description": "The server that this image was made from."},
        "architecture": {**text, "description": "Processor architecture, such as x86_64 or aarch64."},
        "os_distro": {**text, "description": "Name of the operating system's distribution, in lower case."},
        "os_version": {**text, "description": "The distribution's version."},
        "description": {**text, "description": "A text for people."},
        "cinder_encryption_key_id": {
            **text,
            "description": "Key manager id of the key that the volume was encrypted with.",
        },
        "cinder_encryption_key_deletion_policy": {
            **text,
            "description": "What is to become of that key with the image; this service deletes no keys.",
        },
    }


def fields(formats: Formats) -> Schema:
    """Every base field."""
    text255 = {"type": ["null", "string"], "maxLength": 255}
    count = {"type": "integer", "minimum": 0, "maximum": 2**31 - 1}
    read_only = {"readOnly": True}
    return {
        "id": {"type": "string", "pattern": UUID, "description": "Identifier of the image."},
        "name": {**text255, "description": "A name for people; not unique."},
        "status": {
            "type": "string",
            **read_only,
            "enum": [
                "queued",
                "saving",
                "active",
                "killed",
                "deleted",
                "uploading",
                "importing",
                "pending_delete",
                "deactivated",
            ],
            "description": "Where in its life the image is.",
        },
        "visibility": {
            "type": "string",
            "enum": ["community", "public", "private", "shared"],
            "description": "Who may use the image.",
        },
        "protected": {"type": "boolean", "description": "A protected image can't be deleted."},
        "os_hidden": {"type": "boolean", "description": "A hidden image is left out of lists."},
        "checksum": {"type": ["null", "string"], "maxLength": 32, **read_only, "description": "MD5 of the data, hex."},
        "os_hash_algo": {
            "type": ["null", "string"],
            "maxLength": 64,
            **read_only,
            "description": "Algorithm of os_hash_value.",
        },
        "os_hash_value": {
            "type": ["null", "string"],
            "maxLength": 128,
            **read_only,
            "description": "Digest of the data, hex.",
        },
        "owner": {**text255, "description": "Project that owns the image."},
        "size": {"type": ["null", "integer"], **read_only, "description": "Length of the data in bytes."},
        "virtual_size": {
            "type": ["null", "integer"],
            **read_only,
            "description": "Size of the disk in bytes, as a guest sees it.",
        },
        "container_format": {
            "type": ["null", "string"],
            "enum": [None, *formats.container],
            "description": "What the disk is wrapped in.",
        },
        "disk_format": {
            "type": ["null", "string"],
            "enum": [None, *formats.disk],
            "description": "Format of the disk.",
        },
        "created_at": {**TIME, **read_only},
        "updated_at": {**TIME, **read_only},
        "tags": {"type": "array", "items": {"type": "string", "maxLength": 255}, "description": "Words to find it by."},
        "direct_url": {"type": "string", **read_only, "description": "URL of the first copy in its store."},
        "min_ram": {**count, "description": "MiB of memory that a server needs for this image."},
        "min_disk": {**count, "description": "GiB of disk that a server needs for this image."},
        "self": {"type": "string", **read_only},
        "file": {"type": "string", **read_only},
        "schema": {"type": "string", **read_only},
        "stores": {"type": "string", **read_only, "description": "Stores that hold a copy, comma-separated."},
        "locations": {"type": "array", "items": location(), "description": "Where copies of the data lie."},
        **{name: {**schema, **read_only} for name, schema in formats.shown.items()},
    }


def location_metadata() -> Schema:
    """The one rule for what is said of a location, on every way in and out."""
    return {
        "type": "object",
        "maxProperties": domain.MAX_LOCATION_METADATA,
        "propertyNames": {"maxLength": domain.MAX_NAME},
        "additionalProperties": {"type": "string", "maxLength": domain.MAX_LOCATION_TEXT},
    }


def location() -> Schema:
    return {
        "type": "object",
        "required": ["url", "metadata"],
        "properties": {
            "url": {"type": "string", "maxLength": 255},
            "metadata": location_metadata(),
            "validation_data": {
                "description": "What the data's digests must be; can be set, is never shown.",
                "type": "object",
                "additionalProperties": False,
                "required": ["os_hash_algo", "os_hash_value"],
                "properties": {
                    "checksum": {"type": "string", "minLength": 32, "maxLength": 32},
                    "os_hash_algo": {"type": "string", "maxLength": 64},
                    "os_hash_value": {"type": "string", "maxLength": 128},
                },
            },
        },
    }


LINKS = [
    {"rel": "self", "href": "{self}"},
    {"rel": "enclosure", "href": "{file}"},
    {"rel": "describedby", "href": "{schema}"},
]


def document(formats: Formats) -> Schema:
    """GET /v2/schemas/image: clients validate against it before they send."""
    base = {name: {**value, "is_base": True} for name, value in fields(formats).items()}
    for name in (
        "min_ram",
        "min_disk",
    ):  # as Glance has it: clients would raise a TypeError for what the server answers with a reason
        base[name] = {key: value for key, value in base[name].items() if key not in ("minimum", "maximum")}
    return {
        "name": "image",
        "properties": {**common(), **base},
        "additionalProperties": {"type": "string"},
        "links": LINKS,
    }


def documents(formats: Formats) -> dict[str, Schema]:
    """Those of GET /v2/schemas, by name."""
    one = document(formats)
    return {"image": one, "images": collection("images", one)}


def collection(name: str, item: Schema) -> Schema:
    """A list of ``item`` documents, such as GET /v2/schemas/images."""
    return {
        "name": name,
        "properties": {
            name: {"type": "array", "items": item},
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


def body(formats: Formats) -> Schema:
    """What POST /v2/images takes, names that are refused with 403 left to the use case."""
    settable = {
        name: value for name, value in fields(formats).items() if not value.get("readOnly") and name != "locations"
    }
    return bounded({"type": "object", "properties": {**common(), **settable}, "additionalProperties": True})


def answer(formats: Formats) -> Schema:
    """What an image looks like in an answer."""
    required = [
        "id",
        "name",
        "status",
        "visibility",
        "protected",
        "os_hidden",
        "checksum",
        "os_hash_algo",
        "os_hash_value",
        "owner",
        "size",
        "virtual_size",
        "container_format",
        "disk_format",
        "created_at",
        "updated_at",
        "tags",
        "min_ram",
        "min_disk",
        "self",
        "file",
        "schema",
    ]
    return {
        "type": "object",
        "properties": fields(formats),
        "required": required,
        "additionalProperties": {"type": ["string", "null"]},
    }
