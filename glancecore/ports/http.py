"""Routes as data. The application, OpenAPI and the server's threads are made from the table of them; nothing here loads
a web framework."""

from __future__ import annotations

import enum
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from glancecore.domain.context import Context

if TYPE_CHECKING:
    from flask import Request, Response

Handler = Callable[..., "Response"]
#: A JSON schema.
Schema = Mapping[str, Any]


class Lane(enum.StrEnum):
    """The threads that a request gets. Those of one lane can't take those of another."""

    #: Health, readiness, metrics.
    PROBE = "probe"
    #: Metadata: ends in milliseconds.
    QUICK = "quick"
    #: Moves image data, or waits for a store or a name server.
    TRANSFER = "transfer"


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

    ``public``: no identity is needed. ``own_site``: a browser brings what counts there by itself, so no page of another
    site may ask it. ``body``: schema of a JSON body, or a media type for raw data. ``answers``: status to schema (None:
    no body; a str: media type of raw data). ``lane``: which of the server's threads it takes."""

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
    lane: Lane = Lane.QUICK
    own_site: bool = False

    def __call__(self, request: Request, ctx: Context, **values: str) -> Response:
        return self.handler(request, ctx, **values)
