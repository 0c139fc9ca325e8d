"""Metadata definitions as a capability."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from glancecore.features.images.extension import ImagesExtension
from glancecore.features.metadefs import rules, schemas
from glancecore.features.metadefs.image_properties import ImageProperties
from glancecore.features.metadefs.parts import MetadefParts
from glancecore.features.metadefs.use_cases import Metadefs
from glancecore.features.metadefs.validation import MetadefValidation
from glancecore.kernel.core import CoreExtension, CoreKernel
from glancecore.kernel.writer import Writer
from glancecore.ports.http import Route, Schema


class MetadefsExtension(CoreExtension):
    rules = rules.RULES

    def __init__(self, kernel: CoreKernel) -> None:
        super().__init__(kernel)
        repository = kernel.database.metadefs
        validation = MetadefValidation(repository)
        self.use_cases = Metadefs(repository, kernel.policy, Writer(repository, kernel.notifications), validation)
        self.parts = MetadefParts(self.use_cases, kernel.policy)
        checked = kernel.conf.metadefs.image_properties
        if checked != "off":
            kernel.of(ImagesExtension).use_cases.judge_properties(
                ImageProperties(validation, enforce=checked == "enforce").check
            )

    def routes(self) -> Iterable[Route]:
        from glancecore.features.metadefs import routes
        from glancecore.features.metadefs.api import MetadefApiSettings, MetadefsApi

        conf = self.kernel.conf
        settings = MetadefApiSettings(conf.limit_param_default, conf.api_limit_max, conf.max_json_body)
        return routes.routes(MetadefsApi(self.use_cases, settings), self.parts, conf.max_json_body)

    def schemas(self) -> Mapping[str, Schema]:
        return schemas.documents()
