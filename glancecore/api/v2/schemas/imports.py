"""The body of POST /v2/images/{id}/import (contract 9.1)."""

from __future__ import annotations

from glancecore.api.v2.schemas.images import Schema

_STORES = {"type": "array", "items": {"type": "string"}, "minItems": 1, "uniqueItems": True}


def body() -> Schema:
    return {
        "type": "object", "required": ["method"],
        "properties": {
            "method": {
                "type": "object", "required": ["name"], "additionalProperties": True,
                "properties": {
                    "name": {"type": "string", "description": "An enabled import method."},
                    "uri": {"type": "string", "description": "web-download: where the data is."},
                    "glance_region": {"type": "string"}, "glance_image_id": {"type": "string", "description": "A UUID."},
                    "glance_service_interface": {"type": "string"},
                    "checksum_url": {"type": "string", "description": "web-download: URL of a file of digests, such as SHA256SUMS."},
                    "checksum_name": {"type": "string", "description": "The data's name in it; by default the last part of the uri."},
                    "signature": {"type": "string", "maxLength": 65536,
                                  "description": "A detached OpenPGP signature of the data, ASCII-armoured."},
                    "expected": {"type": "object", "additionalProperties": {"type": "string"},
                                 "description": "Digests that the data must have: algorithm and hexadecimal digest."},
                }},
            "stores": {**_STORES, "description": "Where to put it; the default store otherwise."},
            "all_stores": {"type": "boolean"}, "all_stores_must_succeed": {"type": "boolean"},
        },
    }
