"""How people log in, by how callers of the service prove who they are."""

from __future__ import annotations

import base64
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from glancecore.domain import errors
from glancecore.domain.context import Context
from glancecore.ports.extension import Kernel
from glancecore_ext_console.sessions import Login, Named, Session

if TYPE_CHECKING:
    from wsgiref.types import WSGIEnvironment


#: Characters of a name.
_LONGEST = 255


@dataclass(frozen=True, slots=True)
class Field:
    """What the login page asks for. ``value``: what stands there at first."""

    name: str
    label: str
    secret: bool = False
    required: bool = True
    value: str = ""

    def shown(self) -> dict[str, object]:
        return {
            "name": self.name,
            "label": self.label,
            "secret": self.secret,
            "required": self.required,
            "value": self.value,
        }


@dataclass(frozen=True, slots=True)
class Method:
    """``path``: where the browser goes for it, below the console's own."""

    name: str
    label: str
    fields: Sequence[Field] = ()
    path: str | None = None


class Way(ABC):
    """One of ``glancecore.ports.auth.Scheme``."""

    def __init__(self, kernel: Kernel) -> None:
        self.kernel = kernel

    @abstractmethod
    def methods(self) -> Sequence[Method]: ...

    @abstractmethod
    def login(self, environ: WSGIEnvironment, method: str, fields: Mapping[str, str]) -> Login:
        """Raises NotAuthenticated with a sentence for people, TooManyAttempts, IdentityUnavailable, Forbidden."""

    def confirm(self, environ: WSGIEnvironment, session: Session) -> None:
        """That a request with the session's cookie is its user's, and that the session was begun in a way that there
        still is. Raises NotAuthenticated: the session ends."""
        del environ
        if session.login.method not in {x.name for x in self.methods()}:
            raise errors.NotAuthenticated("people log in another way by now")

    def end(self, session: Session) -> None:
        """What proved who it was proves it no longer, where that can be had. Raises nothing."""
        del session


class OpenWay(Way):
    """Who reaches the socket may do everything."""

    def methods(self) -> Sequence[Method]:
        return [Method("none", "Go in")]

    def login(self, environ: WSGIEnvironment, method: str, fields: Mapping[str, str]) -> Login:
        del method, fields
        ctx = self.kernel.identity.who(environ, {})
        return _login("none", ctx, {})


class BasicWay(Way):
    """The password is sent with each request, as it would be by the user's own client."""

    def methods(self) -> Sequence[Method]:
        return [
            Method(
                "basic", "User and password", (Field("username", "User"), Field("password", "Password", secret=True))
            )
        ]

    def login(self, environ: WSGIEnvironment, method: str, fields: Mapping[str, str]) -> Login:
        del method
        user = fields.get("username", "")
        if not user or ":" in user:
            raise errors.NotAuthenticated("the user or the password is wrong")
        word = base64.b64encode(f"{user}:{fields.get('password', '')}".encode()).decode()
        credentials = {"Authorization": f"Basic {word}"}
        try:
            ctx = self.kernel.identity.who(environ, credentials)
        except errors.NotAuthenticated as exc:
            raise errors.NotAuthenticated("the user or the password is wrong") from exc
        return _login("basic", ctx, credentials)


class ProxyWay(Way):
    """The proxy says with each request who it is; the session is of the one who has begun it."""

    def methods(self) -> Sequence[Method]:
        return [Method("proxy", "Go in")]

    def login(self, environ: WSGIEnvironment, method: str, fields: Mapping[str, str]) -> Login:
        del method, fields
        ctx = self.kernel.identity.who(environ, {})
        return _login("proxy", ctx, {}, _name(environ, "HTTP_X_USER_NAME"), _name(environ, "HTTP_X_PROJECT_NAME"))

    def confirm(self, environ: WSGIEnvironment, session: Session) -> None:
        super().confirm(environ, session)
        ctx = self.kernel.identity.who(environ, {})
        login = session.login
        if (ctx.user, ctx.project) != (login.user and login.user.id, login.project and login.project.id):
            raise errors.NotAuthenticated("the proxy says that you are somebody else now")


def _name(environ: WSGIEnvironment, key: str) -> str | None:
    """What people are called, as far as the proxy says it and it can be shown."""
    found = str(environ.get(key, "")).encode("latin-1", "replace").decode("utf-8", "replace")[:_LONGEST]
    return found if found.isprintable() and found else None


def _login(
    method: str,
    ctx: Context,
    credentials: Mapping[str, str],
    user_name: str | None = None,
    project_name: str | None = None,
) -> Login:
    project = None if ctx.project is None else Named(ctx.project, project_name or ctx.project)
    user = None if ctx.user is None else Named(ctx.user, user_name or ctx.user)
    return Login(method, user, project, [project] if project else [], sorted(ctx.roles), credentials)
