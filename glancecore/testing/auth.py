"""The conformance kit for authentication: one test for each rule of ``glancecore.ports.auth``.

class TestMine(AuthConformance):
    @pytest.fixture
    def auth(self): ...         # a started plugin, from make_auth
    @pytest.fixture
    def callers(self): ...      # two Callers at least, who are not the same
    @pytest.fixture
    def strangers(self): ...    # requests with wrong credentials, as a Caller's environ
    own = frozenset({"HTTP_AUTHORIZATION"})
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

import pytest
from oslo_config import cfg

from glancecore.domain.context import Context
from glancecore.domain.errors import NotAuthenticated, TooManyAttempts
from glancecore.ports.auth import IDENTITY, PEER, Auth, Scheme, is_id
from glancecore.testing._plugin import check_hidden, check_options, check_sentence, configured

if TYPE_CHECKING:
    from wsgiref.types import WSGIEnvironment

AnyAuth = TypeVar("AnyAuth", bound=Auth)
#: What the kit lets a stranger say of himself.
SPOOFED = "spoofed"
_NAMES = (
    *sorted(IDENTITY),
    "X-Auth-Token",
    "Authorization",
    "Proxy-Authorization",
    "Remote-User",
    "X-Remote-User",
    "X-Forwarded-User",
    "X-Forwarded-Email",
    "X-Forwarded-For",
    "Forwarded",
    "X-Real-IP",
    "X-User",
    "X-User-Name",
    "X-Project-Name",
    "X-Role",
    "X-Service-Identity-Status",
    "X-Is-Admin-Project",
    "X-SSL-Client-S-DN",
    "Cookie",
)
#: Ways in which a web server may hand a header on.
_SPELLINGS = (
    lambda name: f"HTTP_{name.upper().replace('-', '_')}",
    lambda name: f"HTTP_{name.upper()}",
    lambda name: f"HTTP_{name.lower().replace('-', '_')}",
    lambda name: f"http_{name.lower().replace('-', '_')}",
    lambda name: name.upper().replace("-", "_"),
    lambda name: name,
)
#: Of the server, not of a client: no way to spoof them.
_SERVERS = frozenset({"REMOTE_USER", "AUTHORIZATION"})
HOSTILE = (
    "",
    " ",
    ",",
    ":",
    "\x00",
    "a\x00b",
    "a\r\nX-Roles: admin",
    "\x7f",
    "\xff\xfe",
    "\u00e9\u00e8",
    "\ud800",
    "\U0001f600",
    "x" * 100_000,
    "Basic",
    "Basic ",
    "Basic =",
    "Basic ####",
    "Basic \xff",
    "Basic \ud800",
    "Basic " + "A" * 100_000,
    "Basic Og==",
    "Basic AA==",
    "Basic /////w==",
    "Basic gDpw",
    "Bearer",
    "Bearer \x00",
    "Digest username=x",
    "{}",
    "[]",
    "null",
    "true",
    "-1",
    "None",
    "%00",
    "%s%n",
    "../../etc/passwd",
    "' OR 1=1 --",
    "${jndi:x}",
    "Confirmed,Confirmed",
)
_ADDRESSES = (
    "",
    "unknown",
    "localhost",
    "256.1.1.1",
    "1.2.3.4:80",
    "[::1]",
    "fe80::1%eth0",
    "::ffff:1.2.3.4",
    "\ud800",
    "x" * 10_000,
)
#: A browser adds these to requests that any web site makes it send.
_BROWSERS = frozenset({"HTTP_COOKIE", "REMOTE_USER", "REMOTE_ADDR", PEER})
_BROWSERS_SCHEMES = ("basic", "digest", "negotiate", "ntlm")


@dataclass(frozen=True)
class Caller:
    """Somebody with good credentials: what his requests have in their environ, whom that makes him, and what of it is
    secret."""

    environ: Mapping[str, Any]
    user: str | None
    project: str | None
    roles: frozenset[str]
    secrets: tuple[str, ...] = field(default=(), repr=False)


def make_auth(cls: type[AnyAuth], config: cfg.ConfigOpts | None = None, **options: Any) -> AnyAuth:
    """A started plugin of ``cls`` whose section holds ``options``, and nothing that it did not declare. ``config``:
    with other sections that it reads."""
    auth = cls(*configured("auth", cls.options, options, config))
    auth.start()
    return auth


def request(**more: Any) -> WSGIEnvironment:
    """A request without credentials, from far away."""
    return {
        "REQUEST_METHOD": "GET",
        "SCRIPT_NAME": "",
        "PATH_INFO": "/v2/images",
        "QUERY_STRING": "",
        "SERVER_NAME": "image",
        "SERVER_PORT": "80",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "HTTP_HOST": "image",
        "REMOTE_ADDR": "192.0.2.1",
        "wsgi.url_scheme": "http",
        "wsgi.version": (1, 0),
        **more,
    }


def _start(sent: list[tuple[str, str]]) -> Any:
    def start(_status: str, headers: list[tuple[str, str]], _exc: object = None) -> Any:
        sent.extend(headers)
        return lambda _data: None

    return start


def _shown(text: str) -> str:
    return ascii(text[:20])


class AuthConformance:
    #: Keys of the environ that identities come from. What stands in any other proves nothing.
    own: ClassVar[frozenset[str]] = frozenset()
    #: True: it believes a proxy, whatever that says; False: it checks credentials, so nonsense in them is nobody.
    proxied: ClassVar[bool] = False

    @pytest.fixture
    def auth(self) -> Auth:
        raise NotImplementedError("give the kit a started plugin")

    @pytest.fixture
    def callers(self) -> Sequence[Caller]:
        raise NotImplementedError("give the kit two callers at least")

    @pytest.fixture
    def strangers(self) -> Sequence[Mapping[str, Any]]:
        raise NotImplementedError("give the kit requests with wrong credentials")

    # -- what it says of itself --------------------------------------------------------------------
    def test_options_can_be_declared_and_shown(self, auth: Auth) -> None:
        check_options(auth.options)

    def test_open_to_all_is_honest(self, auth: Auth) -> None:
        """The service insists on loopback for a plugin that lets everybody in, and for no other."""
        if auth.open_to_all:
            ask(auth, {})
        else:
            refused(auth, {})

    def test_ambient_is_honest(self, auth: Auth, callers: Sequence[Caller]) -> None:
        """What a browser sends by itself is nobody's wish: another web site may be behind it."""
        if auth.ambient:
            return
        for caller in callers:
            refused(
                auth,
                {key: value for key, value in caller.environ.items() if _is_of_a_browser(key, value)},
                "set ambient: a browser sends by itself what it takes",
            )

    def test_scheme_is_honest(self, auth: Auth, callers: Sequence[Caller]) -> None:
        """Who logs people in makes credentials of that kind. None: only its own clients can."""
        if auth.scheme is Scheme.OPEN:
            assert auth.open_to_all, "scheme says that nothing is proved, and open_to_all that something is"
        if auth.scheme is Scheme.PROXY:
            assert self.proxied, (
                "scheme says that a proxy tells who it is, and the kit is told that credentials are checked: set"
                " proxied of the kit"
            )
        for caller in callers:
            if auth.scheme is Scheme.BASIC:
                assert str(caller.environ.get("HTTP_AUTHORIZATION", "")).startswith("Basic "), (
                    "scheme says BASIC, and its callers have no Authorization: Basic"
                )
            if auth.scheme is Scheme.TOKEN:
                assert "HTTP_X_AUTH_TOKEN" in caller.environ, "scheme says TOKEN, and its callers have no X-Auth-Token"
        service = auth.token_service
        assert (service is not None) == (auth.scheme is Scheme.TOKEN), (
            "token_service is for Scheme.TOKEN, which can't do without"
        )
        if service is not None:
            assert all(x.startswith(("http://", "https://")) for x in (service.url, service.public_url)), (
                "token_service has URLs"
            )

    def test_the_challenge_can_be_sent(self, auth: Auth) -> None:
        """A 401 has exactly one: the plugin's, or its middleware's own."""
        challenge = auth.challenge
        if challenge is not None:
            assert challenge.isascii(), "a header is ASCII"
            assert challenge.isprintable(), "a header is one line"
            assert challenge.split(), "it needs a scheme"
        if auth.open_to_all:
            return
        sent: list[tuple[str, str]] = []

        def app(_environ: WSGIEnvironment, start: Any) -> Iterable[bytes]:
            start("401 Unauthorized", [] if challenge is None else [("WWW-Authenticate", challenge)])
            return []

        list(auth.wrap(app)(request(), _start(sent)))
        assert sum(name.lower() == "www-authenticate" for name, _ in sent) == 1, f"a 401 has one challenge: {sent}"

    # -- who one is --------------------------------------------------------------------------------
    def test_good_credentials_say_who_one_is(self, auth: Auth, callers: Sequence[Caller]) -> None:
        for caller in callers:
            for _ in range(2):  # the second answer may come from a memory
                is_caller(ask(auth, caller.environ), caller)

    def test_it_gives_no_rights_beyond_roles(self, auth: Auth, callers: Sequence[Caller]) -> None:
        """``admin`` and ``authorized`` are for policies."""
        for caller in callers:
            ctx = ask(auth, caller.environ)
            assert not ctx.admin, "policy decides who is admin"
            assert not ctx.authorized, "the authorizer says that"
            assert isinstance(ctx.roles, frozenset)
            assert all(role == role.lower() for role in ctx.roles), "roles are lower case"

    def test_each_request_has_its_own_context(self, auth: Auth, callers: Sequence[Caller]) -> None:
        """The service writes into it."""
        one, two = ask(auth, callers[0].environ), ask(auth, callers[0].environ)
        assert one is not two, "the context of another request was given"
        assert one.request_id != two.request_id

    def test_many_threads_are_not_mixed_up(self, auth: Auth, callers: Sequence[Caller]) -> None:
        asked = [*callers] * 25
        with ThreadPoolExecutor(16) as pool:
            for caller, ctx in zip(asked, pool.map(lambda caller: ask(auth, caller.environ), asked), strict=True):
                is_caller(ctx, caller)

    # -- who one is not ----------------------------------------------------------------------------
    def test_wrong_credentials_are_refused(self, auth: Auth, strangers: Sequence[Mapping[str, Any]]) -> None:
        if not auth.open_to_all:
            assert strangers, "name some"
        for environ in strangers:
            check_sentence(refused(auth, environ))

    @pytest.mark.parametrize("spelling", range(len(_SPELLINGS)))
    def test_what_anybody_may_say_is_not_believed(self, auth: Auth, callers: Sequence[Caller], spelling: int) -> None:
        for name in _NAMES:
            key = _SPELLINGS[spelling](name)
            if key in self.own or key in _SERVERS:
                continue
            for value in (SPOOFED, "Confirmed", "admin", "127.0.0.1", "for=127.0.0.1", "all"):
                said = (
                    {"HTTP_X_IDENTITY_STATUS": "Confirmed", key: value}
                    if "HTTP_X_IDENTITY_STATUS" not in self.own
                    else {key: value}
                )
                if not auth.open_to_all:
                    refused(auth, said, f"{key} is not its own, and was believed")
                is_caller(ask(auth, {**said, **callers[0].environ}), callers[0])

    def test_all_of_it_at_once_is_not_believed(self, auth: Auth) -> None:
        if auth.open_to_all:
            return
        said = {
            "HTTP_X_IDENTITY_STATUS": "Confirmed",
            "HTTP_X_USER_ID": SPOOFED,
            "HTTP_X_PROJECT_ID": SPOOFED,
            "HTTP_X_ROLES": "admin",
            "HTTP_X_FORWARDED_FOR": "127.0.0.1",
            "HTTP_FORWARDED": "for=127.0.0.1",
            "HTTP_X_REAL_IP": "127.0.0.1",
            "HTTP_X_REMOTE_USER": SPOOFED,
        }
        refused(auth, said)

    @pytest.mark.parametrize("value", HOSTILE, ids=_shown)
    def test_hostile_values_make_nobody(self, auth: Auth, callers: Sequence[Caller], value: str) -> None:
        for key in sorted(self.own):
            environ = {**callers[0].environ, key: value}
            try:
                ctx = ask(auth, environ)
            except (NotAuthenticated, TooManyAttempts) as exc:
                check_sentence(exc)
                continue
            assert self.proxied or auth.open_to_all or ctx.user == callers[0].user, (
                f"{key} = {value[:40]!r} made somebody else"
            )
            check_storable(ctx)

    @pytest.mark.parametrize("address", _ADDRESSES, ids=_shown)
    def test_no_address_is_too_strange(self, auth: Auth, callers: Sequence[Caller], address: str) -> None:
        for environ in ({}, callers[0].environ):
            try:
                ask(auth, {**environ, "REMOTE_ADDR": address})
            except (NotAuthenticated, TooManyAttempts) as exc:
                check_sentence(exc)

    # -- the way there -----------------------------------------------------------------------------
    def test_its_middleware_lets_everybody_through(
        self, auth: Auth, callers: Sequence[Caller], strangers: Sequence[Mapping[str, Any]]
    ) -> None:
        """Versions and health are public: ``identify`` refuses."""
        came: list[WSGIEnvironment] = []

        def app(environ: WSGIEnvironment, start: Any) -> Iterable[bytes]:
            came.append(environ)
            start("200 OK", [])
            return []

        wrapped = auth.wrap(app)
        asked = [{}, *strangers, *(x.environ for x in callers)]
        for environ in asked:
            list(wrapped(request(**environ), _start([])))
        assert len(came) == len(asked), "a request did not come through: let identify refuse it"

    def test_no_credential_is_told(
        self, auth: Auth, callers: Sequence[Caller], caplog: pytest.LogCaptureFixture
    ) -> None:
        """In no log, at no level, and in no error."""
        caplog.set_level(logging.DEBUG)
        said: list[object] = []
        for caller in callers:
            said.append(ask(auth, caller.environ))
            for key, value in caller.environ.items():
                if key in self.own and isinstance(value, str):
                    for wrong in (f"{value}x", value[:-1], f"x{value}"):
                        try:
                            said.append(ask(auth, {**caller.environ, key: wrong}))
                        except (NotAuthenticated, TooManyAttempts) as exc:
                            said.append(exc)
        check_hidden([x for caller in callers for x in caller.secrets], caplog.text, *said)


