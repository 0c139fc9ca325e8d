"""What an upload becomes: the image's data, or data that is staged for a later import. All in which the two differ is
here."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import ClassVar

from glancecore.domain import errors
from glancecore.domain.events import EventType, ImageEvent
from glancecore.domain.image import Image, Location, Status
from glancecore.domain.lease import BlobRef
from glancecore.domain.quota import Limits
from glancecore.domain.staged import Digests, InspectionVerdict, Staged
from glancecore.domain.upload_session import UploadSession
from glancecore.kernel.transfer.examination import Judge
from glancecore.kernel.transfer.signatures import CERTIFICATE, SignatureCheck, Signatures
from glancecore.kernel.transfer.staged_data import StagedData
from glancecore.kernel.transfer.store_facade import StoreFacade
from glancecore.kernel.transfer.uploads import Uploads


class Aim(ABC):
    """One for all uploads of a kind. It knows nothing of who may."""

    #: The image's from the beginning to the end.
    status: ClassVar[Status]

    @abstractmethod
    def begun(self, image: Image, token: str | None) -> Image:
        """The queued image when its upload begins. Raises WrongStatus, Invalid, and what is known to be wrong with its
        signature."""

    @abstractmethod
    def target(self, store_id: str | None, size: int | None) -> StoreFacade:
        """Where data of ``size`` bytes (None: not known) goes. Raises UnknownStore, StoreUnavailable, StoreReadOnly,
        TooLarge."""

    @abstractmethod
    def blob(self, begun: Image, target: StoreFacade) -> BlobRef:
        """The blob that all bytes are to be; no other attempt has the same."""

    @abstractmethod
    def judge(self, image: Image) -> Judge:
        """Whether data can become this."""

    @abstractmethod
    def signature(self, image: Image, token: str | None) -> SignatureCheck | None:
        """What the data is held against in the end. Raises CertificatesUnavailable, NotAuthenticated: then the caller
        must ask again."""

    @abstractmethod
    def within(self, limits: Limits) -> Limits:
        """Those of ``limits`` that the end must keep to."""

    @abstractmethod
    def made(
        self, image: Image, location: Location, blob: BlobRef, digests: Digests, verdict: InspectionVerdict | None
    ) -> Image:
        """The image with the data, which was stored as ``blob``."""

    @abstractmethod
    def events_begun(self, image: Image, target: StoreFacade) -> Sequence[ImageEvent]: ...

    @abstractmethod
    def events_made(self, image: Image) -> Sequence[ImageEvent]: ...


class ToImage(Aim):
    status = Status.SAVING

    def __init__(self, uploads: Uploads, signatures: Signatures) -> None:
        self._uploads = uploads
        self._signatures = signatures

    def begun(self, image: Image, token: str | None) -> Image:
        self._uploads.signature(image, token)
        return image.begin_upload()

    def target(self, store_id: str | None, size: int | None) -> StoreFacade:
        return self._uploads.target(store_id, size)

    def blob(self, begun: Image, target: StoreFacade) -> BlobRef:
        return BlobRef(target.id, begun.blob_key, begun.owner)

    def judge(self, image: Image) -> Judge:
        return self._uploads.inspector(image)

    def signature(self, image: Image, token: str | None) -> SignatureCheck | None:
        if token is None and self._signatures.wants_token and image.properties.get(CERTIFICATE):
            raise errors.CertificatesUnavailable(
                "the certificate of the signed image can be asked for in its owner's name only: send the end of the"
                " upload again"
            )
        try:
            return self._signatures.check_of(image, token)
        except errors.NotAuthenticated as exc:
            raise errors.NotAuthenticated(f"{exc}; all bytes of the upload are there: send its end again") from exc

    def within(self, limits: Limits) -> Limits:
        return Limits(bytes=limits.bytes)

    def made(
        self, image: Image, location: Location, blob: BlobRef, digests: Digests, verdict: InspectionVerdict | None
    ) -> Image:
        del blob, verdict
        return image.finish_upload(digests, (location,))

    def events_begun(self, image: Image, target: StoreFacade) -> Sequence[ImageEvent]:
        return [ImageEvent(EventType.IMAGE_PREPARE, image, target.id)]

    def events_made(self, image: Image) -> Sequence[ImageEvent]:
        return [ImageEvent(EventType.IMAGE_UPLOAD, image), ImageEvent(EventType.IMAGE_ACTIVATE, image)]


class ToStage(Aim):
    """Signatures are the import's to check."""

    status = Status.UPLOADING

    def __init__(self, staged_data: StagedData) -> None:
        self._staged_data = staged_data

    def begun(self, image: Image, token: str | None) -> Image:
        del token
        return image.begin_stage()

    def target(self, store_id: str | None, size: int | None) -> StoreFacade:
        del store_id
        if size is not None and size > self._staged_data.cap:
            raise errors.TooLarge(f"the data has {size} bytes; image_size_cap is {self._staged_data.cap}")
        return self._staged_data.store

    def blob(self, begun: Image, target: StoreFacade) -> BlobRef:
        del target
        return self._staged_data.ref(begun.id)

    def judge(self, image: Image) -> Judge:
        return self._staged_data.inspector(image)

    def signature(self, image: Image, token: str | None) -> SignatureCheck | None:
        del image, token
        return None

    def within(self, limits: Limits) -> Limits:
        return Limits(staged_bytes=limits.staged_bytes)

    def made(
        self, image: Image, location: Location, blob: BlobRef, digests: Digests, verdict: InspectionVerdict | None
    ) -> Image:
        return image.finish_stage(Staged(blob.store, blob.key, location.url, digests, verdict))

    def events_begun(self, image: Image, target: StoreFacade) -> Sequence[ImageEvent]:
        del image, target
        return []

    def events_made(self, image: Image) -> Sequence[ImageEvent]:
        return [ImageEvent(EventType.IMAGE_UPDATE, image)]


class Aims:
    """``staged`` None: data can't be staged in this deployment."""

    def __init__(self, image: Aim, staged: Aim | None) -> None:
        self._image = image
        self._staged = staged

    def of(self, session: UploadSession) -> Aim:
        """Raises NotEnabled."""
        return self.choose(to_stage=session.to_stage)

    def choose(self, *, to_stage: bool) -> Aim:
        """Raises NotEnabled."""
        if not to_stage:
            return self._image
        if self._staged is None:
            raise errors.NotEnabled("staging: import method glance-direct is not enabled in this deployment")
        return self._staged
