"""Who would send a request, as extensions ask it."""

from __future__ import annotations

from typing import Any, cast

import pytest

from glancecore.domain.context import Context
from glancecore.domain.errors import IdentityUnavailable, NotAuthenticated
from glancecore.http.identity import CallerIdentity
from glancecore.ports.auth import REPEATED, Auth, Scheme

CLIENT = {
    "REQUEST_METHOD": "POST",
    "PATH_INFO": "/somewhere",
    "wsgi.input": "the body",
    "REMOTE_ADDR": "192.0.2.1",
    "HTTP_ACCEPT": "text/html",
    "HTTP_COOKIE": "a=b",
    "HTTP_AUTHORIZATION": "Basic x",
    "HTTP_X_AUTH_TOKEN": "theirs",
    "HTTP_X_SERVICE_TOKEN": "theirs",
    "HTTP_X_USER_ID": "somebody",
    "HTTP_X_ROLES": "admin",
    "HTTP_X_IDENTITY_STATUS": "Confirmed",
    "HTTP_X_KEY": "theirs",
    "REMOTE_USER": "somebody",
    REPEATED: frozenset({"X-ROLES", "ACCEPT"}),
}


class Keys(Auth):
    credentials = ("X-Key",)

    def identify(self, environ: Any) -> Context:
        if "HTTP_X_KEY" not in environ:
            raise NotAuthenticated("a key is required")
        return Context(user=environ["HTTP_X_KEY"], address=environ["REMOTE_ADDR"])


class Proxied(Keys):
    scheme = Scheme.PROXY


class Authorizer:
    def identify(self, ctx: Context) -> Context:
        ctx.admin = ctx.user == "root"
        return ctx


def identity(cls: type[Auth] = Keys) -> CallerIdentity:
    return CallerIdentity(cls(cast("Any", None), cast("Any", None)), cast("Any", Authorizer()))


def test_nothing_of_what_the_client_said_of_himself_stays() -> None:
    made = identity().replaced(CLIENT, {"X-Key": "ours"})
    assert {
        key: value
        for key, value in made.items()
        if key not in ("REQUEST_METHOD", "PATH_INFO", "wsgi.input", "REMOTE_ADDR")
    } == {"HTTP_ACCEPT": "text/html", "HTTP_X_KEY": "ours", REPEATED: frozenset({"ACCEPT"})}
    assert CLIENT["HTTP_X_KEY"] == "theirs", "the request itself is as it was"


def test_what_the_proxy_says_stays() -> None:
    made = identity(Proxied).replaced(CLIENT, {})
    assert made == {key: value for key, value in CLIENT.items() if key != "HTTP_COOKIE"}


def test_somebody_is_found_by_his_credentials() -> None:
    found = identity().who(CLIENT, {"X-Key": "root"})
    assert (found.user, found.admin, found.address) == ("root", True, "192.0.2.1")
    with pytest.raises(NotAuthenticated, match="a key is required"):
        identity().who(CLIENT, {})


def test_the_middleware_is_that_of_requests() -> None:
    """Made once, and around both."""
    made: list[object] = []

    class Wrapping(Keys):
        def wrap(self, app: Any) -> Any:
            made.append(app)
            return lambda environ, start: app({**environ, "HTTP_X_KEY": f"{environ['HTTP_X_KEY']} judged"}, start)

    asked: list[Any] = []
    one = identity(Wrapping)
    app = one.wrap(lambda environ, start: asked.append(environ) or [])  # type: ignore[func-returns-value]
    app({"HTTP_X_KEY": "a"}, lambda *_: None)  # type: ignore[arg-type]
    assert asked[0]["HTTP_X_KEY"] == "a judged"
    assert one.who(CLIENT, {"X-Key": "b"}).user == "b judged"
    assert (len(asked), len(made)) == (1, 1)


def test_a_middleware_that_answers_by_itself_can_not_tell() -> None:
    class Away(Keys):
        def wrap(self, app: Any) -> Any:
            def wrapped(environ: Any, start: Any) -> Any:
                start("503 Service Unavailable", [])
                return [b"Keystone is away"]

            return wrapped

    with pytest.raises(IdentityUnavailable):
        identity(Away).who(CLIENT, {"X-Key": "a"})
