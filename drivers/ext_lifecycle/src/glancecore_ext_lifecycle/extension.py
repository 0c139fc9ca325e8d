"""The ``lifecycle`` extension."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import ClassVar

from glancecore.ports.extension import CommandTree, Extension, Kernel, Subscriptions
from glancecore.ports.http import Route
from glancecore.ports.options import Section
from glancecore.ports.periodic import PeriodicJob
from glancecore_ext_lifecycle import commands
from glancecore_ext_lifecycle.applying import APPLIED, PLANS, POLICIES
from glancecore_ext_lifecycle.claims import PLANNING, PROJECTS
from glancecore_ext_lifecycle.jobs import Plan
from glancecore_ext_lifecycle.options import OPTIONS
from glancecore_ext_lifecycle.plans import PLANNED, Plans
from glancecore_ext_lifecycle.rules import RULES


class Lifecycle(Extension):
    """Policies for old images, planned first and applied then."""

    plugin_api = "1.0"
    title = "Policies for old images: planned first, applied then"
    options = OPTIONS
    rules = RULES
    collections = (POLICIES, PLANS, PROJECTS, PLANNING)
    events = (PLANNED.value, APPLIED.value)
    jobs: ClassVar[Mapping[str, type[PeriodicJob]]] = {"lifecycle_plan": Plan}
    needs: ClassVar[frozenset[str]] = frozenset({"families"})

    def __init__(self, conf: Section, kernel: Kernel) -> None:
        super().__init__(conf, kernel)
        self.plans = Plans(kernel, kernel.extension("families"), conf)

    def routes(self) -> Iterable[Route]:
        from glancecore_ext_lifecycle.routes import Routes  # it loads the web framework

        return Routes(self.kernel, self.plans).table()

    def subscribe(self, on: Subscriptions) -> None:
        on.checks_image(self.plans.check_image)

    @classmethod
    def commands(cls, manage: CommandTree) -> None:
        commands.declare(manage)
