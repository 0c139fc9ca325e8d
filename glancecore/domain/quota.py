"""Limits of a project and what it uses of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from glancecore.domain import metadata
from glancecore.domain.image import Image, Status

#: What can be limited for each project, by the names that clients know: the field of ``Limits`` and ``Usage``, and by
#: how many bits clients see it smaller (sizes in MiB).
RESOURCES: Mapping[str, tuple[str, int]] = {
    "image_size_total": ("bytes", 20),
    "image_stage_total": ("staged_bytes", 20),
    "image_count_total": ("images", 0),
    "image_count_uploading": ("uploading", 0),
}
#: A limit that is none, as clients and operators write it; and the highest one that there is.
UNLIMITED, HIGHEST = -1, 1 << 62


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
        return Usage(
            self.bytes + other.bytes,
            self.staged_bytes + other.staged_bytes,
            self.images + other.images,
            self.uploading + other.uploading,
            self.metadata_bytes + other.metadata_bytes,
        )

    def __neg__(self) -> Usage:
        return Usage(-self.bytes, -self.staged_bytes, -self.images, -self.uploading, -self.metadata_bytes)


def weigh(image: Image) -> Usage:
    """What one image counts for its owner: its size for each copy, its staged bytes, itself, its metadata."""
    if image.status in (Status.DELETED, Status.KILLED):
        return Usage()
    busy = image.status in (Status.SAVING, Status.UPLOADING, Status.IMPORTING)
    staged = image.status in (Status.UPLOADING, Status.IMPORTING)
    return Usage(
        bytes=(image.size or 0) * len(image.locations),
        staged_bytes=(image.size or 0) if staged else 0,
        images=1,
        uploading=1 if busy else 0,
        metadata_bytes=metadata.size(image),
    )


def with_own(limits: Limits, own: Mapping[str, int]) -> Limits:
    """``own``: what a project has of its own in place of ``limits``, by the names of RESOURCES; bytes, or numbers;
    UNLIMITED is no limit."""
    return replace(limits, **{RESOURCES[name][0]: None if value == UNLIMITED else value for name, value in own.items()})


def shown(used: Usage, limits: Limits) -> dict[str, dict[str, int]]:
    """Usage and limit of each resource as clients see them: sizes in MiB, begun ones of a limit as whole; UNLIMITED
    where there is none."""
    rows: dict[str, dict[str, int]] = {}
    for name, (field, shift) in RESOURCES.items():
        limit: int | None = getattr(limits, field)
        rows[name] = {
            "usage": getattr(used, field) >> shift,
            "limit": UNLIMITED if limit is None else -(-limit >> shift),
        }
    return rows


def exceeded(usage: Usage, limits: Limits) -> str | None:
    """The name of the first limit that ``usage`` is above, as Glance's unified limits name it where they have it; None
    when within."""
    for name, used, limit in (
        ("image_size_total", usage.bytes, limits.bytes),
        ("image_stage_total", usage.staged_bytes, limits.staged_bytes),
        ("image_count_total", usage.images, limits.images),
        ("image_count_uploading", usage.uploading, limits.uploading),
        ("image_metadata_total", usage.metadata_bytes, limits.metadata_bytes),
    ):
        if limit is not None and used > limit:
            return name
    return None
