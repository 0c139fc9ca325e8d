"""The routes of what a deployment tells about itself."""

from __future__ import annotations

from glancecore.features.discovery.api import DiscoveryApi
from glancecore.ports.http import Route

_ANYTHING = {"type": "object"}


def routes(discovery: DiscoveryApi) -> list[Route]:
    return [
        Route("GET", "/v2/info/import", discovery.import_methods, "Import methods", {200: _ANYTHING}, tag="discovery"),
        Route("GET", "/v2/info/stores", discovery.stores, "Stores", {200: _ANYTHING}, tag="discovery"),
        Route(
            "GET",
            "/v2/info/stores/detail",
            discovery.stores_detail,
            "Stores in detail",
            {200: _ANYTHING},
            tag="discovery",
        ),
        Route(
            "GET",
            "/v2/info/extensions",
            discovery.extensions,
            "Extensions that are switched on",
            {
                200: {
                    "type": "object",
                    "required": ["extensions"],
                    "properties": {
                        "extensions": {
                            "type": "array",
                            "items": {
                                "type": "object",
                                "required": ["name", "version", "title"],
                                "properties": {
                                    "name": {"type": "string"},
                                    "version": {"type": "string"},
                                    "title": {"type": "string"},
                                },
                            },
                        }
                    },
                }
            },
            tag="discovery",
        ),
        Route("GET", "/v2/info/usage", discovery.usage, "Usage and limits", {200: _ANYTHING}, tag="discovery"),
        Route("GET", "/v2/schemas/<path:name>", discovery.schema, "A schema document", {200: _ANYTHING}, tag="schemas"),
    ]
