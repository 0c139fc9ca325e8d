"""What a database driver implements for the caches of all nodes: which node has which image.

What nodes tell of themselves, for people to look at: nothing is served by it. The kit ``glancecore.testing.cached_repository`` checks
each rule.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection

from glancecore.ports.repeating import reads, repeatable


class CachedRepository(ABC):
    """Thread-safe. Any method may raise DatabaseUnavailable. ``node`` has at most 255 characters."""

    @repeatable
    @abstractmethod
    def hold(self, image_id: str, node: str) -> None:
        """The node has the image. Nothing when that is known, or when there is no such image."""

    @repeatable
    @abstractmethod
    def replace(self, node: str, image_ids: Collection[str]) -> None:
        """The node has these images and no others; those that are no more are left out."""

    @reads
    @abstractmethod
    def nodes(self, image_id: str) -> list[str]:
        """The nodes that have it, in order; none when the image is no more."""
