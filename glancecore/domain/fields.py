"""Names on the wire and what they stand for: which an image has, which only the service sets."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

#: Wire name -> attribute of Image, for everything that a caller may set.
SETTABLE: Mapping[str, str] = MappingProxyType(
    {
        "name": "name",
        "visibility": "visibility",
        "protected": "protected",
        "os_hidden": "hidden",
        "owner": "owner",
        "container_format": "container_format",
        "disk_format": "disk_format",
        "min_ram": "min_ram",
        "min_disk": "min_disk",
        "tags": "tags",
    }
)
#: Set by the service alone; a caller who tries gets 403.
READ_ONLY = frozenset(
    {
        "status",
        "size",
        "virtual_size",
        "checksum",
        "created_at",
        "updated_at",
        "direct_url",
        "self",
        "file",
        "schema",
        "stores",
    }
)
#: Ignored on create (clients send back what they have read), refused on change.
HASHES = frozenset({"os_hash_algo", "os_hash_value"})
#: Names that are no custom property whatever the caller means.
RESERVED = frozenset({"location", "deleted", "deleted_at", "locations", "image_id", "id"})
RESERVED_PREFIX = "os_glance"
LOCATIONS = "locations"

MAX_NAME = 255
#: What is said of a location: this many texts of this many characters.
MAX_LOCATION_METADATA = 32
MAX_LOCATION_TEXT = 1024
MAX_INT = 2**31 - 1


def is_reserved(name: str) -> bool:
    """Names of the service's own bookkeeping, and those that Glance keeps for itself."""
    return name in {"location", "deleted", "deleted_at"} or name.startswith(RESERVED_PREFIX)


def is_base(name: str) -> bool:
    """A field of every image rather than a custom property."""
    return name in SETTABLE or name in READ_ONLY or name in HASHES or name in {"id", LOCATIONS}
