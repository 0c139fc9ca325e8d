"""Locations: what POST /v2/images/{id}/locations takes, and how they are listed."""

from __future__ import annotations

import hashlib

from glancecore.domain import errors
from glancecore.features.images.schemas import Schema, bounded, location, location_metadata

#: Algorithms of an expected hash.
ALGORITHMS = ("sha1", "sha256", "sha512", "md5")

ADD: Schema = bounded(
    {
        "type": "object",
        "required": ["url"],
        "properties": {
            "url": {"type": "string", "minLength": 1, "maxLength": 255},
            "metadata": location_metadata(),
            "validation_data": {
                "type": "object",
                "additionalProperties": False,
                "dependentRequired": {"os_hash_algo": ["os_hash_value"], "os_hash_value": ["os_hash_algo"]},
                "properties": {
                    "os_hash_algo": {"type": "string", "enum": list(ALGORITHMS)},
                    "os_hash_value": {"type": "string", "maxLength": 128},
                },
            },
        },
    }
)
ANSWER: Schema = {
    "type": "array",
    "items": {
        "type": "object",
        "required": ["url", "metadata"],
        "properties": {name: location()["properties"][name] for name in ("url", "metadata")},
    },
}


def check_digest(name: str, algorithm: str, value: str, error: type[errors.GlanceError]) -> str:
    """The digest in lower case. Raises ``error`` unless it is one of ``algorithm``."""
    try:
        length = hashlib.new(algorithm, usedforsecurity=False).digest_size * 2
    except ValueError:
        raise error(f"validation_data: {algorithm!r} is no hash algorithm") from None
    if len(value) != length or not all(x in "0123456789abcdefABCDEF" for x in value):
        raise error(f"validation_data: {name} must be {length} hexadecimal digits for {algorithm}")
    return value.lower()
