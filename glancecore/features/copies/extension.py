"""The care of copies as a capability."""

from __future__ import annotations

from glancecore.features.copies.rechecking import Rechecking
from glancecore.features.copies.use_cases import Copies
from glancecore.features.images.extension import ImagesExtension
from glancecore.kernel.core import CoreExtension, CoreKernel


class CopiesExtension(CoreExtension):
    jobs = {
        "orphans": "glancecore.features.copies.jobs.orphans:Orphans",
        "auditor": "glancecore.features.copies.jobs.auditor:Auditor",
        "replicator": "glancecore.features.copies.jobs.replicator:Replicator",
        "updater": "glancecore.features.copies.jobs.updater:Updater",
    }

    def __init__(self, kernel: CoreKernel) -> None:
        super().__init__(kernel)
        self.use_cases = Copies(kernel.database.images, kernel.stores, kernel.leases, kernel.writer)
        self.rechecking = Rechecking(kernel.database, kernel.stores, self.use_cases, kernel.leases.holder)
        kernel.of(ImagesExtension).downloads.when_damaged(self.rechecking.image)
        kernel.stores.when_back(self.rechecking.store)

    def stop(self) -> None:
        self.rechecking.stop()
