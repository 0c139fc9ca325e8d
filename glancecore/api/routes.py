"""What a route is; the table itself is made in ``app.py``. OpenAPI is generated from it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from flask import Request, Response

from glancecore.domain.context import Context

Handler = Callable[..., Response]
Schema = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Param:
    """A query or header parameter, for the OpenAPI document."""

    name: str
    description: str
    where: str = "query"
    schema: Schema = field(default_factory=lambda: {"type": "string"})
    repeated: bool = False


@dataclass(frozen=True, slots=True)
class Route:
    """``path`` in Flask's form. The handler gets (request, ctx, **path values).

    ``public``: no identity is needed. ``body``: schema of a JSON body, or a media type for raw data. ``answers``: status to
    schema (None: no body; a str: media type of raw data).
    """

    method: str
    path: str
    handler: Handler
    summary: str
    answers: Mapping[int, Schema | str | None]
    body: Schema | str | None = None
    body_types: Sequence[str] = ("application/json",)
    params: Sequence[Param] = ()
    public: bool = False
    tag: str = "images"

    def __call__(self, request: Request, ctx: Context, **values: str) -> Response:
        return self.handler(request, ctx, **values)
