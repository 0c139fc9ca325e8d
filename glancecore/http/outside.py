"""Where clients see this service, and from where they come: the operator's word, or that of the proxies in front. The
one place that makes ``request.root_url``, which every absolute link begins with, and ``request.remote_addr``."""

from __future__ import annotations

import contextlib
import ipaddress
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from werkzeug.http import parse_list_header, unquote_header_value
from werkzeug.middleware.proxy_fix import ProxyFix

from glancecore.domain.errors import ConfigError
from glancecore.ports.auth import PEER

if TYPE_CHECKING:
    from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment


#: Where the WSGI environment has the Host that the client itself sent.
ASKED = "glancecore.asked_host"


@dataclass(frozen=True, slots=True)
class OutsideSettings:
    """``public_endpoint``: the URL that clients know. ``proxies``: how many in front are believed, 0 for none; each
    adds its word to the right. ``forwarded``: they speak by the header Forwarded (RFC 7239), else by X-Forwarded-For,
    -Proto, -Host and -Prefix."""

    public_endpoint: str | None = None
    proxies: int = 0
    forwarded: bool = False


class Outside:
    """WSGI middleware, around everything else."""

    def __init__(self, app: WSGIApplication, settings: OutsideSettings) -> None:
        self._app = app
        self._settings = settings
        hops = 0 if settings.forwarded else settings.proxies
        self._fixed = ProxyFix(self._run, x_for=hops, x_proto=hops, x_host=hops, x_port=0, x_prefix=hops)
        self._endpoint = _endpoint(settings.public_endpoint)

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        environ[PEER] = environ.get("REMOTE_ADDR") or ""
        environ[ASKED] = environ.get("HTTP_HOST", "")
        if self._settings.forwarded and self._settings.proxies:
            self._believe(environ)
        return self._fixed(environ, start_response)

    def _run(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        try:
            ipaddress.ip_address(environ.get("REMOTE_ADDR") or "")
        except ValueError:  # a proxy may write "unknown"
            environ["REMOTE_ADDR"] = environ[PEER]
        if self._endpoint:
            environ["wsgi.url_scheme"], environ["HTTP_HOST"], environ["SCRIPT_NAME"] = self._endpoint
        return self._app(environ, start_response)

    def _believe(self, environ: WSGIEnvironment) -> None:
        """What the outermost of our own proxies has said."""
        words = parse_list_header(environ.get("HTTP_FORWARDED", ""))
        if len(words) < self._settings.proxies:
            return
        said: dict[str, str] = {}
        for pair in words[-self._settings.proxies].split(";"):
            name, _, value = pair.partition("=")
            said[name.strip().lower()] = unquote_header_value(value.strip())
        if said.get("proto") in ("http", "https"):
            environ["wsgi.url_scheme"] = said["proto"]
        if said.get("host"):
            environ["HTTP_HOST"] = said["host"]
        if said.get("for"):
            environ["REMOTE_ADDR"] = _address(said["for"])


def _address(node: str) -> str:
    """Without a port; RFC 7239 has IPv6 addresses in brackets."""
    if node.startswith("["):
        return node[1:].partition("]")[0]
    with contextlib.suppress(ValueError):
        return str(ipaddress.ip_address(node))
    return node.partition(":")[0]


def _endpoint(url: str | None) -> tuple[str, str, str] | None:
    """Scheme, host and path. Raises ConfigError."""
    if not url:
        return None
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.netloc or parts.query or parts.fragment:
        raise ConfigError(
            f"[DEFAULT] public_endpoint = {url}: give the URL that clients know, such as https://images.example.org/image"
        )
    return parts.scheme, parts.netloc, parts.path.rstrip("/")
