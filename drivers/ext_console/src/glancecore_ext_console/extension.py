"""The ``console`` extension."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import timedelta
from typing import TYPE_CHECKING, ClassVar

from glancecore.domain.errors import ConfigError
from glancecore.ports.auth import Scheme
from glancecore.ports.extension import Background, Extension, Kernel, Subscriptions
from glancecore.ports.http import Route
from glancecore.ports.options import Section
from glancecore.ports.periodic import PeriodicJob
from glancecore.ports.site import Entrance
from glancecore_ext_console.evacuations import EVACUATED, EVACUATIONS, Evacuations
from glancecore_ext_console.events import EVENTS, Recorder
from glancecore_ext_console.jobs import Sweep
from glancecore_ext_console.options import OPTIONS
from glancecore_ext_console.rules import RULES
from glancecore_ext_console.sealing import Keys, read_secret
from glancecore_ext_console.sessions import SESSIONS, Lifetime, Sessions
from glancecore_ext_console.trials import TRIALS, Trials
from glancecore_ext_console.ways import BasicWay, OpenWay, ProxyWay, Way

if TYPE_CHECKING:
    from glancecore_ext_console.entrance import Visitors
    from glancecore_ext_console.routes import Routes

#: Nothing from elsewhere, nothing inline, in nobody's frame.
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; font-src"
    " 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
)
HEADERS = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), display-capture=(), geolocation=(), microphone=(), payment=(), usb=()",
    "Cache-Control": "no-store",
}
_WAYS: Mapping[Scheme, type[Way]] = {Scheme.OPEN: OpenWay, Scheme.BASIC: BasicWay, Scheme.PROXY: ProxyWay}


class Console(Extension):
    """Pages for a browser, sessions for people, and an entrance into the API for both."""

    plugin_api = "1.0"
    title = "A console in the browser"
    options = OPTIONS
    rules = RULES
    collections = (SESSIONS, EVENTS, TRIALS, EVACUATIONS)
    events = ("console.drain", EVACUATED.value)
    jobs: ClassVar[Mapping[str, type[PeriodicJob]]] = {"console_sweep": Sweep}
    site_headers: ClassVar[Mapping[str, Mapping[str, str]]] = {"/console": HEADERS}

    def __init__(self, conf: Section, kernel: Kernel) -> None:
        super().__init__(conf, kernel)
        keys = Keys(read_secret(conf.secret_file))
        self.sessions = Sessions(
            kernel,
            keys,
            Lifetime(timedelta(minutes=conf.idle_minutes), timedelta(hours=conf.session_hours), conf.sessions_per_user),
        )
        self.way = self._way()
        self.trials = Trials(kernel)
        self.evacuations = Evacuations(kernel)
        self.recorder = Recorder(kernel, timedelta(hours=conf.event_hours))

    def routes(self) -> Iterable[Route]:
        from glancecore_ext_console import pages  # these load the web framework
        from glancecore_ext_console.operate import Operate
        from glancecore_ext_console.routes import Routes
        from glancecore_ext_console.store_routes import StoreRoutes

        session = Routes(self.kernel, self.sessions, self._visitors(), self.way, self.conf.upload_chunk_mib << 20)
        return [
            *pages.Pages(pages.STATIC).table(),
            *session.table(),
            *self._of_keystone(session),
            *Operate(self.kernel, self.recorder, self.trials, self.evacuations).table(),
            *StoreRoutes(self.kernel, self.evacuations).table(),
        ]

    def entrances(self) -> Iterable[Entrance]:
        return [self._visitors().entrance()]

    def background(self) -> Iterable[Background]:
        return [self.recorder, self.trials.workers, self.evacuations.workers]

    def subscribe(self, on: Subscriptions) -> None:
        on.committed(self.recorder.tell)

    def _of_keystone(self, session: Routes) -> Iterable[Route]:
        if self.kernel.identity.scheme is not Scheme.TOKEN:
            return ()  # without Keystone's libraries
        from glancecore_ext_console.keystone import KeystoneWay
        from glancecore_ext_console.keystone_routes import KeystoneRoutes

        if not isinstance(self.way, KeystoneWay):
            return ()
        return KeystoneRoutes(session, self.sessions, self._visitors(), self.way).table()

    def _visitors(self) -> Visitors:
        from glancecore_ext_console.entrance import Visitors

        return Visitors(self.sessions, self.way)

    def _way(self) -> Way:
        scheme = self.kernel.identity.scheme
        if scheme is Scheme.TOKEN:
            # it loads libraries that other ways have no use for
            from glancecore_ext_console.keystone import KeystoneWay

            return KeystoneWay(self.kernel, self.conf)
        if scheme is None or scheme not in _WAYS:
            raise ConfigError(
                "[DEFAULT] enabled_extensions = console: the plugin of [DEFAULT] auth_strategy does not say how people"
                " log in; choose none, basic, keystone or headers there, or take console out"
            )
        return _WAYS[scheme](self.kernel)
