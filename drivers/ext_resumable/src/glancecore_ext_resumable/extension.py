"""The ``resumable`` extension."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import partial

from glancecore.ports.extension import Dialect, Extension
from glancecore.ports.http import Route
from glancecore_ext_resumable.rules import RULES


class Resumable(Extension):
    """``PUT …/file`` and ``PUT …/stage`` in other words, and the addresses at which they go on."""

    plugin_api = "1.0"
    title = "Resumable uploads for HTTP (IETF draft, interop version 8)"
    rules = RULES
    takes_uploads = True

    def routes(self) -> Iterable[Route]:
        from glancecore_ext_resumable.routes import Routes  # it loads the web framework

        return Routes(self.kernel).table()

    def dialects(self) -> Mapping[str, Dialect]:
        from glancecore_ext_resumable.routes import Routes

        create = Routes(self.kernel).create
        return {f"PUT /v2/images/<image_id>/{way}": partial(create, stage=way == "stage") for way in ("file", "stage")}
