"""The ``parts`` extension."""

from __future__ import annotations

from collections.abc import Iterable

from glancecore.ports.extension import Extension
from glancecore.ports.http import Route
from glancecore_ext_parts.rules import RULES


class Parts(Extension):
    """Each part is a partial session of the image's upload, which its note gives a number."""

    plugin_api = "1.0"
    title = "Uploads in numbered parts, several at once"
    rules = RULES
    takes_uploads = True

    def routes(self) -> Iterable[Route]:
        from glancecore_ext_parts.routes import Routes  # it loads the web framework

        return Routes(self.kernel).table()
