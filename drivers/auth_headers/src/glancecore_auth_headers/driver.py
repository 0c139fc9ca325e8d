"""Identity headers of a trusted proxy."""

from __future__ import annotations

import functools
import ipaddress
from typing import TYPE_CHECKING

from glancecore.domain.context import Context
from glancecore.domain.errors import ConfigError, NotAuthenticated
from glancecore.ports.auth import IDENTITY, PEER, REPEATED, Auth, Scheme, from_identity_headers
from glancecore_auth_headers.options import OPTIONS

if TYPE_CHECKING:
    from wsgiref.types import WSGIEnvironment


class HeaderAuth(Auth):
    """X-Identity-Status: Confirmed, X-User-Id, X-Project-Id (or X-Tenant-Id), X-Roles: the headers of
    keystonemiddleware.

    Believed only from the addresses of ``trusted_addresses``, judged by the connection itself, not by a header. The
    proxy must remove these headers from what its own clients send; where it adds its own beside them, they are refused.
    """

    plugin_api = "1.0"
    options = OPTIONS
    scheme = Scheme.PROXY

    def start(self) -> None:
        try:
            self._trusted = [ipaddress.ip_network(x, strict=False) for x in self.conf.trusted_addresses]
        except ValueError as exc:
            raise ConfigError(f"[auth_headers] trusted_addresses: {exc}; give IP addresses or networks") from exc

    def identify(self, environ: WSGIEnvironment) -> Context:
        peer = environ[PEER] if PEER in environ else environ.get("REMOTE_ADDR")
        if not self._is_trusted(peer or ""):
            raise NotAuthenticated("identity headers are taken from the authenticating proxy only")
        twice = IDENTITY & environ.get(REPEATED, frozenset())
        if twice or any("," in environ.get(f"HTTP_{name.replace('-', '_')}", "") for name in IDENTITY - {"X-ROLES"}):
            raise NotAuthenticated("an identity header came more than once: the proxy must remove those of its clients")
        return from_identity_headers(environ)

    @functools.lru_cache(maxsize=1024)  # noqa: B019 (one instance a process)
    def _is_trusted(self, address: str) -> bool:
        if not address:
            return True  # a Unix socket has no address
        try:
            return any(ipaddress.ip_address(address) in x for x in self._trusted)
        except ValueError:  # a server, or a middleware before us, has put something else there
            return False
