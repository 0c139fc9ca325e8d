"""Members as a capability."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from glancecore.features.images.options import bound
from glancecore.features.members import rules, schemas
from glancecore.features.members.use_cases import Members
from glancecore.kernel.core import CoreExtension, CoreKernel
from glancecore.ports.http import Route, Schema


class MembersExtension(CoreExtension):
    rules = rules.RULES

    def __init__(self, kernel: CoreKernel) -> None:
        super().__init__(kernel)
        self.use_cases = Members(
            kernel.database.images, kernel.policy, bound(kernel.conf.image_member_quota), kernel.writer
        )

    def routes(self) -> Iterable[Route]:
        from glancecore.features.members import routes
        from glancecore.features.members.api import MembersApi

        return routes.routes(MembersApi(self.use_cases, self.kernel.conf.max_json_body))

    def schemas(self) -> Mapping[str, Schema]:
        return schemas.documents()
