"""Uploads in pieces as a capability. It has no routes: extensions speak the dialects."""

from __future__ import annotations

from glancecore.domain.lease import Operation
from glancecore.features.images.extension import ImagesExtension
from glancecore.features.uploads.aims import Aims, ToImage, ToStage
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
        chosen, data, images, records = (
            kernel.conf.uploads,
            kernel.data_settings,
            kernel.of(ImagesExtension),
            UploadRecords(kernel.database.records),
        )
        parts = UploadParts(kernel.stores, records)
        aims = Aims(
            ToImage(images.uploads, kernel.signatures),
            None if kernel.hooks.staged_data is None else ToStage(kernel.hooks.staged_data),
        )
        examinations = Examinations(images.uploads, aims)
        self._workers = Workers("upload", chosen.workers, waiting=10_000, share=max(1, chosen.workers - 1))
        finishing = UploadFinishing(
            kernel.operations, images.uploads, aims, parts, examinations, kernel.stores, kernel.quota, self._workers
        )
        self.use_cases = UploadSessions(
            kernel.operations,
            kernel.policy,
            kernel.quota,
            records,
            Receiving(parts, examinations, data.size_cap, chosen.part_size),
            finishing,
            UploadLimits(chosen.keep_for, chosen.max_per_project or None, chosen.patience, data.size_cap),
        )
        upkeep = self.use_cases.upkeep
        kernel.on.removing_upload(upkeep.deleting)
        kernel.on.abandoned(Operation.SESSION, upkeep.abandoned)
        kernel.on.every_pass(upkeep.every_pass)

    def stop(self) -> None:
        """What it makes images of is another process's then."""
        self._workers.stop()
