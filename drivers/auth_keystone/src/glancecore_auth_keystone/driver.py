"""Keystone tokens (keystonemiddleware's auth_token)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from glancecore.domain.context import Context
from glancecore.domain.errors import ConfigError
from glancecore.ports.auth import Auth, Scheme, TokenService, from_identity_headers
from glancecore_auth_keystone.middleware import Middleware
from glancecore_auth_keystone.options import OPTIONS

if TYPE_CHECKING:
    from wsgiref.types import WSGIApplication, WSGIEnvironment


class KeystoneAuth(Auth):
    """X-Auth-Token, validated by keystonemiddleware with the operator's [keystone_authtoken] section.

    Its middleware lets requests without a valid token through (``delay_auth_decision``) and marks them; they are
    refused here, so that versions and health stay public."""

    plugin_api = "1.0"
    options = OPTIONS
    ambient = False  # no browser adds a token by itself
    credentials = ("X-Auth-Token",)
    scheme = Scheme.TOKEN

    def wrap(self, app: WSGIApplication) -> WSGIApplication:
        return self._middleware(app)

    def complaints(self) -> list[str]:
        middleware = self._middleware(lambda _environ, _start: [])
        return [f"[keystone_authtoken] {x}" for x in (middleware.fault_of_keystone(), middleware.fault_of_cache()) if x]

    @property
    def token_service(self) -> TokenService:
        return self._middleware(lambda _environ, _start: []).keystone()

    def identify(self, environ: WSGIEnvironment) -> Context:
        return from_identity_headers(environ)

    @property
    def challenge(self) -> None:
        """The middleware puts it in itself."""
        return None

    def _middleware(self, app: WSGIApplication) -> Middleware:
        try:
            middleware = Middleware(app, {"oslo_config_config": self.config, "delay_auth_decision": True})
        except Exception as exc:
            raise ConfigError(f"[keystone_authtoken]: {exc}; correct the section") from exc
        if not (self.config.keystone_authtoken.auth_type or self.config.keystone_authtoken.auth_section):
            raise ConfigError(
                "[keystone_authtoken] auth_type: not set; set it (such as password) with auth_url, username, "
                "password, project_name and the domains of the service's own user"
            )
        # without it, credentials for some requests only are good for none
        self.config.set_default("service_type", "image", "keystone_authtoken")
        return middleware
