"""The Flask application: the route table, and what happens around every request, in this order.

request id → where from → identity → path and query → handler (which asks for permission) → errors → conditional answers
→ metrics."""

from __future__ import annotations

import hashlib
import logging
import os
import re
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from http import HTTPMethod

from flask import Flask, Request, Response, request
from oslo_context import context as log_context
from werkzeug import exceptions as http_errors
from werkzeug.exceptions import HTTPException
from werkzeug.http import parse_etags
from werkzeug.routing import Rule

from glancecore.domain import errors, text
from glancecore.domain.context import Context
from glancecore.http import arguments
from glancecore.http import errors as error_answers
from glancecore.http.cross_site import CrossSite
from glancecore.http.entrances import REQUEST_ID, Entrances, Site
from glancecore.http.identity import CallerIdentity
from glancecore.http.openapi import document
from glancecore.http.operator import OperatorApi
from glancecore.http.routes import Lanes
from glancecore.http.traced import routed
from glancecore.http.versions import VersionPaths, Versions
from glancecore.kernel import metrics
from glancecore.kernel.notifications import INITIATOR
from glancecore.policies.authorizer import Authorizer
from glancecore.ports.auth import Auth
from glancecore.ports.http import Route
from glancecore.sdk import tracing

LOG = logging.getLogger(__name__)
_METHODS = frozenset(HTTPMethod)
_SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
#: Characters of a request's method and path that events keep.
_LONGEST_REQUEST = 512
_IMAGE = "/v2/images/<path:image_id>"
#: Where the application keeps its ``Lanes``, in Flask's ``extensions``.
LANES = "glancecore.lanes"
_UUID = re.compile(r"[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}")
_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]+")


@dataclass(frozen=True, slots=True)
class AppSettings:
    """``cross_site`` None: browsers don't bring anybody's rights by themselves. ``resolve``: the id of the image that
    is meant by what is no id; None: nobody knows such references. ``own_site``: lets in no other site. ``site``: what
    extensions bring for browsers."""

    max_request_id: int = 64
    allow_anonymous: bool = False
    cross_site: CrossSite | None = None
    resolve: Callable[[Context, str], str | None] | None = None
    own_site: CrossSite = field(default_factory=CrossSite)
    site: Site = field(default_factory=Site)


class OneWayRule(Rule):
    """A rule that no URL is made of, as links have a place of their own: what would make one is most of what a rule
    costs at the start."""

    def _compile_builder(self, append_unknown: bool = True) -> Callable[..., tuple[str, str]]:  # noqa: ARG002
        def make(*_args: object, **_values: object) -> tuple[str, str]:
            raise TypeError(f"no URL is made of {self.rule}")

        return make


class Gate:
    """Runs one route: everything that every request has in common."""

    def __init__(self, auth: Auth, authorizer: Authorizer, settings: AppSettings) -> None:
        self._auth = auth
        self._authorizer = authorizer
        self._settings = settings

    def view(self, route: Route) -> Callable[..., Response]:
        template = route.path.replace("<", "{").replace(">", "}").replace("path:", "")
        count = metrics.REQUESTS
        seconds = metrics.REQUEST_SECONDS  # a route that nobody asks for has no lines

        def run(**values: str) -> Response:
            start = time.perf_counter()
            routed(request.environ, route.method, template)
            ctx = Context(request_id=self._request_id(request))
            if (fault := self._wrong_id(ctx.request_id)) is not None:
                ctx.request_id = Context().request_id
            told = log_context.RequestContext(request_id=ctx.request_id, overwrite=True)
            try:
                if fault is not None:
                    raise fault
                if self._settings.cross_site is not None:
                    self._settings.cross_site.refuse_name(request)
                    if request.method not in _SAFE:
                        self._settings.cross_site.refuse(request)
                if route.own_site:
                    self._settings.own_site.refuse(request)
                if not route.public:
                    ctx = self._identified(request, ctx.request_id)
                    told.user_id, told.project_id = ctx.user, ctx.project
                    if (transfer := request.environ.get("glancecore.transfer")) is not None:
                        transfer.claim(ctx.project or ctx.user or "")
                INITIATOR.set(ctx.initiator)
                arguments.check(request, values)
                if "image_id" in values:
                    values["image_id"] = self._image_id(ctx, values["image_id"])
                with tracing.span(route.summary, attributes=_of(ctx, values) if tracing.on() else None):
                    response = route(request, ctx, **values)
                if not route.public and not ctx.authorized and response.status_code < 300:
                    raise RuntimeError(f"{route.method} {route.path} answered without asking for permission")
            except Exception as exc:  # noqa: BLE001 (every error becomes an answer; our own are logged there)
                response = self.failed(exc)
            self.finished(response, ctx.request_id)
            count.labels(route.method, template, response.status_code).inc()
            seconds.labels(route.method, template).observe(time.perf_counter() - start)
            return response

        return run

    def failed(self, exc: Exception) -> Response:
        response = error_answers.answer(exc, request.headers.get("Accept"))
        if response.status_code == 401 and self._auth.challenge is not None:
            response.headers["WWW-Authenticate"] = self._auth.challenge
        return response

    def finished(self, response: Response, request_id: str) -> None:
        response.headers[REQUEST_ID] = request_id
        if response.status_code == 200 and response.content_type == "application/json" and request.method in _SAFE:
            _conditional(request, response)

    def _identified(self, req: Request, request_id: str) -> Context:
        try:
            ctx = self._auth.identify(req.environ)
        except errors.NotAuthenticated:
            if not self._settings.allow_anonymous or any(name in req.headers for name in self._auth.credentials):
                raise
            ctx = Context(roles=frozenset({"reader", "member"}), anonymous=True)
        ctx.request_id, ctx.address, ctx.request = (
            request_id,
            req.remote_addr,
            f"{req.method} {req.path}"[:_LONGEST_REQUEST],
        )
        if ctx.anonymous and req.method not in _SAFE:
            raise errors.Forbidden("without credentials images can be read only")
        return self._authorizer.identify(ctx)

    def _image_id(self, ctx: Context, given: str) -> str:
        """A UUID in another case is the same one. Only what reads may name an image otherwise: nothing is changed that
        somebody did not mean."""
        if self._settings.resolve is None or _UUID.fullmatch(given) is not None:
            return given.lower()
        if request.method in _SAFE:
            return self._settings.resolve(ctx, given) or given
        raise errors.ImageNotFound(f"no image {text.shortened(given)}: what changes an image names it by its id")

    def _wrong_id(self, request_id: str) -> errors.GlanceError | None:
        """What is wrong with a request id: it stands in every line of the log."""
        most = self._settings.max_request_id
        if len(request_id) > most:
            return errors.HeaderTooLarge(f"X-OpenStack-Request-Id: at most {most} characters")
        if not _REQUEST_ID.fullmatch(request_id):
            return errors.Invalid("X-OpenStack-Request-Id: letters, digits, dots, hyphens and underscores only")
        return None

    def _request_id(self, req: Request) -> str:
        given = req.headers.get(REQUEST_ID)
        if not given:
            return Context().request_id
        return given if given.startswith("req-") else f"req-{given}"


