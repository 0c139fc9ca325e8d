"""The page and its files, as they were built."""

from __future__ import annotations

import mimetypes
from collections.abc import Mapping, Sequence
from pathlib import Path

from flask import Request, Response

from glancecore.domain import errors
from glancecore.domain.context import Context
from glancecore.ports.http import Route

STATIC = Path(__file__).with_name("static")
HTML = "text/html"
_FOREVER = "public, max-age=31536000, immutable"
#: Content coding -> what its files are called.
_CODED = {"br": ".br", "gzip": ".gz"}
#: What the table of this machine need not know.
_TYPES = {
    ".js": "text/javascript",
    ".css": "text/css",
    ".svg": "image/svg+xml",
    ".woff2": "font/woff2",
    ".json": "application/json",
    ".ico": "image/x-icon",
    ".png": "image/png",
    ".map": "application/json",
    ".webmanifest": "application/manifest+json",
}
NOT_BUILT = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>The console is not built</title></head>
<body><h1>The console is not built</h1>
<p>The image service runs, but the files of its console are not there.</p>
<p>In a checkout of glancecore run <code>make console</code>, then load this page again.
The wheel of glancecore-ext-console has the files in it.</p>
</body></html>
"""


class Pages:
    """``folder``: what was built. What is in it is looked up by name, so that no path leads out of it."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._seen: tuple[int, Mapping[str, Path]] = 0, {}

    def table(self) -> Sequence[Route]:
        return [
            Route("GET", "/console", self.moved, "The console's own address", {308: HTML}, public=True, tag="console"),
            Route("GET", "/console/", self.page, "The console", {200: HTML}, public=True, tag="console"),
            Route(
                "GET",
                "/console/<path:page>",
                self.page,
                "The console, at one of its pages",
                {200: HTML},
                public=True,
                tag="console",
            ),
            Route(
                "GET",
                "/console/assets/<path:name>",
                self.asset,
                "A file of the console's",
                {200: "application/octet-stream"},
                public=True,
                tag="console",
            ),
        ]

    def moved(self, request: Request, _ctx: Context) -> Response:
        return Response(
            "", 308, headers={"Location": f"{request.script_root}/console/"}, content_type=f"{HTML}; charset=UTF-8"
        )

    def page(self, request: Request, _ctx: Context, page: str = "") -> Response:
        """The one page, which shows what its own address says; or a file beside it."""
        if page != "index.html" and page in self._files():
            return self._answer(request, page, "no-cache")
        if page.startswith("assets/"):
            raise errors.NotFound("the console has no such file; load the page again")
        if "index.html" not in self._files():
            return Response(
                NOT_BUILT, 503, headers={"Cache-Control": "no-store"}, content_type=f"{HTML}; charset=UTF-8"
            )
        return self._answer(request, "index.html", "no-store")

    def asset(self, request: Request, _ctx: Context, name: str) -> Response:
        """Its name has a digest of its content."""
        if f"assets/{name}" not in self._files():
            raise errors.NotFound("the console has no such file; load the page again")
        return self._answer(request, f"assets/{name}", _FOREVER)

    def _files(self) -> Mapping[str, Path]:
        """By their paths below the folder; looked for again when there is another index."""
        index = self._folder / "index.html"
        try:
            changed = index.stat().st_mtime_ns
        except OSError:
            return {}
        if self._seen[0] != changed:
            self._seen = (
                changed,
                {x.relative_to(self._folder).as_posix(): x for x in self._folder.rglob("*") if x.is_file()},
            )
        return self._seen[1]

    def _answer(self, request: Request, name: str, cache: str) -> Response:
        files = self._files()
        coding = next(
            (x for x in _CODED if f"{name}{_CODED[x]}" in files and request.accept_encodings.quality(x) > 0), None
        )
        file = files[name if coding is None else f"{name}{_CODED[coding]}"]
        kind = _TYPES.get(Path(name).suffix) or mimetypes.guess_type(name)[0] or "application/octet-stream"
        response = Response(
            file.read_bytes(), content_type=f"{kind}; charset=UTF-8" if kind.startswith("text/") else kind
        )
        response.headers["Cache-Control"] = cache
        if any(f"{name}{x}" in files for x in _CODED.values()):
            response.headers["Vary"] = "Accept-Encoding"
        if coding is not None:
            response.headers["Content-Encoding"] = coding
        return response
