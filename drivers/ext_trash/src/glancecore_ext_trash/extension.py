"""The ``trash`` extension."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import timedelta
from typing import ClassVar

from glancecore.domain.context import Context
from glancecore.domain.errors import ConfigError
from glancecore.domain.image import Image
from glancecore.ports.extension import CommandTree, Extension, Kernel, Subscriptions
from glancecore.ports.http import Route, Schema
from glancecore.ports.options import Section
from glancecore_ext_trash import commands
from glancecore_ext_trash.deleted import DELETIONS, UNPROTECTED, DeletedImages, stamp
from glancecore_ext_trash.options import OPTIONS
from glancecore_ext_trash.rules import RULES


class TrashCan(Extension):
    """Deleted images can be seen and had back; what was protected is not deleted at once."""

    plugin_api = "1.0"
    title = "Deleted images, until they go for good"
    options = OPTIONS
    rules = RULES
    collections = (DELETIONS, UNPROTECTED)
    shows: ClassVar[Mapping[str, Schema]] = {
        "deletable_at": {
            "type": "string",
            "description": "From when on it can be deleted, as it was protected before: UTC, YYYY-MM-DDTHH:MM:SSZ.",
        },
    }

    def __init__(self, conf: Section, kernel: Kernel) -> None:
        super().__init__(conf, kernel)
        self.deleted = DeletedImages(kernel, timedelta(minutes=conf.cooldown_minutes))

    def start(self) -> None:
        if not self.kernel.trash.keeps:
            raise ConfigError(
                "[DEFAULT] enabled_extensions = trash: there is nothing to be had back, as deleted images go at once;"
                " set [DEFAULT] delayed_delete = true, and [DEFAULT] scrub_time to the seconds for which they stay"
            )

    def routes(self) -> Iterable[Route]:
        from glancecore_ext_trash.routes import Routes  # it loads the web framework

        return Routes(self.deleted).table()

    def subscribe(self, on: Subscriptions) -> None:
        on.checks_image(self.deleted.check_image)

    def present(self, ctx: Context, images: Sequence[Image]) -> Sequence[Mapping[str, object]]:
        """For the image's own project, and admins."""
        ends = self.deleted.deletable_at([x for x in images if ctx.admin or x.owner == ctx.project])
        return [{"deletable_at": stamp(ends[x.id])} if x.id in ends else {} for x in images]

    @classmethod
    def commands(cls, manage: CommandTree) -> None:
        commands.declare(manage)
