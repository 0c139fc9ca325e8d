"""The uses of images, as extensions see them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Protocol


class Uses(Protocol):
    """When images were last used: downloaded, looked for where they lie, or read from the backend by who was sent
    there. Written down with some delay, less than a minute; what a killed process has counted last is lost."""

    def last_of(self, image_ids: Sequence[str]) -> Mapping[str, datetime]:
        """Aware UTC; of those that were used since counting began. At most 1,000 ids, in one question."""

    def counted_since(self) -> datetime | None:
        """When counting began in this deployment; None: not yet."""
