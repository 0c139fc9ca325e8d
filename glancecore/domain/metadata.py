"""What an image's metadata may be, on every way in: requests, import steps and import methods. Adopted images stay as
they are."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from glancecore.domain import errors, text
from glancecore.domain.image import Image


@dataclass(frozen=True, slots=True)
class MetadataLimits:
    """None means no limit. ``bytes`` and ``project_bytes`` are what ``size`` counts, of one image and of all images of
    a project."""

    properties: int | None = 128
    tags: int | None = 128
    bytes: int | None = 256 << 10
    project_bytes: int | None = 1 << 30


def size(image: Image) -> int:
    """Bytes of its tags and properties as compact JSON in UTF-8, as a database stores them and a list sends them; 0
    without any."""
    return _length(list(image.tags)) + _length(dict(image.properties))


def check(after: Image, limits: MetadataLimits, before: Image | None = None) -> None:
    """Only what ``before`` does not have is judged: an image above a limit stays editable as long as nothing is added.

    Raises Invalid for characters, LimitExceeded."""
    had = before.properties if before is not None else {}
    tagged = frozenset(before.tags) if before is not None else frozenset()
    new = {name: value for name, value in after.properties.items() if name not in had or had[name] != value}
    added = [x for x in after.tags if x not in tagged]
    most = limits.properties
    if most is not None and len(after.properties) > most and not after.properties.keys() <= had.keys():
        raise errors.LimitExceeded(f"{len(after.properties)} properties; image_property_quota allows {most}")
    most = limits.tags
    if most is not None and len(after.tags) > most and len(after.tags) > len(tagged):
        raise errors.LimitExceeded(f"{len(after.tags)} tags; image_tag_quota allows {most}")
    for field in ("name", "owner"):
        value = getattr(after, field)
        if value is not None and (before is None or value != getattr(before, field)):
            (text.name if field == "name" else text.label)(field, value)
    for name, value in new.items():
        text.label("property name", name)
        if value is not None:
            text.free(f"property {name}", value)
    for tag in added:
        text.label("tag", tag)
    if limits.bytes is not None and (new or added):
        count = size(after)
        if count > limits.bytes and (before is None or count > size(before)):
            raise errors.LimitExceeded(
                f"tags and properties have {count} bytes; image_metadata_quota allows {limits.bytes}"
            )


def grows(after: Image, before: Image) -> bool:
    """Whether the metadata takes more room than before."""
    if after.tags == before.tags and after.properties == before.properties:
        return False
    return size(after) > size(before)


def _length(value: Sequence[str] | Mapping[str, str | None]) -> int:
    return (
        len(json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "surrogatepass")) - 2
        if value
        else 0
    )
