"""What a route is; the table itself is made in ``app.py``. OpenAPI is generated from it."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote

from flask import Request, Response

from glancecore.domain.context import Context
from glancecore.ports.http import Lane

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
    schema (None: no body; a str: media type of raw data). ``lane``: which of the server's threads it takes.
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
    lane: Lane = Lane.QUICK

    def __call__(self, request: Request, ctx: Context, **values: str) -> Response:
        return self.handler(request, ctx, **values)


class Lanes:
    """Which lane a request takes, from its method and path, in every spelling that reaches the route. ``below``: where the application is
    mounted."""

    def __init__(self, routes: Iterable[Route], below: str = "") -> None:
        self._apart = [(route.method, re.compile(re.escape(below) + _spellings(route.path)), route.lane) for route in routes if route.lane is not Lane.QUICK]

    def __call__(self, method: str, path: str) -> Lane:
        if method == "HEAD":
            method = "GET"
        plain = unquote(path)
        for each, pattern, lane in self._apart:
            if each == method and pattern.fullmatch(plain) is not None:
                return lane
        return Lane.QUICK


def _spellings(path: str) -> str:
    """The version may have a minor one, or stand in Accept only (``versions.VersionPaths``)."""
    versioned, rest = path.startswith("/v2/"), re.sub(r"<[^>]*>", "[^/]+", path)
    return r"(?:/v2(?:\.[0-9]+)?)?" + rest.removeprefix("/v2") if versioned else rest
