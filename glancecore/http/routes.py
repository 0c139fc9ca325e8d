"""Which of the server's threads a request takes, by the table of routes."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from urllib.parse import unquote

from glancecore.ports.http import Lane, Route


class Lanes:
    """Which lane a request takes, from its method and path, in every spelling that reaches the route. ``below``: where
    the application is mounted; ``entrances``: what may stand before a path that moves data; who comes in by them takes
    none of the threads of probes."""

    def __init__(self, routes: Iterable[Route], below: str = "", entrances: Sequence[str] = ()) -> None:
        plain = f"/*{re.escape(below)}/*(?=/)"  # the application takes any number of slashes for the first one
        before = {
            Lane.PROBE: plain,
            Lane.TRANSFER: plain + (f"(?:{'|'.join(map(re.escape, entrances))})?" if entrances else ""),
        }
        self._apart = [
            (route.method, re.compile(before[route.lane] + _spellings(route.path)), route.lane)
            for route in routes
            if route.lane is not Lane.QUICK
        ]

    def __call__(self, method: str, path: str) -> Lane:
        methods = ("HEAD", "GET") if method == "HEAD" else (method,)
        plain = unquote(path)
        for each, pattern, lane in self._apart:
            if each in methods and pattern.fullmatch(plain) is not None:
                return lane
        return Lane.QUICK


def _spellings(path: str) -> str:
    """The version may have a minor one, or stand in Accept only (``versions.VersionPaths``)."""
    versioned, rest = path.startswith("/v2/"), re.sub(r"<[^>]*>", "[^/]+", re.sub(r"<path:[^>]*>", ".+", path))
    return r"(?:/v2(?:\.[0-9]+)?)?" + rest.removeprefix("/v2") if versioned else rest
