"""What the page asks of its session: who it is, log in, log out, another project, and what he may do."""

from __future__ import annotations

import functools
import importlib.metadata
from collections.abc import Callable, Mapping, Sequence
from http import HTTPStatus
from typing import Any

from flask import Request, Response

from glancecore.domain import errors
from glancecore.domain.context import Context
from glancecore.ports.extension import Kernel
from glancecore.ports.http import Lane, Param, Route
from glancecore.sdk import request_body
from glancecore.sdk.responses import empty, json_response
from glancecore_ext_console import bodies, cookies
from glancecore_ext_console.entrance import PATH, Visitors
from glancecore_ext_console.sessions import Session, Sessions
from glancecore_ext_console.ways import Way

SESSION = "/console/session"
#: Where pieces of an image go, by tus.
UPLOADS = "/v2/images/{image_id}/uploads"
_NAMED = {
    "type": "object",
    "required": ["id", "name"],
    "properties": {"id": {"type": "string"}, "name": {"type": "string"}},
}
_FIELD = {
    "type": "object",
    "required": ["name", "label", "secret", "required", "value"],
    "properties": {
        "name": {"type": "string"},
        "label": {"type": "string"},
        "secret": {"type": "boolean"},
        "required": {"type": "boolean"},
        "value": {"type": "string"},
    },
}
SHOWN = {
    "type": "object",
    "required": [
        "authenticated",
        "methods",
        "user",
        "project",
        "roles",
        "is_admin",
        "projects",
        "csrf",
        "expires_at",
        "service",
        "locale",
    ],
    "properties": {
        "authenticated": {"type": "boolean"},
        "methods": {
            "type": "array",
            "description": "Ways to log in.",
            "items": {
                "type": "object",
                "required": ["name", "label", "fields"],
                "properties": {
                    "name": {"type": "string"},
                    "label": {"type": "string"},
                    "fields": {"type": "array", "items": _FIELD},
                    "url": {"type": "string", "description": "Of websso: where the browser goes."},
                },
            },
        },
        "user": {"anyOf": [_NAMED, {"type": "null"}]},
        "project": {"anyOf": [_NAMED, {"type": "null"}]},
        "roles": {"type": "array", "items": {"type": "string"}},
        "is_admin": {"type": "boolean"},
        "projects": {"type": "array", "items": _NAMED, "description": "That he may change to."},
        "csrf": {"type": ["string", "null"], "description": "X-CSRF-Token of requests that change something."},
        "expires_at": {"type": ["string", "null"], "description": "When it ends if nothing more is asked."},
        "service": {
            "type": "object",
            "required": ["version", "extensions", "upload"],
            "properties": {
                "version": {"type": "string"},
                "extensions": {"type": "array", "items": {"type": "string"}},
                "upload": {
                    "type": "object",
                    "required": ["tus", "chunk"],
                    "properties": {
                        "tus": {
                            "type": ["string", "null"],
                            "description": "Where uploads of an image are made; null: not in pieces.",
                        },
                        "chunk": {"type": "integer"},
                    },
                },
            },
        },
        "locale": {"type": "string"},
    },
}
_TEXT = {"type": "string", "maxLength": 4096}
LOGIN = {
    "type": "object",
    "required": ["method"],
    "additionalProperties": False,
    "properties": {
        "method": {"type": "string", "enum": ["none", "basic", "password", "application_credential", "proxy"]},
        **dict.fromkeys(
            (
                "username",
                "password",
                "user_domain",
                "project",
                "project_domain",
                "application_credential_id",
                "application_credential_secret",
            ),
            _TEXT,
        ),
    },
}
_LOGIN = request_body.Checker(LOGIN)
_CSRF = Param("X-CSRF-Token", "The csrf of the session.", "header")
_BODY = 32_000

_Handler = Callable[..., Response]


@functools.cache
def _version() -> str:
    return importlib.metadata.version("glancecore")


def for_page(handler: _Handler) -> _Handler:
    """Answers are JSON, and no browser asks its user for a password."""

    @functools.wraps(handler)
    def run(self: Any, request: Request, ctx: Context, **values: str) -> Response:
        request.environ["HTTP_ACCEPT"] = "application/json"
        try:
            return handler(self, request, ctx, **values)
        except errors.NotAuthenticated as exc:
            title = HTTPStatus.UNAUTHORIZED.phrase
            return json_response({"message": str(exc), "code": f"401 {title}", "title": title, "error": exc.code}, 401)

    return run


