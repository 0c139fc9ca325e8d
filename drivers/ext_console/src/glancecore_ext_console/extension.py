"""The ``console`` extension."""

from __future__ import annotations

from glancecore.ports.extension import Extension
from glancecore_ext_console.rules import RULES


class Console(Extension):
    """Pages for a browser, sessions for people, and an entrance into the API for both."""

    plugin_api = "1.0"
    title = "A console in the browser"
    rules = RULES
