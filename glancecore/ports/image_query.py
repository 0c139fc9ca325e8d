"""What a list of images is asked by, and a page of the answer. Drivers import these names from
``glancecore.ports.repository``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from glancecore.domain import errors, metadata
from glancecore.domain.context import Viewer
from glancecore.domain.image import Image, Visibility
from glancecore.domain.member import MemberStatus

#: Images that a list may look through: what the answer costs does not depend on how many there are.
MOST = 1000
#: What is told to those whose question is refused.
NARROWER = (
    "add a filter that few images fit: id, name, owner, checksum, os_hash_value, a tag, a property, or a short span of"
    " created_at; or a visibility"
)


class SortField(StrEnum):
    NAME = "name"
    STATUS = "status"
    CONTAINER_FORMAT = "container_format"
    DISK_FORMAT = "disk_format"
    SIZE = "size"
    ID = "id"
    CREATED_AT = "created_at"
    UPDATED_AT = "updated_at"


@dataclass(frozen=True, slots=True)
class Sort:
    field: SortField
    descending: bool = True


class TimeOp(StrEnum):
    GT = "gt"
    GTE = "gte"
    LT = "lt"
    LTE = "lte"
    EQ = "eq"
    NEQ = "neq"


@dataclass(frozen=True, slots=True)
class TimeFilter:
    """``field`` is created_at or updated_at; both sides are compared at whole seconds, as clients see them."""

    field: SortField
    op: TimeOp
    value: datetime


@dataclass(frozen=True, slots=True)
class RangeFilter:
    """``field``: size, min_ram, min_disk or virtual_size. Bounds are inclusive; a null value is in no range."""

    field: str
    minimum: int | None = None
    maximum: int | None = None


@dataclass(frozen=True, slots=True)
class ImageQuery:
    """Which images, in which order. All conditions must hold.

    ``visibility`` None is the default list: the viewer's own, public ones, and those shared with him whose member
    status is ``member_status`` (None: any); an admin gets every image but other projects' community ones. With a
    visibility: community = all community images; public = all public; private = own private (admin: all private);
    shared = own shared and shared with him by ``member_status`` (admin: all shared); ``all_visible`` = everything the
    viewer may see, others' community included, but of those shared with him only the ones of ``member_status``. "Own"
    needs a project: an image without owner is nobody's own, and is listed when public, or shared with the viewer, or
    (unless private) by ``all_visible``. Each image is found once. Images in a hidden status (``domain.image.HIDDEN``)
    are never found. ``hidden`` compares os_hidden. ``equal`` maps a field (id, name, status, container_format,
    disk_format, owner, checksum, hash_algo, hash_value, size, virtual_size, min_ram, min_disk, protected) to its
    allowed values. ``tags`` must all be there. ``properties`` must equal. Text is compared by code points: case,
    accents and blanks at the end count. ``sort`` ends with the id (added, in the last key's direction, when absent), so
    the order is total; null sorts before everything. ``marker``: start behind this image, which must be visible to the
    viewer but need not match the filters. ``max_bytes``: the page also ends behind the first image with which the
    metadata of those found (``metadata.size``) has so many bytes; at least one image is found. ``unlisted_at``: public
    images that are to have left others' lists by then (``glancecore.ports.unlisted``) are found by admins and their
    owners only; for others they are stepped over, or count among those looked through. None: by everybody. ``most``: so
    many images may be looked through for a page. When no more than that are listed for the viewer without the filters,
    whatever their visibility, the answer is whole; else the page may end early, or the question be refused: see
    ``ports.repository.ImageRepository.find``."""

    viewer: Viewer
    visibility: Visibility | None = None
    all_visible: bool = False
    member_status: MemberStatus | None = MemberStatus.ACCEPTED
    hidden: bool = False
    equal: Mapping[str, tuple[str | int | bool, ...]] = field(default_factory=dict)
    times: tuple[TimeFilter, ...] = ()
    ranges: tuple[RangeFilter, ...] = ()
    tags: tuple[str, ...] = ()
    properties: Mapping[str, str] = field(default_factory=dict)
    sort: tuple[Sort, ...] = (Sort(SortField.CREATED_AT), Sort(SortField.ID))
    marker: str | None = None
    limit: int = 25
    max_bytes: int | None = None
    most: int = MOST
    unlisted_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class ImagePage:
    """``marker``: the image to go on behind, not always one of those found, but one that the viewer may see; None:
    nothing is left. A page with a marker has images."""

    images: Sequence[Image] = ()
    marker: str | None = None

    @classmethod
    def ended(cls, images: Sequence[Image], query: ImageQuery, looked: str | None = None) -> ImagePage:
        """The page of what was found. ``looked``: the last image that was looked at, when others are behind it. Raises
        TooBroad."""
        if images and cls(images).full(query):
            return cls(images, images[-1].id)
        if looked is not None and not images:
            raise errors.TooBroad(
                f"none of the next images fits, and too many are left to be looked through: {NARROWER}"
            )
        return cls(images, looked)

    def full(self, query: ImageQuery) -> bool:
        """Whether it has as many images, or bytes of metadata, as were asked for."""
        return len(self.images) >= query.limit or (
            query.max_bytes is not None and sum(map(metadata.size, self.images)) >= query.max_bytes
        )
