"""The ``template`` extension: a note on each image. Replace it by your capability; the kit tells you what does not
fit."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import ClassVar

from glancecore.domain.context import Context
from glancecore.domain.image import Image
from glancecore.ports.extension import Extension, Kernel
from glancecore.ports.http import Route, Schema
from glancecore.ports.options import Section
from glancecore_ext_template.notes import EVENT, NOTES, Notes
from glancecore_ext_template.options import OPTIONS
from glancecore_ext_template.rules import RULES


class Template(Extension):
    """Keeps a note with each image."""

    plugin_api = "1.0"
    title = "Template: a note on each image"
    options = OPTIONS
    rules = RULES
    collections = (NOTES,)
    events = (EVENT.value,)
    shows: ClassVar[Mapping[str, Schema]] = {"template_note": {"type": "string", "description": "The note on it."}}

    def __init__(self, conf: Section, kernel: Kernel) -> None:
        super().__init__(conf, kernel)
        self.notes = Notes(kernel)

    def routes(self) -> Iterable[Route]:
        from glancecore_ext_template.routes import Routes  # it loads the web framework

        return Routes(self.kernel, self.notes, self.conf.longest).table()

    def present(self, ctx: Context, images: Sequence[Image]) -> Sequence[Mapping[str, object]]:
        del ctx
        return [{} if x is None else {"template_note": x} for x in self.notes.of(images)]
