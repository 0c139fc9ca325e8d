"""The route of how an image is used."""

from __future__ import annotations

from glancecore.features.images.routes import ONE
from glancecore.features.uses.api import UsesApi
from glancecore.ports.http import Route

_TIME = {"type": ["string", "null"], "format": "date-time"}
ANSWER = {
    "type": "object",
    "required": ["use_count", "last_used_at", "counted_since"],
    "properties": {
        "use_count": {
            "type": "integer",
            "description": "Requests that have read its data or its locations, or were sent to the backend for it.",
        },
        "last_used_at": {**_TIME, "description": "The last of them."},
        "counted_since": {**_TIME, "description": "When counting began in this deployment."},
    },
}


def routes(uses: UsesApi) -> list[Route]:
    return [Route("GET", f"{ONE}/use", uses.show, "How often an image is used, and when it was last", {200: ANSWER})]
