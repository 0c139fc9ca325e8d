"""keystonemiddleware's auth_token, whose memory of tokens may fail without any request noticing."""

from __future__ import annotations

import logging
import secrets
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from keystoneauth1.exceptions import ClientException
from keystonemiddleware import auth_token

from glancecore.domain.errors import ConfigError
from glancecore.ports.auth import TokenService

if TYPE_CHECKING:
    from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

LOG = logging.getLogger(__name__)


#: Where a request's tokens stand, its own and that of a service which sends it.
TOKENS = ("HTTP_X_AUTH_TOKEN", "HTTP_X_STORAGE_TOKEN", "HTTP_X_SERVICE_TOKEN")


def _sendable(token: str) -> bool:
    return token.isascii() and token.isprintable()


class ForgivingCache:
    """The middleware's cache of tokens; what it raises costs a question to Keystone, and no more."""

    def __init__(self, inner: Any) -> None:
        self._inner = inner
        self._down = False

    def initialize(self, environ: WSGIEnvironment) -> None:
        self._try(lambda: self._inner.initialize(environ))

    def get(self, token: str) -> Any:
        return self._try(lambda: self._inner.get(token))

    def set(self, token: str, data: Any) -> None:
        self._try(lambda: self._inner.set(token, data))

    def fault(self) -> str | None:
        """Why what is put in doesn't come out again; None: it does."""
        token, data = f"check-{secrets.token_hex(16)}", {"check": True}
        try:
            self._inner.initialize({})
            self._inner.set(token, data)
            found = self._inner.get(token)
        except Exception as exc:  # noqa: BLE001 (whatever one of three clients raises)
            return f"{type(exc).__name__}: {exc}"
        return None if found == data else "what is put in does not come out again"

    def _try(self, call: Callable[[], Any]) -> Any:
        try:
            found = call()
        except Exception as exc:  # noqa: BLE001 (whatever one of three clients raises)
            LOG.log(
                logging.DEBUG if self._down else logging.ERROR,
                "[keystone_authtoken] memcached_servers can't be used, so Keystone is asked about every token: %s: %s",
                type(exc).__name__,
                exc,
            )
            self._down = True
            return None
        if self._down:
            LOG.warning("[keystone_authtoken] memcached_servers can be used again")
            self._down = False
        return found


class Middleware(auth_token.AuthProtocol):  # type: ignore[misc]
    """What the operator has configured can be tried before requests come."""

    if TYPE_CHECKING:

        def __init__(self, app: WSGIApplication, conf: dict[str, object]) -> None: ...

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Any:
        for key in TOKENS:
            if not _sendable(environ.get(key, "")):
                del environ[key]  # it is nobody's, and asking Keystone about it would raise
        return super().__call__(environ, start_response)

    def _token_cache_factory(self) -> ForgivingCache:
        return ForgivingCache(super()._token_cache_factory())

    def keystone(self) -> TokenService:
        """Where this service itself has its tokens. Raises ConfigError."""
        url = getattr(self._auth, "auth_url", None)
        if not url:
            raise ConfigError("[keystone_authtoken] auth_url: not set; set it to the URL of Keystone")
        session = self._session
        return TokenService(
            url, self._conf.get("www_authenticate_uri") or url, session.verify, session.cert, session.timeout or 30.0
        )

    def fault_of_cache(self) -> str | None:
        """Why tokens are not remembered."""
        servers = self._conf.get("memcached_servers")
        fault = self._token_cache.fault()
        return fault and (
            f"memcached_servers = {', '.join(servers or ())}: {fault}; start memcached there and let this machine reach"
            " it, or correct the option; the service works meanwhile, and asks Keystone about every token"
        )

    def fault_of_keystone(self) -> str | None:
        """Why Keystone does not let the service itself in."""
        try:
            self._session.get_token(self._auth)
        except ClientException as exc:
            return (
                "auth_url, username, password, project_name and the domains: the service gets no token of its own:"
                f" {exc}; correct them, or mend Keystone; until then no token can be judged"
            )
        return None