def ask(auth: Auth, environ: Mapping[str, Any]) -> Context:
    """Whom the plugin takes a request for, behind its own middleware. Raises what ``identify`` raises."""
    found: list[Context | Exception] = []

    def app(environ: WSGIEnvironment, start: Any) -> Iterable[bytes]:
        try:
            found.append(auth.identify(environ))
        except Exception as exc:  # noqa: BLE001 (raised below, past the middleware)
            found.append(exc)
        start("200 OK", [])
        return []

    list(auth.wrap(app)(request(**environ), _start([])))
    assert found, "the request did not come through the middleware"
    if isinstance(found[0], Exception):
        raise found[0]
    assert isinstance(found[0], Context), "identify gives a Context"
    return found[0]


def refused(auth: Auth, environ: Mapping[str, Any], why: str = "nobody was taken for somebody") -> Exception:
    try:
        ctx = ask(auth, environ)
    except (NotAuthenticated, TooManyAttempts) as exc:
        return exc
    pytest.fail(f"{why}: {sorted(environ)} made {ctx}")


def is_caller(ctx: Context, caller: Caller) -> None:
    assert (ctx.user, ctx.project, ctx.roles) == (caller.user, caller.project, caller.roles)


def check_storable(ctx: Context) -> None:
    """Ids become owners of images: databases take no others."""
    for each in (ctx.user, ctx.project, ctx.user_domain, ctx.project_domain):
        if each is not None:
            assert isinstance(each, str)
            assert is_id(each), f"an id that can't be written: {len(each)} characters, {each[:40]!r}"


def _is_of_a_browser(key: str, value: object) -> bool:
    if key == "HTTP_AUTHORIZATION":
        return str(value).partition(" ")[0].lower() in _BROWSERS_SCHEMES
    return key in _BROWSERS or key.startswith("SSL_")
