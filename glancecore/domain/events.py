"""What happened, as values: handed to the notifiers after the commit that made it true."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from glancecore.domain.image import Image
    from glancecore.domain.member import Member


class EventType(StrEnum):
    """Names as consumers of Glance's notifications know them (contract 14.10)."""

    IMAGE_CREATE = "image.create"
    IMAGE_PREPARE = "image.prepare"
    IMAGE_UPLOAD = "image.upload"
    IMAGE_ACTIVATE = "image.activate"
    IMAGE_UPDATE = "image.update"
    IMAGE_DELETE = "image.delete"
    IMAGE_SEND = "image.send"
    MEMBER_CREATE = "image.member.create"
    MEMBER_UPDATE = "image.member.update"
    MEMBER_DELETE = "image.member.delete"


@dataclass(frozen=True, slots=True)
class ImageEvent:
    """Something happened to an image; ``image`` is its state afterwards (for delete: before)."""

    type: EventType
    image: Image


@dataclass(frozen=True, slots=True)
class MemberEvent:
    type: EventType
    member: Member


@dataclass(frozen=True, slots=True)
class ImageSent:
    """Image data left for a client. ``bytes_sent`` counts the body's bytes handed to the server."""

    image: Image
    bytes_sent: int
    receiver_user: str | None
    receiver_project: str | None
    destination_ip: str | None
    type: EventType = EventType.IMAGE_SEND


Event = ImageEvent | MemberEvent | ImageSent
