"""Who sends a request: the auth plugin with its middleware, asked for requests that come in, and for those that an
extension only thinks of."""

from __future__ import annotations

import io
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from glancecore.domain import errors
from glancecore.domain.context import Context
from glancecore.policies.authorizer import Authorizer
from glancecore.ports.auth import IDENTITY, REPEATED, Auth, Scheme, TokenService

if TYPE_CHECKING:
    from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

#: In the environ of a request that is only thought of: what is to be called in place of the application.
_INSTEAD = "glancecore.instead"
_CREDENTIALS = frozenset(
    {"COOKIE", "AUTHORIZATION", "X-AUTH-TOKEN", "X-SERVICE-TOKEN", "X-STORAGE-TOKEN", "X-SUBJECT-TOKEN"}
)


class CallerIdentity:
    """See ``glancecore.ports.site.Identity``."""

    def __init__(self, auth: Auth, authorizer: Authorizer) -> None:
        self.auth = auth
        self._authorizer = authorizer
        self._wrapped: WSGIApplication | None = None

    @property
    def scheme(self) -> Scheme | None:
        return self.auth.scheme

    @property
    def token_service(self) -> TokenService | None:
        return self.auth.token_service

    def wrap(self, app: WSGIApplication) -> WSGIApplication:
        """``app`` with the plugin's middleware around it, which is made once. Raises ConfigError."""

        def inner(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
            instead: WSGIApplication | None = environ.get(_INSTEAD)
            return (instead or app)(environ, start_response)

        self._wrapped = self.auth.wrap(inner)
        return self._wrapped

    def replaced(self, environ: WSGIEnvironment, credentials: Mapping[str, str]) -> WSGIEnvironment:
        """A request with these headers in place of all that says who sends it. What a proxy says of that is the
        proxy's, and stays."""
        proxied = self.scheme is Scheme.PROXY
        out = {"COOKIE"} if proxied else _CREDENTIALS | IDENTITY | {x.upper() for x in self.auth.credentials}
        out |= {x.upper() for x in credentials}
        made: dict[str, Any] = {
            key: value
            for key, value in environ.items()
            if key.removeprefix("HTTP_").replace("_", "-") not in out or not key.startswith("HTTP_")
        }
        if not proxied:
            made.pop("REMOTE_USER", None)
        if twice := environ.get(REPEATED):
            made[REPEATED] = frozenset(twice) - out
        return made | {f"HTTP_{name.upper().replace('-', '_')}": value for name, value in credentials.items()}

    def who(self, environ: WSGIEnvironment, credentials: Mapping[str, str]) -> Context:
        found: list[Context] = []
        refusals: list[errors.GlanceError] = []

        def ask(asked: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
            try:
                found.append(self.auth.identify(asked))
            except (errors.NotAuthenticated, errors.TooManyAttempts) as exc:
                refusals.append(exc)
            start_response("204 No Content", [])
            return []

        made = self.replaced(environ, credentials)
        made |= {
            "REQUEST_METHOD": "GET",
            "SCRIPT_NAME": "",
            "PATH_INFO": "/",
            "QUERY_STRING": "",
            "CONTENT_LENGTH": "0",
            "wsgi.input": io.BytesIO(),
            _INSTEAD: ask,
        }
        made.pop("HTTP_TRANSFER_ENCODING", None)
        wrapped = self._wrapped or self.wrap(ask)
        answer = wrapped(made, _unheard)
        close = getattr(answer, "close", None)
        if close is not None:
            close()
        if refusals:
            raise refusals[0]
        if not found:  # the middleware has answered by itself
            raise errors.IdentityUnavailable("who you are can't be found out at the moment; try again in a while")
        return self._authorizer.identify(found[0])


def _unheard(_status: str, _headers: list[tuple[str, str]], _exc: object = None) -> Any:
    return lambda _data: None
