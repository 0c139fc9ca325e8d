"""Staging: a user gives a queued image data that waits to be imported, in one request."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from glancecore.domain import errors
from glancecore.domain.context import Context
from glancecore.domain.events import EventType, ImageEvent
from glancecore.domain.image import Status
from glancecore.domain.lease import Operation
from glancecore.domain.quota import Limits
from glancecore.domain.staged import Staged
from glancecore.kernel.operations import Operations
from glancecore.kernel.transfer.staged_data import StagedData
from glancecore.policies.authorizer import Authorizer
from glancecore.ports.quota import Quota
from glancecore.ports.repository import ImageRepository, WithinLimits
from glancecore.sdk.checkpoints import checkpoint


class Staging:
    """The use case: a user stages data, to be imported by a later request."""

    def __init__(
        self,
        repository: ImageRepository,
        authorizer: Authorizer,
        quota: Quota,
        staged_data: StagedData,
        operations: Operations,
    ) -> None:
        self._repository = repository
        self._policy = authorizer
        self._quota = quota
        self._staged_data = staged_data
        self._operations = operations

    def stage(self, ctx: Context, image_id: str, body: Iterable[bytes], *, size: int | None = None) -> None:
        """Stage ``body`` for a queued image, which is then uploading until it is imported.

        Raises ImageNotFound, Forbidden, WrongStatus, Invalid, TooLarge, QuotaExceeded, SizeMismatch, BadContent, Gone,
        StoreError, and whatever ``body`` raises; then nothing is left of the data and the image is queued again.
        """
        image = self._repository.get(image_id, ctx.viewer)
        self._policy.authorize(ctx, "get_image", image)
        self._policy.authorize(ctx, "upload_image", image)
        image.require(Status.QUEUED)
        image.require_formats()
        with self._operations.noting(image):
            if size is not None and size > self._staged_data.cap:
                raise errors.TooLarge(f"the data has {size} bytes; image_size_cap is {self._staged_data.cap}")
        limits = self._quota.limits(image.owner)
        ref = self._staged_data.ref(image_id)
        checkpoint("stage.before_intent")
        with self._operations.hold(
            image, image.begin_stage(), Operation.STAGE, blobs=(ref,), reserve=size or 0, limits=limits
        ) as held:
            checkpoint("stage.after_intent")
            staged, _ = self._staged_data.put(
                held.image, ref, _noted(body), size=size, reserve=held.reserve, check_lease=held.check
            )
            held.made(
                lambda: self._staged_data.discard(ref), lambda x: x.staged is not None and x.staged.key == ref.key
            )
            checkpoint("stage.before_finish")
            within = (
                []
                if limits.staged_bytes is None
                else [WithinLimits(image.owner, Limits(staged_bytes=limits.staged_bytes))]
            )
            held.finish(
                lambda x: x.finish_stage(staged), *within, events=lambda x: [ImageEvent(EventType.IMAGE_UPDATE, x)]
            )
        checkpoint("stage.after_finish")


def enforce(staged: Staged) -> None:
    """Raises what the inspection of the data found wrong: FormatMismatch or UnsafeContent."""
    if staged.verdict is not None:
        kind = errors.FormatMismatch if staged.verdict.code == errors.FormatMismatch.code else errors.UnsafeContent
        raise kind(staged.verdict.message)


def _noted(body: Iterable[bytes]) -> Iterator[bytes]:
    first = True
    for piece in body:
        yield piece
        if first:
            first = False
            checkpoint("stage.first_piece")
    checkpoint("stage.all_pieces")
