"""Other ways into the service than its own paths, and headers of all answers below a path: what extensions for people
with a browser bring."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from http import HTTPMethod
from typing import TYPE_CHECKING, Any

from flask import Request

from glancecore.domain.context import Context
from glancecore.http import errors as error_answers
from glancecore.http.cross_site import CrossSite
from glancecore.http.identity import CallerIdentity
from glancecore.kernel import metrics
from glancecore.ports.site import Entrance

if TYPE_CHECKING:
    from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

LOG = logging.getLogger(__name__)
#: By which a browser would ask its user for a password.
_ASKS = "www-authenticate"
_METHODS = frozenset(HTTPMethod)
#: What pages send that have not thought of it; what they read is JSON.
_ANYTHING = (None, "", "*/*")
_JSON = "application/json"
REQUEST_ID = "x-openstack-request-id"


@dataclass(frozen=True, slots=True)
class Site:
    """What extensions bring for browsers. ``headers``: of all answers below a path."""

    entrances: Sequence[Entrance] = ()
    headers: Mapping[str, Mapping[str, str]] = field(default_factory=dict)


class Entrances:
    """WSGI middleware around what takes a version out of paths. ``own_site`` judges whether a page of this service
    sends a request."""

    def __init__(self, app: WSGIApplication, site: Site, identity: CallerIdentity, own_site: CrossSite) -> None:
        self._app = app
        self._entrances = site.entrances
        self._headers = [
            (path, [(name, value) for name, value in named.items()]) for path, named in site.headers.items()
        ]
        self._identity = identity
        self._own_site = own_site

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        path = environ["PATH_INFO"] = f"/{environ.get('PATH_INFO', '').lstrip('/')}"  # as the application reads it
        for below, headers in self._headers:
            if _is_below(path, below):
                start_response = _adding(start_response, headers)
        for entrance in self._entrances:
            if path.startswith(f"{entrance.path}/"):
                return self._enter(entrance, environ, start_response)
        return self._app(environ, start_response)

    def _enter(self, entrance: Entrance, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """No more than what the request says of its sender and its path is changed: its body and its answer are those
        of the service itself."""
        if environ.get("HTTP_ACCEPT") in _ANYTHING:
            environ["HTTP_ACCEPT"] = _JSON
        try:
            self._own_site.refuse(Request(environ))
            inside = self._identity.replaced(environ, entrance.admit(environ))
        except Exception as exc:  # noqa: BLE001 (every error becomes an answer; our own are logged there)
            return _refused(entrance, environ, start_response, exc)
        inside["SCRIPT_NAME"] = f"{environ.get('SCRIPT_NAME', '')}{entrance.path}"
        inside["PATH_INFO"] = environ["PATH_INFO"][len(entrance.path) :]
        begun: list[tuple[str, list[tuple[str, str]], Any]] = []

        def start(status: str, headers: list[tuple[str, str]], exc_info: Any = None) -> Any:
            begun[:] = [(status, [x for x in headers if x[0].lower() != _ASKS], exc_info)]
            return _no_writing

        body = self._app(inside, start)
        [(status, headers, exc_info)] = begun
        try:
            entrance.answered(environ, int(status[:3]))
        except Exception as exc:  # noqa: BLE001 (as above)
            close = getattr(body, "close", None)
            if close is not None:
                close()
            return _refused(entrance, environ, start_response, exc)
        start_response(status, headers, exc_info)
        return body


def _refused(
    entrance: Entrance, environ: WSGIEnvironment, start_response: StartResponse, exc: Exception
) -> Iterable[bytes]:
    method = environ["REQUEST_METHOD"]
    answer = error_answers.answer(exc, environ.get("HTTP_ACCEPT"))
    answer.headers[REQUEST_ID] = Context().request_id
    metrics.REQUESTS.labels(method if method in _METHODS else "other", entrance.path, answer.status_code).inc()
    return answer(environ, start_response)


def _is_below(path: str, place: str) -> bool:
    return path == place or path.startswith(f"{place}/")


def _adding(start_response: StartResponse, more: Sequence[tuple[str, str]]) -> StartResponse:
    def start(status: str, headers: list[tuple[str, str]], exc_info: Any = None) -> Any:
        there = {name.lower() for name, _ in headers}
        return start_response(status, [*headers, *(x for x in more if x[0].lower() not in there)], exc_info)

    return start


def _no_writing(_data: bytes) -> object:
    raise RuntimeError("an application of the service writes by itself")
