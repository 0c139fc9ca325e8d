"""Requests that another web site makes a browser send.

Where a browser brings the caller's rights by itself (it remembers passwords, it is inside the network, a proxy knows
its cookie), any page that the user looks at could have it create or delete images. Browsers say where such a request
comes from; clients that are none say nothing."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from urllib.parse import urlsplit

from flask import Request

from glancecore.domain import errors
from glancecore.domain.text import shortened
from glancecore.http.outside import ASKED


@dataclass(frozen=True, slots=True)
class CrossSite:
    """``origins``: the web sites that may ([cors] allowed_origin; * is any). ``endpoint``: URL of this service, where
    it is known. ``inside``: it listens on loopback, and who reaches it may do everything."""

    origins: frozenset[str] = frozenset()
    endpoint: str | None = None
    inside: bool = False

    def refuse_name(self, request: Request) -> None:
        """Raises Forbidden for a name that is not ours: a page whose own name is made to lead to this machine reads and
        changes as if it were one of ours (DNS rebinding), and a browser says nothing of it."""
        asked = str(request.environ.get(ASKED, ""))
        if not (self.inside and asked):  # every browser names a host
            return
        name = _name(f"//{asked}")
        if not (
            _is_address(name)
            or name == "localhost"
            or name.endswith(".localhost")
            or (name and name == _name(self.endpoint or ""))
        ):
            raise errors.Forbidden(
                f"Host: {shortened(asked)} is no name of this service; use its address, or localhost, or set [DEFAULT]"
                " public_endpoint"
            )

    def refuse(self, request: Request) -> None:
        """Raises Forbidden for a request from a web site that may not send any."""
        origin = request.headers.get("Origin")
        site = request.headers.get("Sec-Fetch-Site")
        if "*" in self.origins or (origin is not None and origin in self.origins):
            return
        if site not in (None, "same-origin", "none"):
            raise errors.Forbidden(
                f"a request from another web site ({shortened(origin or site or '')}): let it in by [cors]"
                " allowed_origin"
            )
        if origin is not None and site is None and _place(origin) not in self._own(request):
            raise errors.Forbidden(
                f"a request from another web site ({shortened(origin)}): let it in by [cors] allowed_origin"
            )

    def _own(self, request: Request) -> set[str]:
        asked = str(request.environ.get(ASKED, "")) if self.inside else ""  # judged by ``refuse_name``
        return {request.host, asked, _place(self.endpoint or "")} - {""}


def _name(url: str) -> str:
    """Without the port; empty for what is no URL."""
    try:
        return urlsplit(url).hostname or ""
    except ValueError:
        return ""


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def _place(origin: str) -> str:
    """Host and port; empty for ``null`` and for what is no origin."""
    try:
        return urlsplit(origin).netloc
    except ValueError:
        return ""
