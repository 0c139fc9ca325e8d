"""What the deployment offers, and the schema documents."""

from __future__ import annotations

from collections.abc import Mapping

from flask import Request, Response

from glancecore.domain import errors
from glancecore.domain.context import Context
from glancecore.features.discovery.use_cases import Discovery
from glancecore.sdk.responses import json_response


class DiscoveryApi:
    """``documents``: those of GET /v2/schemas, by name."""

    def __init__(self, discovery: Discovery, documents: Mapping[str, Mapping[str, object]]) -> None:
        self._discovery = discovery
        self._documents = documents

    def import_methods(self, _request: Request, ctx: Context) -> Response:
        ctx.authorized = True
        return json_response(
            {
                "import-methods": {
                    "description": "Import methods available.",
                    "type": "array",
                    "value": list(self._discovery.import_methods),
                }
            }
        )

    def stores(self, _request: Request, ctx: Context) -> Response:
        return json_response({"stores": self._discovery.stores(ctx)})

    def stores_detail(self, _request: Request, ctx: Context) -> Response:
        return json_response({"stores": self._discovery.stores_detail(ctx)})

    def extensions(self, _request: Request, ctx: Context) -> Response:
        return json_response({"extensions": [dict(x) for x in self._discovery.extensions(ctx)]})

    def usage(self, _request: Request, ctx: Context) -> Response:
        return json_response({"usage": self._discovery.usage(ctx)})

    def schema(self, _request: Request, ctx: Context, name: str) -> Response:
        ctx.authorized = True
        if name not in self._documents:
            raise errors.NotFound(f"no schema {name!r}; there are: {', '.join(sorted(self._documents))}")
        return json_response(dict(self._documents[name]))
