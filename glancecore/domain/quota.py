"""Limits of a project and what it uses of them."""

from __future__ import annotations

from dataclasses import dataclass

from glancecore.domain import metadata
from glancecore.domain.image import Image, Status


@dataclass(frozen=True, slots=True)
class Limits:
    """What a project may use; None means no limit. ``bytes`` counts size times copies of all its images,
    ``metadata_bytes`` what ``metadata.size`` says of each."""

    bytes: int | None = None
    staged_bytes: int | None = None
    images: int | None = None
    uploading: int | None = None
    metadata_bytes: int | None = None


@dataclass(frozen=True, slots=True)
class Usage:
    """What a project uses now. ``bytes`` includes what running uploads have reserved."""

    bytes: int = 0
    staged_bytes: int = 0
    images: int = 0
    uploading: int = 0
    metadata_bytes: int = 0

    def __add__(self, other: Usage) -> Usage:
        return Usage(self.bytes + other.bytes, self.staged_bytes + other.staged_bytes, self.images + other.images,
                     self.uploading + other.uploading, self.metadata_bytes + other.metadata_bytes)

    def __neg__(self) -> Usage:
        return Usage(-self.bytes, -self.staged_bytes, -self.images, -self.uploading, -self.metadata_bytes)


def weigh(image: Image) -> Usage:
    """What one image counts for its owner: its size for each copy, its staged bytes, itself, its metadata."""
    if image.status in (Status.DELETED, Status.KILLED):
        return Usage()
    busy = image.status in (Status.SAVING, Status.UPLOADING, Status.IMPORTING)
    staged = image.status in (Status.UPLOADING, Status.IMPORTING)
    return Usage(bytes=(image.size or 0) * len(image.locations), staged_bytes=(image.size or 0) if staged else 0,
                 images=1, uploading=1 if busy else 0, metadata_bytes=metadata.size(image))


def exceeded(usage: Usage, limits: Limits) -> str | None:
    """The name of the first limit that ``usage`` is above, as Glance's unified limits name it where they have it; None when within."""
    for name, used, limit in (
            ("image_size_total", usage.bytes, limits.bytes), ("image_stage_total", usage.staged_bytes, limits.staged_bytes),
            ("image_count_total", usage.images, limits.images),
            ("image_count_uploading", usage.uploading, limits.uploading),
            ("image_metadata_total", usage.metadata_bytes, limits.metadata_bytes)):
        if limit is not None and used > limit:
            return name
    return None