class Routes:
    def __init__(self, kernel: Kernel, sessions: Sessions, visitors: Visitors, way: Way, chunk: int) -> None:
        """``chunk``: bytes that the page sends in one request of an upload."""
        self._kernel = kernel
        self._sessions = sessions
        self._visitors = visitors
        self._way = way
        self._chunk = chunk

    def table(self) -> Sequence[Route]:
        return [
            Route(
                "GET",
                SESSION,
                self.show,
                "Who is logged in, and how to",
                {200: SHOWN},
                public=True,
                own_site=True,
                tag="console",
            ),
            Route(
                "POST",
                SESSION,
                self.login,
                "Log in",
                {200: SHOWN},
                LOGIN,
                public=True,
                own_site=True,
                tag="console",
                lane=Lane.TRANSFER,
            ),
            Route(
                "DELETE",
                SESSION,
                self.logout,
                "Log out",
                {204: None},
                params=(_CSRF,),
                public=True,
                own_site=True,
                tag="console",
                lane=Lane.TRANSFER,
            ),
            Route(
                "DELETE",
                "/console/sessions",
                self.logout_everywhere,
                "Log the user out everywhere",
                {204: None},
                params=(_CSRF,),
                public=True,
                own_site=True,
                tag="console",
                lane=Lane.TRANSFER,
            ),
            Route(
                "GET",
                "/console/permissions",
                self.permissions,
                "What the policy lets the user do",
                {200: {"type": "object", "additionalProperties": {"type": "boolean"}}},
                params=(Param("image", "Id of an image: with this one."),),
                public=True,
                own_site=True,
                tag="console",
            ),
        ]

    @for_page
    def show(self, request: Request, _ctx: Context) -> Response:
        return self.shown(request, self._visitors.known(request.environ))

    @for_page
    def login(self, request: Request, _ctx: Context) -> Response:
        """Whatever session the browser had ends, and its cookie leads nowhere any more."""
        bodies.within(request, _BODY)
        said: dict[str, str] = request_body.read_json(request, _BODY)
        _LOGIN.check(said)
        if said["method"] not in {x.name for x in self._way.methods()}:
            raise errors.Invalid(
                f"method: {said['method']} is none of this service's: {', '.join(x.name for x in self._way.methods())}"
            )
        login = self._way.login(
            request.environ, said["method"], {name: value for name, value in said.items() if name != "method"}
        )
        return self.shown(request, self._sessions.begin(login, self._sessions.line_of(cookies.read(request.environ))))

    @for_page
    def logout(self, request: Request, _ctx: Context) -> Response:
        request_body.forbid(request)
        response = empty(204)
        if self._visitors.known(request.environ) is not None:
            session = self._visitors.session(request.environ)
            self._sessions.log_out(session.line)
            self._way.end(session)
        else:  # one that lets nobody in any more, and might again
            self._sessions.log_out(self._sessions.line_of(cookies.read(request.environ)))
        cookies.take(request.environ, response)
        return response

    @for_page
    def logout_everywhere(self, request: Request, _ctx: Context) -> Response:
        request_body.forbid(request)
        session = self._visitors.session(request.environ)
        self._sessions.end_all(session)
        self._way.end(session)
        response = empty(204)
        cookies.take(request.environ, response)
        return response

    @for_page
    def permissions(self, request: Request, _ctx: Context) -> Response:
        """Of the policy alone: an image may be protected, or in a status that does not let it."""
        session = self._visitors.session(request.environ)
        caller = self._kernel.identity.who(request.environ, session.login.credentials)
        image_id = request.args.get("image")
        image = None if image_id is None else self._kernel.images.show(caller, image_id)
        return json_response(
            {name: self._kernel.policy.allows(caller, name, image) for name in self._kernel.policy.names}
        )

    # -- inside ------------------------------------------------------------------------------------
    def shown(self, request: Request, session: Session | None) -> Response:
        """The session as the page knows it, with its cookie where that is a new one. A cookie that leads nowhere is
        left to the browser: it may have a newer one by the time that this answer comes, and would lose that."""
        roles: Sequence[str] = ()
        is_admin = False
        if session is not None:
            try:
                roles, is_admin = self._rights(request, session)
            except errors.NotAuthenticated:  # a token was taken back, a password changed
                self._sessions.end(session)
                session = None
        response = json_response(self._told(request, session, roles, is_admin))
        if session is not None and session.cookie != cookies.read(request.environ):
            cookies.give(request.environ, response, session.cookie)
        return response

    def _rights(self, request: Request, session: Session) -> tuple[Sequence[str], bool]:
        try:
            caller = self._kernel.identity.who(request.environ, session.login.credentials)
        except (errors.IdentityUnavailable, errors.TooManyAttempts):  # what was known when he logged in
            login = session.login
            caller = Context(
                user=login.user.id if login.user else None,
                project=login.project.id if login.project else None,
                roles=frozenset(login.roles),
            )
            caller.admin = self._kernel.policy.allows(caller, "context_is_admin")
        return sorted(caller.roles), caller.admin

    def _told(
        self, request: Request, session: Session | None, roles: Sequence[str], is_admin: bool
    ) -> Mapping[str, object]:
        """Strangers are told how to log in, and nothing of the service."""
        login = None if session is None else session.login
        return {
            "authenticated": session is not None,
            "methods": [
                {
                    "name": x.name,
                    "label": x.label,
                    "fields": [y.shown() for y in x.fields],
                    **({} if x.path is None else {"url": f"{request.script_root}{SESSION}/{x.path}"}),
                }
                for x in self._way.methods()
            ],
            "user": login.user.shown() if login and login.user else None,
            "project": login.project.shown() if login and login.project else None,
            "roles": list(roles),
            "is_admin": is_admin,
            "projects": [x.shown() for x in login.projects] if login else [],
            "csrf": session.csrf if session else None,
            "expires_at": session.expires_at.strftime("%Y-%m-%dT%H:%M:%SZ") if session else None,
            "service": {
                "version": _version() if session else "",
                "extensions": list(self._kernel.extensions) if session else [],
                "upload": {
                    "tus": f"{request.script_root}{PATH}{UPLOADS}"
                    if session and "tus" in self._kernel.extensions
                    else None,
                    "chunk": self._chunk,
                },
            },
            "locale": "en",
        }
