"""A cache of image data as downloads see it; what one does is the business of the feature that is one."""

from __future__ import annotations

from collections.abc import Generator, Iterable
from dataclasses import dataclass
from typing import BinaryIO, Protocol

from glancecore.domain.image import Image


class CopySource(Protocol):
    """An image's data in the stores."""

    @property
    def project(self) -> str | None:
        """For whom it is read; None: for nobody, or it is not known."""

    @property
    def copies(self) -> int:
        """How many there are, at least one."""

    def read(self, first: int = 0) -> Iterable[bytes]:
        """All bytes, from the copy of that number, or from the next ones when it does not answer."""


@dataclass(frozen=True, slots=True)
class CachedData:
    """An opened entry. ``file`` is at its beginning."""

    file: BinaryIO
    #: Whether the kernel can send it.
    sendable: bool


class DataCache(Protocol):
    """See ``glancecore.features.cache.image_cache.ImageCache``."""

    def file(self, image: Image) -> CachedData | None:
        """The image's data as an open file; None when it is not cached."""

    def takes(self, image: Image) -> bool:
        """Whether a download of the whole image is to fill the cache."""

    def stream(self, image: Image, source: CopySource) -> Generator[bytes, None, None]:
        """The image's bytes from the first. When this ends early, the rest is to be read from ``source``."""
