"""The status of an image, and which may follow which.

Plugins import these names from ``glancecore.domain.image``."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType


class Status(StrEnum):
    QUEUED = "queued"
    SAVING = "saving"
    UPLOADING = "uploading"
    IMPORTING = "importing"
    ACTIVE = "active"
    DEACTIVATED = "deactivated"
    PENDING_DELETE = "pending_delete"
    #: Bytes are being removed; hidden from everybody. Goes on to deleted, or back when the backend says "in use".
    DELETING = "deleting"
    DELETED = "deleted"
    KILLED = "killed"


S = Status
#: Which status may follow which. DELETING may return to what it came from.
NEXT: Mapping[Status, frozenset[Status]] = MappingProxyType(
    {
        S.QUEUED: frozenset({S.SAVING, S.UPLOADING, S.IMPORTING, S.ACTIVE, S.DELETING}),
        S.SAVING: frozenset({S.ACTIVE, S.QUEUED, S.KILLED, S.DELETING}),
        S.UPLOADING: frozenset({S.IMPORTING, S.QUEUED, S.UPLOADING, S.DELETING}),
        S.IMPORTING: frozenset({S.ACTIVE, S.QUEUED, S.UPLOADING, S.DELETING}),
        S.ACTIVE: frozenset({S.DEACTIVATED, S.PENDING_DELETE, S.DELETING}),
        S.DEACTIVATED: frozenset({S.ACTIVE, S.PENDING_DELETE, S.DELETING}),
        S.PENDING_DELETE: frozenset({S.ACTIVE, S.DEACTIVATED, S.DELETING}),
        S.KILLED: frozenset({S.DELETING}),
        S.DELETING: frozenset({S.DELETED, S.QUEUED, S.UPLOADING, S.ACTIVE, S.DEACTIVATED, S.PENDING_DELETE, S.KILLED}),
        S.DELETED: frozenset(),
    }
)
#: Never listed, and unknown by id.
HIDDEN = frozenset({S.KILLED, S.DELETED, S.DELETING, S.PENDING_DELETE})
#: While a user's data comes.
RECEIVING = frozenset({S.SAVING, S.UPLOADING})
