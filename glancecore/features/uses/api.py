"""How an image is used, as its owner sees it."""

from __future__ import annotations

from flask import Request, Response

from glancecore.domain.context import Context
from glancecore.features.images.api import stamp
from glancecore.features.uses.use_cases import ImageUses
from glancecore.sdk.responses import json_response


class UsesApi:
    def __init__(self, uses: ImageUses) -> None:
        self._uses = uses

    def show(self, _request: Request, ctx: Context, image_id: str) -> Response:
        use, since = self._uses.show(ctx, image_id)
        return json_response(
            {
                "use_count": use.count,
                "last_used_at": stamp(use.last_at) if use.last_at else None,
                "counted_since": stamp(since) if since else None,
            }
        )
