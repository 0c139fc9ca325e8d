"""Uploading image data: one pass over the bytes, between two short transactions."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator

from glancecore.domain import errors
from glancecore.domain.context import Context
from glancecore.domain.events import EventType, ImageEvent
from glancecore.domain.image import Image, Location, Status
from glancecore.domain.lease import BlobRef, Operation
from glancecore.domain.staged import Digests
from glancecore.kernel.operations import Held, Operations
from glancecore.kernel.transfer.data_settings import DataSettings
from glancecore.kernel.transfer.examination import Examination, Judge
from glancecore.kernel.transfer.inspection import Inspector
from glancecore.kernel.transfer.intake import Intake
from glancecore.kernel.transfer.signatures import HASHES, METHOD, SignatureCheck, Signatures
from glancecore.kernel.transfer.store_facade import StoreFacade
from glancecore.kernel.transfer.stores import Stores
from glancecore.policies.authorizer import Authorizer
from glancecore.ports.quota import Quota
from glancecore.ports.repository import ImageRepository
from glancecore.sdk.checkpoints import checkpoint


class Uploads:
    """The use case: a user gives a queued image its data."""

    def __init__(
        self,
        repository: ImageRepository,
        authorizer: Authorizer,
        quota: Quota,
        stores: Stores,
        operations: Operations,
        settings: DataSettings,
        signatures: Signatures,
    ) -> None:
        self._repository = repository
        self._policy = authorizer
        self._quota = quota
        self._stores = stores
        self._operations = operations
        self._settings = settings
        self._signatures = signatures

    def upload(
        self,
        ctx: Context,
        image_id: str,
        body: Iterable[bytes],
        *,
        size: int | None = None,
        store_id: str | None = None,
    ) -> None:
        """Store ``body`` as the data of a queued image, which becomes active.

        ``size`` is what the sender declared, None when unknown. Raises ImageNotFound, Forbidden, WrongStatus, Invalid,
        UnknownStore, TooLarge, QuotaExceeded, SizeMismatch, BadContent, Gone (deleted meanwhile), StoreError, and
        whatever ``body`` raises; then nothing is left of the data and the image is queued again."""
        image = self._repository.get(image_id, ctx.viewer)
        self._policy.authorize(ctx, "get_image", image)
        self._policy.authorize(ctx, "upload_image", image)
        image.require(Status.QUEUED)
        image.require_formats()
        with self._operations.noting(image):
            store = self.target(store_id, size)
        signature = self.signature(image, ctx.token)
        checkpoint("upload.before_intent")
        saving = image.begin_upload()
        ref = BlobRef(store.id, saving.blob_key, saving.owner)
        with self._operations.hold(
            image,
            saving,
            Operation.UPLOAD,
            blobs=(ref,),
            reserve=size or 0,
            limits=self._quota.limits(image.owner),
            events=lambda x: [ImageEvent(EventType.IMAGE_PREPARE, x, store.id)],
        ) as held:
            checkpoint("upload.after_intent")
            location, digests = self.transfer(held, ref, body, size, signature, self.inspector(held.image))
            held.made(lambda: store.delete(location.url), lambda x: any(y.url == location.url for y in x.locations))
            checkpoint("upload.before_finish")
            held.finish(
                lambda x: x.finish_upload(digests, (location,)),
                events=lambda x: [ImageEvent(EventType.IMAGE_UPLOAD, x), ImageEvent(EventType.IMAGE_ACTIVATE, x)],
            )
        checkpoint("upload.after_finish")

    def signature(self, image: Image, token: str | None) -> SignatureCheck | None:
        """How the data is to be checked; see ``Signatures.check_of``."""
        return self._signatures.check_of(image, token)

    def target(self, store_id: str | None, size: int | None) -> StoreFacade:
        """Where data of ``size`` bytes (None: not known) will go. Raises UnknownStore, StoreUnavailable, StoreReadOnly,
        TooLarge."""
        store = self._stores.for_data(store_id, size)
        if not store.available:
            raise errors.StoreUnavailable(f"store {store.id} is not available", store.id)
        store.require_writable()
        if size is not None and size > self._settings.size_cap:
            raise errors.TooLarge(f"the data has {size} bytes; image_size_cap is {self._settings.size_cap}")
        return store

    def transfer(
        self,
        held: Held,
        ref: BlobRef,
        body: Iterable[bytes],
        size: int | None,
        signature: SignatureCheck | None,
        judge: Judge,
    ) -> tuple[Location, Digests]:
        """The one pass over the bytes: counted, hashed, inspected, stored at ``ref``. Raises what ``upload`` says of
        the data."""
        intake = self._intake(held, _noted(body), size, signature, judge)
        location = self._stores.recorded(ref.store).put(ref.key, intake, size, owner=ref.owner)
        checkpoint("upload.after_put")
        return location, intake.digests

    # -- data that comes in parts ------------------------------------------------------------------
    def beginning(self, judge: Judge) -> Examination:
        """Of the first bytes, which say whether the data can become the image's; the rest is examined in the end."""
        return Examination((), judge)

    def examination(self, image: Image, judge: Judge) -> Examination:
        """Of all bytes, while they come; also for a signature that the image has by now."""
        signed = HASHES.get(str(image.properties.get(METHOD)))
        return Examination(
            {self._settings.algorithm, *(["md5"] if self._settings.checksum else []), *([signed] if signed else [])},
            judge,
        )

    def judged(self, examination: Examination, signature: SignatureCheck | None) -> Digests:
        """What it has found, of all bytes. Raises BadContent, SignatureInvalid."""
        return examination.finish(self._settings.algorithm, signature, checksum=self._settings.checksum)

    def read(
        self, held: Held, location: Location, size: int, signature: SignatureCheck | None, judge: Judge
    ) -> Digests:
        """The one pass over bytes that are stored already. Raises what ``upload`` says of the data, StoreError."""
        intake = self._intake(held, self._stores.recorded(location.store).open(location.url), size, signature, judge)
        deque(intake, maxlen=0)
        return intake.digests

    def _intake(
        self, held: Held, source: Iterable[bytes], size: int | None, signature: SignatureCheck | None, judge: Judge
    ) -> Intake:
        return Intake(
            source,
            self._settings.algorithm,
            size=size,
            cap=self._settings.size_cap,
            inspector=judge,
            reserve=held.reserve,
            check_lease=held.check,
            signature=signature,
            checksum=self._settings.checksum,
        )

    def inspector(self, image: Image) -> Inspector:
        """Of data that is to be the image's."""
        return Inspector(image.disk_format or "", image.container_format or "", self._settings.inspection)


def _noted(body: Iterable[bytes]) -> Iterator[bytes]:
    first = True
    for piece in body:
        yield piece
        if first:
            first = False
            checkpoint("upload.first_piece")
    checkpoint("upload.all_pieces")
