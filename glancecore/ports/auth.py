"""What an authentication plugin implements: turn a request into an identity, or refuse it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from glancecore.domain.context import Context
from glancecore.ports.options import Options, Section

if TYPE_CHECKING:
    from wsgiref.types import WSGIApplication, WSGIEnvironment
else:
    WSGIApplication = Callable[..., Iterable[bytes]]
    WSGIEnvironment = dict[str, Any]


class Auth(ABC):
    """One way to authenticate. A plugin that can't be loaded or started stops the start."""

    options: Options = ()
    #: True when anybody who reaches the socket is let in: the server then insists on loopback unless forced.
    open_to_all = False

    def __init__(self, conf: Section) -> None:
        self.conf = conf

    def start(self) -> None:
        """Check the settings once. Raises ConfigError naming option and fix."""

    def wrap(self, app: WSGIApplication) -> WSGIApplication:
        """Put WSGI middleware around ``app`` where the protocol has some; by default none.

        Middleware must let requests without credentials through: ``identify`` refuses them, so that versions and
        health stay public.
        """
        return app

    @abstractmethod
    def identify(self, environ: WSGIEnvironment) -> Context:
        """The caller's identity (``admin`` is decided by policy afterwards). Raises NotAuthenticated.

        Must not trust a header that a client could have sent himself.
        """

    @property
    def challenge(self) -> str:
        """The value of WWW-Authenticate on a 401."""
        return "Keystone"