def _of(ctx: Context, values: Mapping[str, str]) -> dict[str, str]:
    """What a span tells of a use case. Where no id stands, a name may."""
    found = {"glance.project.id": ctx.project} if ctx.project else {}
    image_id = values.get("image_id", "")
    return {**found, "glance.image.id": image_id} if _UUID.fullmatch(image_id) else found


def _conditional(req: Request, response: Response) -> None:
    """An ETag made of the answer itself, and 304 for a client that has it."""
    etag = hashlib.blake2b(response.get_data(), digest_size=16).hexdigest()
    response.set_etag(etag, weak=True)
    known = req.headers.get("If-None-Match")
    if known and parse_etags(known).contains_weak(etag):
        response.status_code = 304
        response.set_data(b"")
        response.headers.pop("Content-Type", None)
        response.headers.pop("Content-Length", None)


def create_app(
    routes: Sequence[Route],
    operator: OperatorApi,
    versions: Versions,
    identity: CallerIdentity,
    authorizer: Authorizer,
    settings: AppSettings,
) -> Flask:
    """The WSGI application, with the auth plugin's middleware around it, and around that the entrances of
    extensions."""
    app = Flask("glancecore", static_folder=None)
    app.url_rule_class = OneWayRule
    app.url_map.strict_slashes = True
    app.url_map.merge_slashes = False
    app.url_map.redirect_defaults = False
    gate = Gate(identity.auth, authorizer, settings)
    public = [
        Route(
            "GET", "/", versions.choices, "List API versions", {300: {"type": "object"}}, public=True, tag="versions"
        ),
        Route(
            "GET",
            "/versions",
            versions.list,
            "List API versions",
            {200: {"type": "object"}},
            public=True,
            tag="versions",
        ),
        *operator.routes(),
    ]
    table = [*public, *routes]
    schema = document(table)
    table.append(
        Route(
            "GET",
            "/openapi.json",
            operator.json(schema),
            "This API as an OpenAPI document",
            {200: {"type": "object"}},
            public=True,
            tag="versions",
        )
    )
    spelt: list[Route] = []
    for route in table:
        view = gate.view(route)
        for each in [route] if settings.resolve is None else [route, *_by_reference(route)]:
            spelt.append(each)
            app.add_url_rule(
                each.path,
                endpoint=f"{each.method} {each.path}",
                view_func=view,
                methods=[each.method],
                provide_automatic_options=False,
                strict_slashes=True,
            )
    for path in {route.path for route in spelt} - {route.path for route in spelt if route.method == "OPTIONS"}:
        methods = sorted({x.method for x in spelt if x.path == path} | {"OPTIONS"})
        app.add_url_rule(path, endpoint=f"OPTIONS {path}", view_func=_options(methods), methods=["OPTIONS"])

    def outside(exc: Exception) -> Response:
        """What no route has taken: unknown paths and methods, malformed requests."""
        if isinstance(exc, HTTPException) and request.method not in _METHODS:
            exc = http_errors.NotImplemented(f"method {request.method} is not known")
        request_id = Context().request_id
        log_context.RequestContext(request_id=request_id, overwrite=True)
        response = gate.failed(exc)
        response.headers[REQUEST_ID] = request_id
        return response

    app.register_error_handler(Exception, outside)
    app.extensions[LANES] = Lanes(spelt, os.environ.get("SCRIPT_NAME", ""), [x.path for x in settings.site.entrances])
    versioned = VersionPaths(identity.wrap(app.wsgi_app), versions)
    site = settings.site
    entered = Entrances(versioned, site, identity, settings.own_site) if site.entrances or site.headers else versioned
    app.wsgi_app = entered  # type: ignore[method-assign]
    return app


def _by_reference(route: Route) -> list[Route]:
    """The same route for references with slashes, where it is one of an image: it is described and counted once."""
    path = route.path.replace("<image_id>", "<path:image_id>")
    reads = route.method == "GET" and path.count("<") == 1
    return [replace(route, path=path)] if path.startswith(_IMAGE) and (reads or path == _IMAGE) else []


def _options(methods: Sequence[str]) -> Callable[..., Response]:
    def run(**_values: str) -> Response:
        return Response(status=200, headers={"Allow": ", ".join(methods)})

    return run
