"""Which API versions are spoken, and finding the version in a path."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import TYPE_CHECKING

import orjson
from flask import Request, Response

from glancecore.domain.context import Context

if TYPE_CHECKING:
    from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

_PREFIX = re.compile(r"/v([0-9]+)(?:\.([0-9]+))?(/.*)?", re.DOTALL)
#: Minor versions of v2 that each deployment has.
_ALWAYS = (*range(14), 15, 17)
_ACCEPT = re.compile(r"application/vnd\.openstack\.images-v2(?:\.([0-9]+))?(?![\w.])")


class Versions:
    """``more``: minor versions of v2 that are there because of what the deployment has switched on; what it has not it
    does not claim."""

    def __init__(self, more: Iterable[int] = ()) -> None:
        self._minors = sorted({*_ALWAYS, *more}, reverse=True)
        self._current = max(self._minors)
        self._spoken = frozenset(map(str, self._minors))

    def speaks(self, minor: str | None) -> bool:
        return minor is None or minor in self._spoken

    def list(self, request: Request, _ctx: Context) -> Response:
        """GET /versions."""
        return self._answer(200, request.root_url)

    def choices(self, request: Request, _ctx: Context) -> Response:
        """GET / and paths of versions that are not spoken: 300."""
        return self._answer(300, request.root_url)

    def _answer(self, status: int, root: str) -> Response:
        href = f"{root}v2/"
        rows = [
            {
                "id": f"v2.{minor}",
                "status": "CURRENT" if minor == self._current else "SUPPORTED",
                "links": [{"rel": "self", "href": href}],
            }
            for minor in self._minors
        ]
        return Response(orjson.dumps({"versions": rows}), status, content_type="application/json")


class VersionPaths:
    """WSGI middleware: ``/v2.N/…`` and unprefixed paths with the version in Accept reach the same code as ``/v2/…``."""

    def __init__(self, app: WSGIApplication, versions: Versions) -> None:
        self._app = app
        self._versions = versions

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        path: str = environ.get("PATH_INFO", "")
        if not path.startswith("/v2/"):
            environ["PATH_INFO"] = self._found(path, environ.get("HTTP_ACCEPT", ""))
        return self._app(environ, start_response)

    def _found(self, path: str, accept: str) -> str:
        prefix = _PREFIX.fullmatch(path)
        if prefix:
            major, minor, rest = prefix.groups()
            return f"/v2{rest}" if major == "2" and rest and self._versions.speaks(minor) else "/"
        wanted = _ACCEPT.search(accept)
        if wanted and self._versions.speaks(wanted[1]) and path not in ("", "/", "/versions"):
            return f"/v2{path}"
        return path
