"""Uploads in pieces as a capability. It has no routes: extensions speak the dialects."""

from __future__ import annotations

from glancecore.domain.lease import Operation
from glancecore.features.images.extension import ImagesExtension
from glancecore.features.uploads.examinations import Examinations
from glancecore.features.uploads.finishing import UploadFinishing
from glancecore.features.uploads.limits import UploadLimits
from glancecore.features.uploads.parts import UploadParts
from glancecore.features.uploads.receiving import Receiving
from glancecore.features.uploads.records import UploadRecords
from glancecore.features.uploads.use_cases import UploadSessions
from glancecore.kernel.core import CoreExtension, CoreKernel
from glancecore.sdk.workers import Workers


class UploadsExtension(CoreExtension):
    def __init__(self, kernel: CoreKernel) -> None:
        super().__init__(kernel)
        chosen, data, images, records = kernel.conf.uploads, kernel.data_settings, kernel.of(ImagesExtension), UploadRecords(kernel.database.records)
        parts, examinations = UploadParts(kernel.stores, records), Examinations(images.uploads)
        self._workers = Workers("upload", chosen.workers, waiting=10_000)
        finishing = UploadFinishing(kernel.operations, images.uploads, parts, examinations, kernel.stores, kernel.quota, kernel.signatures, self._workers)
        self.use_cases = UploadSessions(
            kernel.operations, kernel.policy, kernel.quota, records, Receiving(parts, examinations, data.size_cap, chosen.part_size),
            finishing, UploadLimits(chosen.keep_for, chosen.max_per_project or None, chosen.patience, data.size_cap))
        kernel.on.removing_upload(self.use_cases.deleting)
        kernel.on.abandoned(Operation.SESSION, self.use_cases.abandoned)
        kernel.on.every_pass(self.use_cases.every_pass)

    def stop(self) -> None:
        """What it makes images of is another process's then."""
        self._workers.stop()
