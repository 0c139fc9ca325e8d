"""Tasks as a capability."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from glancecore.features.images import schemas as image_schemas
from glancecore.features.images.extension import ImagesExtension
from glancecore.features.imports.extension import ImportsExtension
from glancecore.features.tasks import rules, schemas
from glancecore.features.tasks.use_cases import Tasks
from glancecore.kernel.core import CoreExtension, CoreKernel
from glancecore.ports.http import Route, Schema


class TasksExtension(CoreExtension):
    rules = rules.RULES

    def __init__(self, kernel: CoreKernel) -> None:
        super().__init__(kernel)
        self.use_cases = Tasks(kernel.database, kernel.policy)

    def routes(self) -> Iterable[Route]:
        from glancecore.features.tasks import routes
        from glancecore.features.tasks.api import TasksApi

        conf, image_body = self.kernel.conf, image_schemas.body(self.kernel.of(ImagesExtension).formats)
        imports = self.kernel.of(ImportsExtension).use_cases
        return routes.routes(
            TasksApi(
                self.use_cases, imports, image_body, conf.max_json_body, conf.limit_param_default, conf.api_limit_max
            ),
            image_body,
        )

    def schemas(self) -> Mapping[str, Schema]:
        return schemas.documents()
