"""The data was staged with PUT /v2/images/{id}/stage; there is nothing to fetch."""

from __future__ import annotations

from glancecore.ports.import_method import StagedMethod


class GlanceDirect(StagedMethod):
    """Import what the user has staged. A failed store leaves it staged, so that the import can be asked for again."""

    plugin_api = "1.0"
