"""What only Keystone has: other projects, and logins by a company's account."""

from __future__ import annotations

import html
from collections.abc import Sequence
from dataclasses import replace
from urllib.parse import parse_qs, quote

from flask import Request, Response

from glancecore.domain import errors
from glancecore.domain.context import Context
from glancecore.domain.text import escaped
from glancecore.ports.http import Lane, Param, Route
from glancecore.sdk import request_body
from glancecore_ext_console import bodies, cookies
from glancecore_ext_console.entrance import Visitors
from glancecore_ext_console.keystone import KeystoneWay
from glancecore_ext_console.routes import SESSION, SHOWN, Routes, for_page
from glancecore_ext_console.sealing import is_cookie, is_id, new_cookie
from glancecore_ext_console.sessions import SessionExpired, Sessions

WEBSSO = f"{SESSION}/websso"
FORM = "application/x-www-form-urlencoded"
PROJECT = {
    "type": "object",
    "required": ["project"],
    "additionalProperties": False,
    "properties": {"project": {"type": "string", "minLength": 1, "maxLength": 255}},
}
_PROJECT = request_body.Checker(PROJECT)
#: Seconds that a login at the company's may take.
_SOON = 600
#: Bytes of Keystone's form, where tokens have some hundreds, and of the page's JSON.
_LARGEST, _BODY = 64_000, 10_000
_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>{title}</title></head>
<body><h1>{title}</h1><p>{text}</p><p><a href="{url}">{link}</a></p></body></html>
"""


class KeystoneRoutes:
    """``routes``: those of every way."""

    def __init__(self, routes: Routes, sessions: Sessions, visitors: Visitors, way: KeystoneWay) -> None:
        self._routes = routes
        self._sessions = sessions
        self._visitors = visitors
        self._way = way

    def table(self) -> Sequence[Route]:
        table = [
            Route(
                "PUT",
                f"{SESSION}/project",
                self.rescope,
                "Go on in another project",
                {200: SHOWN},
                PROJECT,
                params=(Param("X-CSRF-Token", "The csrf of the session.", "header"),),
                public=True,
                own_site=True,
                tag="console",
                lane=Lane.TRANSFER,
            )
        ]
        if self._way.protocols:
            table += [
                Route(
                    "GET",
                    f"{WEBSSO}/<protocol>",
                    self.begin,
                    "Log in by a company's account",
                    {302: "text/html"},
                    public=True,
                    own_site=True,
                    tag="console",
                ),
                Route(
                    "POST",
                    WEBSSO,
                    self.callback,
                    "Where Keystone sends who has logged in so",
                    {200: "text/html"},
                    FORM,
                    public=True,
                    tag="console",
                    lane=Lane.TRANSFER,
                ),
            ]
        return table

    @for_page
    def rescope(self, request: Request, _ctx: Context) -> Response:
        """The session has another cookie from here on."""
        session = self._visitors.session(request.environ)
        bodies.within(request, _BODY)
        said: dict[str, str] = request_body.read_json(request, _BODY)
        _PROJECT.check(said)
        login = self._way.rescope(session, said["project"])
        try:
            return self._routes.shown(request, self._sessions.change(session, login))
        except SessionExpired:
            self._way.end(replace(session, login=login))  # nobody has its token
            raise

    def begin(self, request: Request, _ctx: Context, protocol: str) -> Response:
        """To Keystone, which sends the browser on to the company and then back here, with a form that anybody could
        make a browser send: what comes back must come from a browser that was sent from here."""
        if protocol not in self._way.protocols:
            raise errors.NotFound(f"no such protocol; there are: {', '.join(self._way.protocols)}")
        origin = quote(f"{request.root_url}{WEBSSO.lstrip('/')}", safe="")
        response = Response(
            "",
            302,
            headers={"Location": f"{self._way.websso_url(quote(protocol, safe=''))}?origin={origin}"},
            content_type="text/html; charset=UTF-8",
        )
        former = self._sessions.line_of(cookies.read(request.environ))
        cookies.bind(request.environ, response, new_cookie() + ("" if former is None else f".{former}"), _SOON)
        return response

    def callback(self, request: Request, _ctx: Context) -> Response:
        """The form comes from Keystone's page, so the session's own cookie, which is for this site alone, does not come
        with it; this one does, and says which session the browser had: that one ends, also when it has gone on in
        another project meanwhile."""
        bound, dot, former = (cookies.read(request.environ, cookies.WEBSSO) or "").partition(".")
        if not is_cookie(bound) or (dot and not is_id(former)):
            raise errors.Forbidden(
                "this login was not begun here, or more than ten minutes ago: begin it again at the login page of the"
                " console"
            )
        if request.mimetype != FORM:
            raise errors.UnsupportedContentType(f"Content-Type must be {FORM}")
        bodies.within(request, _LARGEST)
        raw = b"".join(request_body.data(request.environ)[0])
        found = parse_qs(raw.decode("latin-1")).get("token", [])
        if len(found) != 1 or not (found[0].isascii() and found[0].isprintable()):
            raise errors.Invalid("token: the form must have it, once")
        root = html.escape(request.script_root)
        try:
            login = self._way.login_with(request.environ, found[0])
        except (errors.NotAuthenticated, errors.Forbidden) as exc:
            text = _PAGE.format(
                title="You are not logged in",
                text=html.escape(str(exc)),
                url=f"{root}/console/",
                link="To the login page",
            )
            return self._unbound(request, Response(text, 403, content_type="text/html; charset=UTF-8"))
        session = self._sessions.begin(login, former or None)
        user, project = (html.escape(escaped(x.name) if x else "") for x in (login.user, login.project))
        text = _PAGE.format(
            title=f"You are logged in as {user}",
            text=f"In project {project}. If that is not you, log out at once: somebody has sent you here.",
            url=f"{root}/console/",
            link=f"Go on as {user}",
        )
        response = self._unbound(request, Response(text, 200, content_type="text/html; charset=UTF-8"))
        cookies.give(request.environ, response, session.cookie)
        return response

    @staticmethod
    def _unbound(request: Request, response: Response) -> Response:
        """The login can be ended once."""
        cookies.take(request.environ, response, cookies.WEBSSO)
        return response
