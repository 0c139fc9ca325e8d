"""What a deployment tells about itself, as a capability. It stands behind all others, whose documents it shows."""

from __future__ import annotations

from collections.abc import Iterable

from glancecore.features.discovery import rules
from glancecore.features.discovery.use_cases import Discovery
from glancecore.kernel.core import CoreExtension, CoreKernel
from glancecore.ports.http import Route


class DiscoveryExtension(CoreExtension):
    rules = rules.RULES

    def __init__(self, kernel: CoreKernel) -> None:
        super().__init__(kernel)
        self.use_cases = Discovery(
            kernel.database.images,
            kernel.policy,
            kernel.quota,
            kernel.stores,
            kernel.hooks.import_methods,
            kernel.hooks.extensions,
        )

    def routes(self) -> Iterable[Route]:
        from glancecore.features.discovery import routes
        from glancecore.features.discovery.api import DiscoveryApi

        documents = {name: x for capability in self.kernel.made.values() for name, x in capability.schemas().items()}
        return routes.routes(DiscoveryApi(self.use_cases, documents))
