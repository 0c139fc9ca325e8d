"""A project that an image is shared with."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class MemberStatus(StrEnum):
    PENDING = "pending"
    ACCEPTED = "accepted"
    REJECTED = "rejected"


@dataclass(frozen=True, slots=True)
class Member:
    """``member`` is a project id. The status governs lists only: a member of any status may read the image by id."""

    image_id: str
    member: str
    status: MemberStatus
    created_at: datetime
    updated_at: datetime
