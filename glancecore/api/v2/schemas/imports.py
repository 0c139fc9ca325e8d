"""The body of POST /v2/images/{id}/import."""

from __future__ import annotations

from glancecore.api.v2.schemas.images import Schema, bounded

_STORES = {"type": "array", "items": {"type": "string", "maxLength": 255}, "minItems": 1, "maxItems": 1000, "uniqueItems": True}
_URL = {"type": "string", "maxLength": 4096}


def body() -> Schema:
    return bounded({
        "type": "object", "required": ["method"], "maxProperties": 32,
        "properties": {
            "method": {
                "type": "object", "required": ["name"], "additionalProperties": True, "maxProperties": 64,
                "properties": {
                    "name": {"type": "string", "maxLength": 255, "description": "An enabled import method."},
                    "uri": {**_URL, "description": "web-download: where the data is."},
                    "glance_region": {"type": "string", "maxLength": 255}, "glance_image_id": {"type": "string", "maxLength": 255, "description": "A UUID."},
                    "glance_service_interface": {"type": "string", "maxLength": 255},
                    "checksum_url": {**_URL, "description": "web-download: URL of a file of digests, such as SHA256SUMS."},
                    "checksum_name": {"type": "string", "maxLength": 4096, "description": "The data's name in it; by default the last part of the uri."},
                    "signature": {"type": "string", "maxLength": 65536,
                                  "description": "A detached OpenPGP signature of the data, ASCII-armoured."},
                    "expected": {"type": "object", "additionalProperties": {"type": "string", "maxLength": 255}, "maxProperties": 32,
                                 "description": "Digests that the data must have: algorithm and hexadecimal digest."},
                }},
            "stores": {**_STORES, "description": "Where to put it; the default store otherwise."},
            "all_stores": {"type": "boolean"}, "all_stores_must_succeed": {"type": "boolean"},
        },
    })
