"""The service as extensions see it: what stands behind ``glancecore.ports.extension.Kernel``."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from glancecore.assembly.overview import ServiceOverview
from glancecore.assembly.upkeep import ServiceUpkeep
from glancecore.domain import errors
from glancecore.domain.clock import now
from glancecore.domain.image import Image, Location
from glancecore.features.images.extension import ImagesExtension
from glancecore.features.images.trash import Trash
from glancecore.features.images.use_cases import Images
from glancecore.features.uploads.extension import UploadsExtension
from glancecore.features.uploads.use_cases import UploadSessions
from glancecore.features.uses.extension import UsesExtension
from glancecore.features.uses.use_cases import ImageUses
from glancecore.http.identity import CallerIdentity
from glancecore.kernel.core import CoreKernel
from glancecore.kernel.operations import Operations
from glancecore.kernel.transfer.downloads import Download
from glancecore.kernel.transfer.stores import Stores
from glancecore.kernel.writer import Writer
from glancecore.policies.authorizer import Authorizer
from glancecore.ports.extension import Extension
from glancecore.ports.record_repository import RecordRepository
from glancecore.ports.repository import ImageRepository


class KernelData:
    """See ``glancecore.ports.extension.Data``."""

    def __init__(self, stores: Stores) -> None:
        self._stores = stores

    def readable(self, image: Image, prefer: Sequence[str] = ()) -> list[Location]:
        return self._stores.readable(image, prefer)

    def open(self, image: Image, offset: int = 0, length: int | None = None) -> Iterator[bytes]:
        if not image.good_locations:
            raise errors.DataDamaged(f"the data of image {image.id} can't be read: there is no good copy")
        download = Download(image, self._stores.readable(image), self._stores)
        return download.open(offset, download.size - offset if length is None else length)


@dataclass(slots=True)
class ServiceKernel:
    """See ``glancecore.ports.extension.Kernel``."""

    images: Images
    rows: ImageRepository
    data: KernelData
    policy: Authorizer
    records: RecordRepository
    writer: Writer
    operations: Operations
    uploads: UploadSessions
    trash: Trash
    uses: ImageUses
    identity: CallerIdentity
    overview: ServiceOverview
    upkeep: ServiceUpkeep
    made: dict[str, Extension] = field(default_factory=dict)

    @property
    def extensions(self) -> Sequence[str]:
        return list(self.made)

    def clock(self) -> datetime:
        return now()

    def extension(self, name: str) -> Any:
        return self.made[name]


def make_extension_kernel(core: CoreKernel, identity: CallerIdentity) -> ServiceKernel:
    """The service as extensions see it."""
    return ServiceKernel(
        core.of(ImagesExtension).use_cases,
        core.database.images,
        KernelData(core.stores),
        core.policy,
        core.database.records,
        core.writer,
        core.operations,
        core.of(UploadsExtension).use_cases,
        core.of(ImagesExtension).trash,
        core.of(UsesExtension).use_cases,
        identity,
        ServiceOverview(core),
        ServiceUpkeep(core),
    )
