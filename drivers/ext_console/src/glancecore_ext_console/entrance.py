"""The way of the page's requests into the API: in the name of the session's user."""

from __future__ import annotations

import hmac
from collections.abc import Mapping
from typing import TYPE_CHECKING

from glancecore.domain import errors
from glancecore.ports.site import Entrance
from glancecore_ext_console import cookies
from glancecore_ext_console.sessions import Session, SessionExpired, Sessions
from glancecore_ext_console.ways import Way

if TYPE_CHECKING:
    from wsgiref.types import WSGIEnvironment

PATH = "/console/api"
#: A request that the page makes by itself, to show what is new: nobody is at the keyboard.
BACKGROUND = "HTTP_X_CONSOLE_BACKGROUND"
_SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
_SESSION = "glancecore_ext_console.session"


class Visitors:
    """Finds the session of a request, and lets it end."""

    def __init__(self, sessions: Sessions, way: Way) -> None:
        self._sessions = sessions
        self._way = way

    def entrance(self) -> Entrance:
        return Entrance(PATH, self.admit, self.answered)

    def session(self, environ: WSGIEnvironment) -> Session:
        """Of a request that may be sent in it. Raises NotAuthenticated, Forbidden."""
        session = self.known(environ)
        if session is None:
            if cookies.read(environ) is None:
                raise errors.NotAuthenticated("log in first")
            raise SessionExpired("the session has ended; log in again")
        if environ["REQUEST_METHOD"] not in _SAFE and not hmac.compare_digest(
            environ.get("HTTP_X_CSRF_TOKEN", "").encode(), session.csrf.encode()
        ):
            raise errors.Forbidden("X-CSRF-Token: it must be the csrf of GET /console/session; load the page again")
        return session

    def known(self, environ: WSGIEnvironment) -> Session | None:
        """The session whose cookie the request has."""
        cookie = cookies.read(environ)
        session = None if cookie is None else self._sessions.find(cookie)
        if session is None:
            return None
        try:
            self._way.confirm(environ, session)
        except errors.NotAuthenticated:
            self._sessions.end(session)
            return None
        if BACKGROUND not in environ:
            self._sessions.used(session)
        return session

    def admit(self, environ: WSGIEnvironment) -> Mapping[str, str]:
        session = environ[_SESSION] = self.session(environ)
        return session.login.credentials

    def answered(self, environ: WSGIEnvironment, status: int) -> None:
        """401: what proved who it was proves it no longer."""
        if status == 401:
            self._sessions.end(environ[_SESSION])
            raise SessionExpired("the session has ended; log in again")
