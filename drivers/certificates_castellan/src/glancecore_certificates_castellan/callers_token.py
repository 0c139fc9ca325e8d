"""The caller's token as castellan and keystoneauth want it."""

from __future__ import annotations

from typing import Any

from castellan.common import exception
from keystoneauth1 import plugin, session
from keystoneauth1.access import service_catalog
from oslo_context import context


class NoToken(exception.Forbidden):
    """The key manager wants a token of Keystone, and the request came with none."""


class CallersToken(plugin.BaseAuthPlugin):
    """Used as it came. Castellan's own way is to exchange it for another one: Keystone may forbid that, and gives one
    that is good for nothing unless it is told the project, which the token says best itself."""

    def __init__(self, token: str, keystone: str, seconds: float) -> None:
        """``keystone``: its URL, with or without the version; ``seconds``: for each answer."""
        super().__init__()
        #: Keystone or the key manager does not take the token.
        self.refused = False
        self._token = token
        self._keystone = keystone.rstrip("/").removesuffix("/v3")
        self._seconds = seconds

    def get_token(self, session: session.Session) -> str:  # noqa: ARG002 (the plugin interface)
        return self._token

    def get_headers(self, session: session.Session) -> dict[str, str] | None:
        # castellan makes its sessions without: a key manager that does not answer would hold us for ever
        session.timeout = session.timeout or self._seconds
        return super().get_headers(session)

    def invalidate(self) -> bool:
        """Called when it was answered 401; there is no other token to try."""
        self.refused = True
        return False

    def get_endpoint(self, session: session.Session, **which: Any) -> str | None:
        """By the catalogue of the token. ``which``: service_type, interface and region_name."""
        found = session.get(f"{self._keystone}/v3/auth/catalog", auth=self).json()
        return service_catalog.ServiceCatalogV3(found["catalog"]).url_for(**which)


class Caller(context.RequestContext):
    """Castellan asks a context for ``get_auth_plugin``, where it has one."""

    def __init__(self, token: str | None, keystone: str, seconds: float) -> None:
        super().__init__(auth_token=token, overwrite=False)
        self._plugin = CallersToken(token, keystone, seconds) if token else None

    @property
    def refused(self) -> bool:
        return self._plugin is not None and self._plugin.refused

    def get_auth_plugin(self) -> CallersToken:
        if self._plugin is None:
            raise NoToken
        return self._plugin
