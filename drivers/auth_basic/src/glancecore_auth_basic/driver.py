"""HTTP basic authentication (RFC 7617)."""

from __future__ import annotations

import hmac
import logging
import secrets
import time
from pathlib import Path
from typing import TYPE_CHECKING

import webob.exc
from oslo_middleware import basic_auth, exceptions

from glancecore.domain.context import Context
from glancecore.domain.errors import ConfigError, NotAuthenticated
from glancecore.ports.auth import Auth
from glancecore_auth_basic.options import OPTIONS

if TYPE_CHECKING:
    from wsgiref.types import WSGIEnvironment

LOG = logging.getLogger(__name__)
#: Remembered passwords; more are forgotten at once.
MOST_KNOWN = 10_000


class BasicAuth(Auth):
    """Standalone use without Keystone; works with keystoneauth's ``http_basic`` and any HTTP client.

    Users are in the file of oslo.middleware's basic auth (bcrypt only). A password that has been checked is remembered for
    a while as a keyed digest, until the file changes.
    """

    options = OPTIONS

    def start(self) -> None:
        path = self.conf.http_basic_auth_user_file
        option = f"[auth_basic] http_basic_auth_user_file = {path}"
        try:
            basic_auth.validate_auth_file(path)
        except exceptions.ConfigInvalid as exc:
            raise ConfigError(f"{option}: can't be read; make it with: htpasswd -B -c {path} USER") from exc
        except webob.exc.HTTPBadRequest as exc:
            raise ConfigError(f"{option}: {exc.detail}; write entries with: htpasswd -B") from exc
        self._key = secrets.token_bytes(32)
        self._known: dict[bytes, float] = {}

    def identify(self, environ: WSGIEnvironment) -> Context:
        path = Path(self.conf.http_basic_auth_user_file)
        try:
            user, password = basic_auth.parse_token(basic_auth.parse_header(dict(environ)))
            self._check(path, user, password)
        except webob.exc.HTTPException as exc:
            raise NotAuthenticated("user and password are required, by HTTP basic authentication") from exc
        except ValueError as exc:  # a damaged hash, a password that bcrypt refuses
            raise NotAuthenticated("this password can't be checked") from exc
        roles = self.conf.roles.get(user, "member|reader").lower().split("|")
        if user in self.conf.admins:
            roles.append("admin")
        return Context(user=user, project=self.conf.projects.get(user, user), roles=frozenset(roles))

    @property
    def challenge(self) -> str:
        return 'Basic realm="image service", charset="UTF-8"'

    def _check(self, path: Path, user: str, password: bytes) -> None:
        """Raises webob's HTTP exceptions."""
        try:
            changed = path.stat().st_mtime_ns
        except OSError as exc:
            LOG.error("[auth_basic] http_basic_auth_user_file = %s: %s", path, exc.strerror)
            raise webob.exc.HTTPUnauthorized from exc
        text = b"\0".join((str(changed).encode(), user.encode(), password))
        mark = hmac.digest(self._key, text, "sha256")
        now = time.monotonic()
        if self._known.get(mark, 0) > now:
            return
        basic_auth.authenticate(str(path), user, password)
        if len(self._known) > MOST_KNOWN:
            self._known = {}
        self._known[mark] = now + self.conf.remember_seconds
