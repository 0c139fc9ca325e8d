"""Limits of projects as a capability."""

from __future__ import annotations

from collections.abc import Iterable

from glancecore.features.quotas import rules
from glancecore.features.quotas.use_cases import Quotas
from glancecore.kernel.core import CoreExtension, CoreKernel
from glancecore.ports.http import Route


class QuotasExtension(CoreExtension):
    rules = rules.RULES

    def __init__(self, kernel: CoreKernel) -> None:
        super().__init__(kernel)
        self.use_cases = Quotas(kernel.quota, kernel.database.images, kernel.policy)

    def routes(self) -> Iterable[Route]:
        from glancecore.features.quotas import routes
        from glancecore.features.quotas.api import QuotasApi

        conf = self.kernel.conf
        return routes.routes(
            QuotasApi(self.use_cases, conf.max_json_body, conf.limit_param_default, conf.api_limit_max)
        )
