"""Images that were deleted and can be had back."""

from __future__ import annotations

from datetime import timedelta

from glancecore.domain import errors
from glancecore.domain.image import Image, Status
from glancecore.features.images.deletion import Deletion
from glancecore.ports.repository import ImageRepository


class Trash:
    """See ``glancecore.ports.extension.Trash``."""

    def __init__(self, repository: ImageRepository, deletion: Deletion, keeps: timedelta | None) -> None:
        self._repository = repository
        self._deletion = deletion
        self.keeps = keeps

    def of_project(self, project: str | None, behind: Image | None = None, limit: int = 100) -> list[Image]:
        return self._repository.deleted(project, behind, limit)

    def get(self, image_id: str) -> Image:
        image = self._repository.get_any(image_id)
        if image.status is not Status.PENDING_DELETE:
            raise errors.ImageNotFound(f"no deleted image {image_id}")
        return image

    def restore(self, image_id: str) -> Image:
        try:
            return self._deletion.restore(image_id)
        except errors.WrongStatus as exc:  # somebody else has
            raise errors.ImageNotFound(f"no deleted image {image_id}") from exc

    def purge(self, image_id: str) -> None:
        try:
            self._deletion.scrub(self.get(image_id))
        except errors.WrongStatus as exc:  # somebody has restored it
            raise errors.ImageNotFound(f"no deleted image {image_id}") from exc
