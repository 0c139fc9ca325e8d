"""What an extension for people with a browser brings and asks beside the rest: other ways into the service, and who
sends a request."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from glancecore.domain.context import Context
from glancecore.ports.auth import Scheme, TokenService

if TYPE_CHECKING:
    from wsgiref.types import WSGIEnvironment


@dataclass(frozen=True, slots=True)
class Entrance:
    """Another way into the service: a request for ``path`` + ``/v2/…`` is one for ``/v2/…``, in the same process,
    through the same gate and under the same limits; neither its body nor its answer is held on the way. Absolute links
    in answers begin with ``path``; errors are JSON, unless something else is asked for. No page of another site gets
    in, and nobody is asked for a password by his browser.

    ``admit``: told the request's environ, it gives the headers that prove who sends it; all credentials and cookies of
    the client's own are taken out of the request. Raises NotAuthenticated, Forbidden or another GlanceError, which is
    answered. ``answered``: told the request's environ and the status of the answer, before the client has any of it; an
    error that it raises is answered in its place."""

    path: str
    admit: Callable[[WSGIEnvironment], Mapping[str, str]]
    answered: Callable[[WSGIEnvironment, int], None] = lambda _environ, _status: None


class Identity(Protocol):
    """Who sends a request, as the service itself finds it by ``[DEFAULT] auth_strategy``."""

    @property
    def scheme(self) -> Scheme | None:
        """How callers prove who they are; None: in a way that nobody else knows."""

    @property
    def token_service(self) -> TokenService | None:
        """Where tokens are had, for ``Scheme.TOKEN``. Raises ConfigError."""

    def who(self, environ: WSGIEnvironment, credentials: Mapping[str, str]) -> Context:
        """Who it would be that sends ``environ`` with these headers, in place of all credentials in it. ``admin`` is
        filled in. Raises NotAuthenticated, TooManyAttempts, IdentityUnavailable."""
