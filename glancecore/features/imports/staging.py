"""Staging: data that waits to be imported, written to the staging store in the same single pass as an upload.

The staging store is any writable store, kept apart from those that users see. Keys are made new for each writing, so that
a writer that has lost its lease can never touch another one's bytes.
"""

from __future__ import annotations

import logging
import secrets
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import replace
from pathlib import Path

from glancecore.domain import errors
from glancecore.domain.context import Context
from glancecore.domain.events import EventType, ImageEvent
from glancecore.domain.image import Image, Status
from glancecore.domain.lease import BlobRef, Operation
from glancecore.domain.quota import Limits
from glancecore.domain.staged import InspectionVerdict, Staged
from glancecore.kernel.operations import Operations
from glancecore.kernel.transfer.data_settings import DataSettings
from glancecore.kernel.transfer.inspection import Inspector
from glancecore.kernel.transfer.intake import Intake
from glancecore.kernel.transfer.store_facade import StoreFacade
from glancecore.kernel.transfer.stores import Stores
from glancecore.policies.authorizer import Authorizer
from glancecore.ports.quota import Quota
from glancecore.ports.repository import ImageRepository, WithinLimits
from glancecore.ports.store import CHUNK, Cap
from glancecore.sdk.checkpoints import checkpoint

LOG = logging.getLogger(__name__)


class StagedData:
    """Reads and writes staged data; knows nothing of who may. ``defer_verdict``: a step may make other data of it, so what the
    inspection says is kept with the data instead of ending the writing."""

    def __init__(self, stores: Stores, settings: DataSettings, *, defer_verdict: bool) -> None:
        self._stores = stores
        self._settings = settings
        self._defer_verdict = defer_verdict

    @property
    def store(self) -> StoreFacade:
        """Raises StoreUnavailable."""
        return self._stores.staging

    @property
    def cap(self) -> int:
        """Most bytes of one image."""
        return self._settings.size_cap

    def ref(self, image_id: str) -> BlobRef:
        """Where the next staged data of the image goes: intent, to be recorded before ``put``."""
        return BlobRef(self.store.id, f"{image_id}.{secrets.token_hex(8)}")

    def put(self, image: Image, ref: BlobRef, pieces: Iterable[bytes], *, size: int | None = None,
            reserve: Callable[[int], None] | None = None, check_lease: Callable[[], None] | None = None,
            algorithms: Collection[str] = ()) -> tuple[Staged, dict[str, str]]:
        """Write, hash and inspect in one pass; also the digests by ``algorithms``. Raises TooLarge, SizeMismatch,
        BadContent, StoreError, and whatever ``pieces``, ``reserve`` and ``check_lease`` raise; then nothing is left."""
        judge = self._judge(image)
        intake = Intake(pieces, self._settings.algorithm, size=size, cap=self._settings.size_cap, inspector=judge,
                        reserve=reserve, check_lease=check_lease, algorithms=algorithms, checksum=self._settings.checksum)
        location = self.store.put(ref.key, intake, size)
        return Staged(ref.store, ref.key, location.url, intake.digests, judge.verdict), intake.extra_digests

    def put_file(self, image: Image, ref: BlobRef, path: Path, progress: Callable[[int, int], None]) -> Staged:
        """The same for a local file, which is taken over without being copied where the store can."""
        size = path.stat().st_size
        if self.store.offers(Cap.ADOPT):
            judge = self._judge(image)
            intake = Intake(_read(path, progress), self._settings.algorithm, size=size, cap=self._settings.size_cap, inspector=judge, checksum=self._settings.checksum)
            for _ in intake:
                pass  # hashed and inspected on the way
            try:
                location = self.store.adopt(ref.key, path)
            except errors.Unsupported:
                LOG.debug("%s can't be linked into the staging store: it is copied", path.name)
            else:
                return Staged(ref.store, ref.key, location.url, intake.digests, judge.verdict)
        return self.put(image, ref, _read(path, progress), size=size)[0]

    def _judge(self, image: Image) -> _Judge:
        return _Judge(Inspector(image.disk_format or "", image.container_format or "", self._settings.inspection), late=self._defer_verdict)

    def judge(self, image: Image, staged: Staged, progress: Callable[[int, int], None]) -> Staged:
        """The same data, inspected as what ``image`` says now that it is. Raises BadContent, StoreError, and what ``progress`` raises."""
        judge, seen = self._judge(image), 0
        for piece in self._stores.recorded(staged.store).open(staged.url):
            judge.update(piece)
            seen += len(piece)
            progress(seen, staged.digests.size)
        return replace(staged, digests=replace(staged.digests, virtual_size=judge.finish()), verdict=judge.verdict)

    def discard(self, ref: BlobRef) -> None:
        self._stores.discard(ref)


class Staging:
    """The use case: a user stages data, to be imported by a later request."""

    def __init__(self, repository: ImageRepository, authorizer: Authorizer, quota: Quota, staged_data: StagedData, operations: Operations) -> None:
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
        with self._operations.hold(image, image.begin_stage(), Operation.STAGE, blobs=(ref,), reserve=size or 0, limits=limits) as held:
            checkpoint("stage.after_intent")
            staged, _ = self._staged_data.put(held.image, ref, _noted(body), size=size, reserve=held.reserve, check_lease=held.check)
            held.made(lambda: self._staged_data.discard(ref), lambda x: x.staged is not None and x.staged.key == ref.key)
            checkpoint("stage.before_finish")
            within = [] if limits.staged_bytes is None else [WithinLimits(image.owner, Limits(staged_bytes=limits.staged_bytes))]
            held.finish(lambda x: x.finish_stage(staged), *within, events=lambda x: [ImageEvent(EventType.IMAGE_UPDATE, x)])
        checkpoint("stage.after_finish")


class _Judge:
    """An inspector whose refusal may be kept for later."""

    def __init__(self, inspector: Inspector, *, late: bool) -> None:
        self._inspector = inspector
        self._defer_verdict = late
        self.verdict: InspectionVerdict | None = None

    def update(self, piece: bytes) -> None:
        if self.verdict is None:
            self._noted(lambda: self._inspector.update(piece))

    def finish(self) -> int | None:
        return self._noted(self._inspector.finish) if self.verdict is None else None

    def _noted(self, look: Callable[[], int | None]) -> int | None:
        try:
            return look()
        except errors.BadContent as exc:
            if not self._defer_verdict:
                raise
            self.verdict = InspectionVerdict(exc.code, str(exc))
            return None


def _read(path: Path, progress: Callable[[int, int], None]) -> Iterator[bytes]:
    total, seen = path.stat().st_size, 0
    with path.open("rb") as src:
        while piece := src.read(CHUNK):
            seen += len(piece)
            progress(seen, total)
            yield piece


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
