"""Uses of images as a capability."""

from __future__ import annotations

from collections.abc import Iterable

from glancecore.domain import errors
from glancecore.features.images.extension import ImagesExtension
from glancecore.features.uses import rules
from glancecore.features.uses.counting import LOG, UseCounter, UseRows
from glancecore.features.uses.use_cases import ImageUses
from glancecore.kernel.core import CoreExtension, CoreKernel
from glancecore.ports.http import Route


class UsesExtension(CoreExtension):
    rules = rules.RULES

    def __init__(self, kernel: CoreKernel) -> None:
        super().__init__(kernel)
        images, rows = kernel.of(ImagesExtension), UseRows(kernel.database)
        self.use_cases = ImageUses(rows, images.use_cases, kernel.policy)
        self.counter = UseCounter(rows)
        images.downloads.when_used(self.counter.count)
        images.locations.when_read = self.counter.count
        kernel.on.every_pass(self.counter.write_in_time)

    def routes(self) -> Iterable[Route]:
        from glancecore.features.uses import routes
        from glancecore.features.uses.api import UsesApi

        return routes.routes(UsesApi(self.use_cases))

    def stop(self) -> None:
        """A process that ends in order loses nothing."""
        try:
            self.counter.write()
        except errors.DatabaseUnavailable as exc:
            LOG.warning("the last uses of images are not counted: %s", exc)
