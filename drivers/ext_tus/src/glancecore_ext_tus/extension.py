"""The ``tus`` extension."""

from __future__ import annotations

from collections.abc import Iterable

from glancecore.ports.extension import Extension
from glancecore.ports.http import Route
from glancecore_ext_tus.rules import RULES


class Tus(Extension):
    """Another dialect of the core's uploads in pieces: it keeps nothing of its own."""

    plugin_api = "1.0"
    title = "Uploads in pieces, by tus 1.0.0"
    rules = RULES
    takes_uploads = True

    def routes(self) -> Iterable[Route]:
        from glancecore_ext_tus.routes import Routes  # it loads the web framework

        return Routes(self.kernel).table()
