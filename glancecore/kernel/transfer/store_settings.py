"""What the operator says of one store."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class DirectDownload(StrEnum):
    """Which clients are sent to the backend itself: none, those that ask, all but those that ask not to be."""

    NEVER = "never"
    ASKED = "asked"
    ALWAYS = "always"


@dataclass(frozen=True, slots=True)
class StoreSettings:
    """The operator's word about one store. ``unavailable_because``: why its driver could not be loaded or started."""

    id: str
    driver: str
    description: str | None = None
    weight: int = 0
    read_only: bool = False
    unavailable_because: str | None = None
    direct_download: DirectDownload = DirectDownload.NEVER
    #: How long a signed URL is good.
    direct_seconds: float = 300
