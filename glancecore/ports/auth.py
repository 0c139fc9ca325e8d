"""What an authentication plugin implements: turn a request into an identity, or refuse it."""

from __future__ import annotations

import enum
import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from oslo_config import cfg

from glancecore.domain.context import Context
from glancecore.domain.errors import NotAuthenticated
from glancecore.ports.options import Options, Section
from glancecore.ports.plugin import Plugin

if TYPE_CHECKING:
    from wsgiref.types import WSGIApplication, WSGIEnvironment
else:
    WSGIApplication = Callable[..., Iterable[bytes]]
    WSGIEnvironment = dict[str, Any]


#: In a request's environ: the address at the other end of the connection, whatever headers say; empty for a Unix
#: socket.
PEER = "glancecore.peer"
#: In a request's environ, where the server tells: the names, in capitals, of the header fields that came more than
#: once.
REPEATED = "glancecore.repeated"


class Scheme(enum.StrEnum):
    """How a caller proves who he is: what must know it is whoever logs people in on his behalf."""

    #: By nothing: who reaches the socket may do everything.
    OPEN = "open"
    #: A user's name and his password with each request, as RFC 7617 has it.
    BASIC = "basic"
    #: A token of Keystone's in X-Auth-Token; ``Auth.token_service`` says where they are had.
    TOKEN = "token"  # noqa: S105 (a name)
    #: A proxy before us adds who it is.
    PROXY = "proxy"


@dataclass(frozen=True, slots=True)
class TokenService:
    """Keystone: its URL as this service reaches it, and as browsers do. ``verify``: whether its certificate is checked,
    or by which file of authorities; ``cert``: files of this service's own certificate and key. ``timeout`` in
    seconds."""

    url: str
    public_url: str
    verify: bool | str = True
    cert: tuple[str, str] | None = None
    timeout: float = 30.0


class Auth(Plugin, ABC):
    """One way to authenticate; the kit ``glancecore.testing.auth`` checks each rule. A plugin that can't be loaded or
    started stops the start."""

    options: Options = ()
    #: True when anybody who reaches the socket is let in: the server then insists on loopback unless forced.
    open_to_all = False
    #: True when a browser, or a proxy before us, adds the caller's rights to requests that another web site makes it
    #: send: those are refused.
    ambient = True
    #: The request headers that credentials come in: who sends one is never taken for a caller without any.
    credentials: Collection[str] = ()
    #: None: in a way of its own, which only its own clients know.
    scheme: Scheme | None = None

    def __init__(self, conf: Section, config: cfg.ConfigOpts) -> None:
        """``conf`` is the plugin's own section; ``config`` the whole, for oslo libraries with sections of their own."""
        self.conf = conf
        self.config = config

    def start(self) -> None:
        """Check the settings once. Raises ConfigError naming option and fix."""

    def wrap(self, app: WSGIApplication) -> WSGIApplication:
        """Put WSGI middleware around ``app`` where the protocol has some; by default none.

        Middleware must let requests without credentials through: ``identify`` refuses them, so that versions and
        health stay public.
        """
        return app

    def complaints(self) -> list[str]:
        """What is configured but does not work at the moment, each with option, cause and fix; asked by
        ``glance-plugins check`` only, and may wait for other services. By default nothing. Raises ConfigError."""
        return []

    @abstractmethod
    def identify(self, environ: WSGIEnvironment) -> Context:
        """The caller's identity, a Context of its own for each request (``admin`` is decided by policy afterwards).
        Raises NotAuthenticated, TooManyAttempts, and nothing else, whatever the request has in it.

        Must not trust a header that a client could have sent himself. Ids are such that ``is_id`` takes them. Called by
        several threads at once."""

    @property
    def token_service(self) -> TokenService | None:
        """Where callers get what they prove themselves with, for ``Scheme.TOKEN``. Raises ConfigError."""
        return None

    @property
    def challenge(self) -> str | None:
        """The value of WWW-Authenticate on a 401; None where the plugin's middleware says it."""
        return "Keystone"


#: Characters of the id of a user, a project or a domain: databases have room for no more.
LONGEST_ID = 255
_UNWRITABLE = re.compile("[\x00-\x1f\x7f\ud800-\udfff]")
#: The headers of an identity.
IDENTITY = frozenset(
    {
        "X-IDENTITY-STATUS",
        "X-USER-ID",
        "X-PROJECT-ID",
        "X-TENANT-ID",
        "X-ROLES",
        "X-USER-DOMAIN-ID",
        "X-PROJECT-DOMAIN-ID",
        "OPENSTACK-SYSTEM-SCOPE",
    }
)


def is_id(text: str) -> bool:
    """Whether databases take it as the id of a user, a project or a domain."""
    return len(text) <= LONGEST_ID and not _UNWRITABLE.search(text)


def from_identity_headers(environ: WSGIEnvironment) -> Context:
    """The identity in the headers that keystonemiddleware, or a proxy that acts like it, has set.

    The caller guarantees that they are not the client's own. Raises NotAuthenticated unless they say Confirmed, and for
    ids that are none."""
    if environ.get("HTTP_X_IDENTITY_STATUS") != "Confirmed":
        raise NotAuthenticated("authentication is required")
    roles = environ.get("HTTP_X_ROLES", "").lower()
    return Context(
        user=_id(environ, "HTTP_X_USER_ID"),
        project=_id(environ, "HTTP_X_PROJECT_ID") or _id(environ, "HTTP_X_TENANT_ID"),
        roles=frozenset(x.strip() for x in roles.split(",") if x.strip()),
        token=environ.get("HTTP_X_AUTH_TOKEN"),
        user_domain=_id(environ, "HTTP_X_USER_DOMAIN_ID"),
        project_domain=_id(environ, "HTTP_X_PROJECT_DOMAIN_ID"),
        system_scope=environ.get("HTTP_OPENSTACK_SYSTEM_SCOPE"),
    )


def _id(environ: WSGIEnvironment, key: str) -> str | None:
    found: str | None = environ.get(key)
    if found is not None and not is_id(found):
        raise NotAuthenticated(
            f"{key.removeprefix('HTTP_').replace('_', '-').title()}: an id has at most {LONGEST_ID} characters, and no"
            " control characters"
        )
    return found
