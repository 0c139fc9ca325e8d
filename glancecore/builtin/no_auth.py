"""No authentication: everybody is an anonymous admin. The server then listens on loopback only, unless forced."""

from __future__ import annotations

from typing import TYPE_CHECKING

from glancecore.domain.context import Context
from glancecore.ports.auth import Auth, Scheme

if TYPE_CHECKING:
    from wsgiref.types import WSGIEnvironment


class NoAuth(Auth):
    open_to_all = True
    scheme = Scheme.OPEN

    def identify(self, environ: WSGIEnvironment) -> Context:  # noqa: ARG002 (nothing in the request matters)
        return Context(roles=frozenset({"admin", "member", "reader"}))
