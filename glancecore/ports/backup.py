"""What a database driver may offer beside ``Database``: copies of itself."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol, runtime_checkable


@runtime_checkable
class BacksUp(Protocol):
    """A database driver that copies its database while it is used."""

    def backup(self, file: Path) -> None:
        """A whole copy, as it was at one moment, for its owner only. Raises ConfigError when it can't be written there,
        or something is there already."""
