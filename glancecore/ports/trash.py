"""The trash, as extensions see it."""

from __future__ import annotations

from datetime import timedelta
from typing import Protocol

from glancecore.domain.image import Image


class Trash(Protocol):
    """Images that were deleted and can be had back, which ``[DEFAULT] delayed_delete`` keeps: nobody is asked."""

    @property
    def keeps(self) -> timedelta | None:
        """How long they stay at least; None: what is deleted is gone."""

    def of_project(self, project: str | None, behind: Image | None = None, limit: int = 100) -> list[Image]:
        """See ``ImageRepository.deleted``; ``updated_at`` is when it was deleted."""

    def get(self, image_id: str) -> Image:
        """Raises ImageNotFound for any that is not in the trash."""

    def restore(self, image_id: str) -> Image:
        """It is as it was before. Raises ImageNotFound (also when its bytes are going already)."""

    def purge(self, image_id: str) -> None:
        """For good, now. Raises ImageNotFound, BlobInUse, StoreError (it stays in the trash)."""
