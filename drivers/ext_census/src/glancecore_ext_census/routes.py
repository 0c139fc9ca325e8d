"""What clients may ask."""

from __future__ import annotations

from collections.abc import Sequence

from flask import Request, Response

from glancecore.domain import errors
from glancecore.domain.context import Context
from glancecore.domain.image import Status
from glancecore.ports.extension import Kernel
from glancecore.ports.http import Lane, Route
from glancecore.sdk import request_body
from glancecore.sdk.responses import empty, json_response
from glancecore_ext_census.counting import Counting
from glancecore_ext_census.counts import Counts

COUNT = {
    "type": "object",
    "required": ["image_id", "size", "zeros", "percent"],
    "properties": {
        "image_id": {"type": "string"},
        "size": {"type": "integer", "description": "Bytes."},
        "zeros": {"type": "integer", "description": "Of them, those that are 0."},
        "percent": {"type": "integer"},
    },
}


class Routes:
    def __init__(self, kernel: Kernel, counts: Counts, counting: Counting) -> None:
        self._kernel = kernel
        self._counts = counts
        self._counting = counting

    def table(self) -> Sequence[Route]:
        path = "/census/<image_id>"
        return [
            Route("GET", path, self.show, "How much of an image is zeros", {200: COUNT}, tag="census"),
            Route(
                "POST",
                path,
                self.count,
                "Count how much of an image is zeros",
                {202: None},
                tag="census",
                lane=Lane.TRANSFER,
            ),
        ]

    def show(self, _request: Request, ctx: Context, image_id: str) -> Response:
        image = self._kernel.images.show(ctx, image_id)
        self._kernel.policy.authorize(ctx, "census_show", image)
        count = self._counts.of(image)
        if count is None:
            raise errors.RecordNotFound(f"image {image_id} was not counted; POST /census/{image_id} counts it")
        return json_response(count.shown())

    def count(self, request: Request, ctx: Context, image_id: str) -> Response:
        image = self._kernel.images.show(ctx, image_id)
        self._kernel.policy.authorize(ctx, "census_count", image)
        request_body.forbid(request)
        image.require(Status.ACTIVE)
        self._counting.begin(image, ctx.initiator)
        return empty(202)
