"""What a cluster says of itself."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

MB = 1 << 20
LARGEST_OBJECT = 5 << 30
#: What a cluster that does not tell allows at least.
MOST_SEGMENTS = 1000


class Cluster:
    """``about``: its answer; empty until it was asked, and where its operators hide it."""

    def __init__(self) -> None:
        self.about: Mapping[str, Any] = {}

    def lacks(self, what: str) -> bool:
        """It has told, and not of that."""
        return bool(self.about) and what not in self.about

    @property
    def most_segments(self) -> int:
        """Of one object."""
        found: int = self.about.get("slo", {}).get("max_manifest_segments", MOST_SEGMENTS)
        return found

    @property
    def largest_object(self) -> int:
        """Bytes that can be sent in one request."""
        found: int = self.about.get("swift", {}).get("max_file_size", LARGEST_OBJECT)
        return found
