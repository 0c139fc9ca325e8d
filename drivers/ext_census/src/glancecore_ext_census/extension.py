"""The ``census`` extension."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import timedelta
from typing import ClassVar

from glancecore.domain.context import Context
from glancecore.domain.image import Image
from glancecore.ports.extension import Background, CommandTree, Extension, Kernel, Subscriptions
from glancecore.ports.http import Route, Schema
from glancecore.ports.options import Section
from glancecore.ports.periodic import PeriodicJob
from glancecore_ext_census import commands
from glancecore_ext_census.counting import EVENT, OPERATION, Counting
from glancecore_ext_census.counts import COUNTS, Counts
from glancecore_ext_census.jobs import Forget
from glancecore_ext_census.options import OPTIONS
from glancecore_ext_census.rules import RULES


class Census(Extension):
    """Counts how much of an image is zeros."""

    plugin_api = "1.0"
    title = "How much of each image is zeros"
    options = OPTIONS
    rules = RULES
    collections = (COUNTS,)
    operations = (OPERATION,)
    events = (EVENT.value,)
    jobs: ClassVar[Mapping[str, type[PeriodicJob]]] = {"census_forget": Forget}
    shows: ClassVar[Mapping[str, Schema]] = {
        "census_zeros": {"type": "integer", "description": "How much of the data is zeros, in percent."}
    }

    def __init__(self, conf: Section, kernel: Kernel) -> None:
        super().__init__(conf, kernel)
        self.counts = Counts(kernel.records)
        self.counting = Counting(kernel, self.counts, conf.at_once, timedelta(days=conf.keep_days))

    def routes(self) -> Iterable[Route]:
        from glancecore_ext_census.routes import Routes  # it loads the web framework

        return Routes(self.kernel, self.counts, self.counting).table()

    def background(self) -> Iterable[Background]:
        return [self.counting.workers]

    def subscribe(self, on: Subscriptions) -> None:
        on.abandoned(OPERATION, self.counting.resume)

    def present(self, ctx: Context, images: Sequence[Image]) -> Sequence[Mapping[str, object]]:
        return [
            {} if x is None or not self.kernel.policy.allows(ctx, "census_show", image) else {"census_zeros": x.percent}
            for image, x in zip(images, self.counts.of_all(images), strict=True)
        ]

    @classmethod
    def commands(cls, manage: CommandTree) -> None:
        commands.declare(manage)
