"""What clients may ask."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from flask import Request, Response

from glancecore.domain.context import Context
from glancecore.domain.image import Image
from glancecore.ports.http import Lane, Param, Route
from glancecore.sdk import paging, request_body
from glancecore.sdk.responses import empty, json_response
from glancecore_ext_trash.deleted import DeletedImages, stamp

_TEXT = {"type": "string"}
_NULL = {"type": ["null", "string"]}
DELETED = {
    "type": "object",
    "required": ["id", "name", "owner", "visibility", "size", "status", "deleted_at", "deleted_by", "goes_at"],
    "properties": {
        "id": _TEXT,
        "name": _NULL,
        "owner": _NULL,
        "visibility": _TEXT,
        "size": {"type": ["null", "integer"], "description": "Bytes."},
        "status": {
            "type": "string",
            "enum": ["active", "deactivated"],
            "description": "What it is again when it is restored.",
        },
        "deleted_at": {"type": "string", "description": "UTC, YYYY-MM-DDTHH:MM:SSZ."},
        "deleted_by": {"type": ["null", "object"], "description": "user and project, where it is known."},
        "goes_at": {"type": ["null", "string"], "description": "From when on it goes for good."},
    },
}
RESTORED = {"type": "object", "required": ["id", "status"], "properties": {"id": _TEXT, "status": _TEXT}}


class Routes:
    def __init__(self, deleted: DeletedImages) -> None:
        self._deleted = deleted

    def table(self) -> Sequence[Route]:
        one = "/trash/<image_id>"
        said: dict[str, Any] = {"tag": "trash"}
        return [
            Route(
                "GET",
                "/trash",
                self.list,
                "List deleted images, the last one first",
                {
                    200: {
                        "type": "object",
                        "required": ["images"],
                        "properties": {"images": {"type": "array", "items": DELETED}, "next": _TEXT},
                    }
                },
                params=(*paging.PARAMS, Param("project", "Of another project: for who may.")),
                **said,
            ),
            Route("GET", one, self.show, "Show a deleted image", {200: DELETED}, **said),
            Route(
                "POST",
                f"{one}/actions/restore",
                self.restore,
                "Have a deleted image back as it was",
                {200: RESTORED},
                **said,
            ),
            Route(
                "DELETE",
                one,
                self.purge,
                "Delete a deleted image for good, now",
                {204: None},
                lane=Lane.TRANSFER,
                **said,
            ),
        ]

    def list(self, request: Request, ctx: Context) -> Response:
        limit = paging.limit(request)
        found = self._deleted.page(ctx, request.args.get("project", ctx.project), request.args.get("marker"), limit)
        return paging.listed(request, "images", self._shown(found), found[-1].id if len(found) == limit else None)

    def show(self, _request: Request, ctx: Context, image_id: str) -> Response:
        return json_response(self._shown([self._deleted.get(ctx, image_id.lower())])[0])

    def restore(self, request: Request, ctx: Context, image_id: str) -> Response:
        request_body.forbid(request)
        image = self._deleted.restore(ctx, image_id.lower())
        return json_response({"id": image.id, "status": image.status.value})

    def purge(self, request: Request, ctx: Context, image_id: str) -> Response:
        request_body.forbid(request)
        self._deleted.purge(ctx, image_id.lower())
        return empty()

    def _shown(self, images: Sequence[Image]) -> Sequence[dict[str, object]]:
        deleters = self._deleted.deleters(images)
        return [shown(x, deleters.get(x.id), self._deleted.goes_at(x)) for x in images]


def shown(image: Image, deleter: Mapping[str, object] | None, goes_at: datetime | None) -> dict[str, object]:
    return {
        "id": image.id,
        "name": image.name,
        "owner": image.owner,
        "visibility": image.visibility.value,
        "size": image.size,
        "status": image.restore().status.value,
        "deleted_at": stamp(image.updated_at),
        "deleted_by": deleter,
        "goes_at": stamp(goes_at) if goes_at else None,
    }
