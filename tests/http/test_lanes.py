"""Which threads a request takes: those of its route, however its path is spelled."""

from __future__ import annotations

from typing import Any
from urllib.parse import unquote

import pytest
from flask import Response

from glancecore.http.routes import Lanes
from glancecore.http.versions import VersionPaths, Versions
from glancecore.ports.http import Lane, Route


def _nothing(*_: object, **__: str) -> Response:
    return Response()


def _route(method: str, path: str, lane: Lane) -> Route:
    return Route(method, path, _nothing, "", {}, lane=lane)


ROUTES = [
    _route("GET", "/healthcheck", Lane.PROBE),
    _route("GET", "/v2/images", Lane.QUICK),
    _route("GET", "/v2/images/<image_id>/file", Lane.TRANSFER),
    _route("DELETE", "/v2/images/<image_id>", Lane.TRANSFER),
    _route("GET", "/v2/images/<image_id>/members/<path:member>", Lane.QUICK),
]
ACCEPT = "application/vnd.openstack.images-v2.3"


def routed(path: str, accept: str) -> str:
    """The path that the application looks for."""
    found: list[str] = []

    def app(environ: dict[str, Any], _start: Any) -> list[bytes]:
        found.append(environ["PATH_INFO"])
        return []

    VersionPaths(app, Versions(range(19)))({"PATH_INFO": unquote(path), "HTTP_ACCEPT": accept}, None)  # type: ignore[arg-type]
    return found[0]


@pytest.mark.parametrize(
    ("path", "accept"),
    [
        ("/v2/images/1/file", ""),
        ("/v2.3/images/1/file", ""),
        ("/v2/images/1/%66ile", ""),
        ("/%762/images/%31/f%69le", ""),
        ("/images/1/file", ACCEPT),
        ("/v2.%33/images/1/file", ""),
    ],
)
def test_every_spelling_takes_the_threads_of_its_route(path: str, accept: str) -> None:
    assert routed(path, accept) == "/v2/images/1/file"
    assert Lanes(ROUTES)("GET", path) is Lane.TRANSFER
    assert Lanes(ROUTES)("HEAD", path) is Lane.TRANSFER
    assert Lanes(ROUTES, "/image.1")("GET", "/image.1" + path) is Lane.TRANSFER


@pytest.mark.parametrize("path", ["//v2/images/1/file", "///v2.3/images/1/file", "/%2fv2/images/1/file"])
def test_any_number_of_slashes_is_the_first_one(path: str) -> None:
    """So the application takes it."""
    for below, sent in (("", path), ("/image.1", f"/image.1{path}"), ("/image.1", f"//image.1{path}")):
        assert Lanes(ROUTES, below)("GET", sent) is Lane.TRANSFER
    assert Lanes(ROUTES, "/below", ["/console/api"])("GET", f"/below//console/api{path.lstrip('/%2f')}") is Lane.QUICK
    assert Lanes(ROUTES, "/below", ["/console/api"])("GET", "/below//console/api/v2/images/1/file") is Lane.TRANSFER


@pytest.mark.parametrize(
    ("method", "path", "lane"),
    [
        ("GET", "/healthcheck", Lane.PROBE),
        ("HEAD", "/%68ealthcheck", Lane.PROBE),
        ("POST", "/healthcheck", Lane.QUICK),
        ("GET", "/v2/images/1/members/healthcheck", Lane.QUICK),
        ("GET", "/v2/images/healthcheck", Lane.QUICK),
        ("GET", "/images/healthcheck", Lane.QUICK),
        ("DELETE", "/v2.0/images/1", Lane.TRANSFER),
        ("GET", "/v2/images/1", Lane.QUICK),
        ("GET", "", Lane.QUICK),
        ("GET", "/%ff%2f%00\n", Lane.QUICK),
    ],
)
def test_nothing_but_a_route_takes_its_threads(method: str, path: str, lane: Lane) -> None:
    assert Lanes(ROUTES)(method, path) is lane


@pytest.mark.parametrize(
    ("path", "lane"),
    [
        ("/console/api/v2/images/1/file", Lane.TRANSFER),
        ("/console/api/v2/images/1", Lane.QUICK),
        ("/console/api/healthcheck", Lane.QUICK),
        ("/healthcheck", Lane.PROBE),
    ],
)
def test_who_comes_by_an_entrance_takes_no_threads_of_probes(path: str, lane: Lane) -> None:
    """To let him in asks the database, and an identity service."""
    assert Lanes(ROUTES, "/below", ["/console/api"])("GET", f"/below{path}") is lane
