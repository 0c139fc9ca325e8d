"""Who may see how an image is used."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from glancecore.domain.context import Context
from glancecore.features.images.use_cases import Images
from glancecore.features.uses.counting import Use, UseRows
from glancecore.policies.authorizer import Authorizer


class ImageUses:
    def __init__(self, rows: UseRows, images: Images, authorizer: Authorizer) -> None:
        self._rows = rows
        self._images = images
        self._policy = authorizer

    def show(self, ctx: Context, image_id: str) -> tuple[Use, datetime | None]:
        """The image's, and since when uses are counted. Raises ImageNotFound, Forbidden: also to others who may use
        it."""
        image = self._images.show(ctx, image_id)
        self._policy.authorize(ctx, "get_image_use", image)
        return self._rows.of([image.id]).get(image.id, Use()), self._rows.begun_at()

    def last_of(self, image_ids: Sequence[str]) -> dict[str, datetime]:
        """For the service's own work: when each was last used, of those that were, in one question."""
        return {x: use.last_at for x, use in self._rows.of(image_ids).items() if use.last_at is not None}

    def counted_since(self) -> datetime | None:
        return self._rows.begun_at()
