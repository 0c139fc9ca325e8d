"""Where the data of an image lies: its copies, and data that is about to become one.

Plugins import these names from ``glancecore.domain.image``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum


class LocationStatus(StrEnum):
    ACTIVE = "active"
    #: Marked: its bytes are going, nobody reads it any more.
    DELETING = "deleting"
    #: An auditor found its bytes damaged: not served while another copy is good.
    DAMAGED = "damaged"
    #: Of an image that is pending_delete: its bytes stay until the time for undoing it is over.
    PENDING_DELETE = "pending_delete"


@dataclass(frozen=True, slots=True)
class Location:
    """Where a copy of the data lies. ``store`` is the operator's store id; ``metadata`` is the client's own.
    ``damaged``: what its status was before it was marked to be removed."""

    url: str = field(repr=False)
    store: str
    metadata: Mapping[str, str] = field(default_factory=dict)
    status: LocationStatus = LocationStatus.ACTIVE
    damaged: bool = False

    def drop(self) -> Location:
        """Marked to be removed."""
        return replace(self, status=LocationStatus.DELETING, damaged=self.status is LocationStatus.DAMAGED)

    def undo_drop(self) -> Location:
        """As good, or as bad, as before it was marked."""
        if self.status is not LocationStatus.DELETING:
            return self
        return replace(self, status=LocationStatus.DAMAGED if self.damaged else LocationStatus.ACTIVE, damaged=False)


@dataclass(frozen=True, slots=True)
class Attachment:
    """Data that lies in a store already, as the store tells of it (size in bytes) and as the caller says it must be.

    ``checksum`` and the hash are what the caller expects, or None. ``formats``: disk_format and container_format that
    its beginning was inspected as, or None. ``unproved``: nobody has read the data to see whether it has that hash."""

    location: Location
    size: int
    virtual_size: int | None = None
    checksum: str | None = None
    hash_algo: str | None = None
    hash_value: str | None = None
    formats: tuple[str | None, ...] | None = None
    unproved: bool = False
