"""The kit for authentication can fail: each saboteur breaks one rule, and the test of that rule tells."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pytest
from oslo_config import cfg

from glancecore.domain.context import Context
from glancecore.domain.errors import NotAuthenticated
from glancecore.ports.auth import (
    Auth,
    Scheme,
    TokenService,
    WSGIApplication,
    WSGIEnvironment,
    from_identity_headers,
)
from glancecore.testing.auth import AuthConformance, Caller, make_auth

Kit = AuthConformance
KEY = "HTTP_X_ACME_KEY"
WHO = {"key-of-alice": ("alice", "red"), "key-of-bob": ("bob", "blue")}
CALLERS = [Caller({KEY: key}, user, project, frozenset({"member"}), (key,)) for key, (user, project) in WHO.items()]
STRANGERS = [{KEY: "key-of-nobody"}]


class Keys(Auth):
    """Keeps every rule."""

    plugin_api = "1.0"
    ambient = False
    options = [cfg.IntOpt("most", help="Not used.")]

    def identify(self, environ: WSGIEnvironment) -> Context:
        found = WHO.get(environ.get(KEY, ""))
        if found is None:
            raise NotAuthenticated("a key is required")
        return Context(user=found[0], project=found[1], roles=frozenset({"member"}))

    @property
    def challenge(self) -> str | None:
        return "Acme"


class TestKeys(AuthConformance):
    own = frozenset({KEY})

    @pytest.fixture
    def auth(self) -> Keys:
        return make_auth(Keys)

    @pytest.fixture
    def callers(self) -> Sequence[Caller]:
        return CALLERS

    @pytest.fixture
    def strangers(self) -> Sequence[Mapping[str, Any]]:
        return STRANGERS


class NoHelp(Keys):
    options = [cfg.IntOpt("most")]


class LetsAllIn(Keys):
    def identify(self, environ: WSGIEnvironment) -> Context:
        return super().identify(environ) if KEY in environ else Context(user="nobody")


class SaysThatItIsOpen(Keys):
    open_to_all = True


class TakesCookies(Keys):
    def identify(self, environ: WSGIEnvironment) -> Context:
        return super().identify({KEY: environ.get(KEY) or environ.get("HTTP_COOKIE", "")})


class SaysOpen(Keys):
    scheme = Scheme.OPEN


class SaysProxy(Keys):
    scheme = Scheme.PROXY


class SaysBasic(Keys):
    scheme = Scheme.BASIC


class SaysToken(Keys):
    scheme = Scheme.TOKEN


class HasTokens(Keys):
    @property
    def token_service(self) -> TokenService:
        return TokenService("http://127.0.0.1:5000", "http://127.0.0.1:5000")


class TwoLines(Keys):
    @property
    def challenge(self) -> str:
        return "Acme\r\nX-More: yes"


class NoChallenge(Keys):
    @property
    def challenge(self) -> None:
        return None


class SameProject(Keys):
    def identify(self, environ: WSGIEnvironment) -> Context:
        ctx = super().identify(environ)
        ctx.project = "red"
        return ctx


class MakesAdmins(Keys):
    def identify(self, environ: WSGIEnvironment) -> Context:
        ctx = super().identify(environ)
        ctx.admin = True
        return ctx


class Capitals(Keys):
    def identify(self, environ: WSGIEnvironment) -> Context:
        ctx = super().identify(environ)
        ctx.roles = frozenset({"Member"})
        return ctx


class Remembers(Keys):
    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.known: dict[str, Context] = {}

    def identify(self, environ: WSGIEnvironment) -> Context:
        return self.known.setdefault(environ.get(KEY, ""), super().identify(environ))


class OneAtATime(Keys):
    environ: WSGIEnvironment

    def identify(self, environ: WSGIEnvironment) -> Context:
        import time

        self.environ = environ
        time.sleep(0.001)
        return super().identify(self.environ)


class TakesAnyKey(Keys):
    def identify(self, environ: WSGIEnvironment) -> Context:
        if KEY not in environ:
            raise NotAuthenticated("a key is required")
        return Context(user="alice", project="red", roles=frozenset({"member"}))


class NoSentence(Keys):
    def identify(self, environ: WSGIEnvironment) -> Context:
        try:
            return super().identify(environ)
        except NotAuthenticated:
            raise NotAuthenticated from None


class BelievesIdentityHeaders(Keys):
    def identify(self, environ: WSGIEnvironment) -> Context:
        try:
            return super().identify(environ)
        except NotAuthenticated:
            return from_identity_headers(environ)


class OtherCase(Keys):
    """A header of another spelling counts for more."""

    def identify(self, environ: WSGIEnvironment) -> Context:
        ctx = super().identify(environ)
        ctx.user = environ.get("http_x_user_id", ctx.user)
        return ctx


class BelievesForwarded(Keys):
    def identify(self, environ: WSGIEnvironment) -> Context:
        if environ.get("HTTP_X_FORWARDED_FOR") == "127.0.0.1":
            return Context(user="local")
        return super().identify(environ)


class Strict(Keys):
    def identify(self, environ: WSGIEnvironment) -> Context:
        environ.get(KEY, "").encode("ascii")
        return super().identify(environ)


class TakesIds(Keys):
    """Whatever comes becomes an id."""

    def identify(self, environ: WSGIEnvironment) -> Context:
        return Context(user="alice", project=environ.get(KEY))


class Addresses(Keys):
    def identify(self, environ: WSGIEnvironment) -> Context:
        import ipaddress

        ipaddress.ip_address(environ["REMOTE_ADDR"])
        return super().identify(environ)


class Refuses(Keys):
    def wrap(self, app: WSGIApplication) -> WSGIApplication:
        def wrapped(environ: WSGIEnvironment, start: Any) -> Any:
            if environ.get(KEY) in WHO:
                return app(environ, start)
            start("401 Unauthorized", [("WWW-Authenticate", "Acme")])
            return []

        return wrapped


class Logs(Keys):
    def identify(self, environ: WSGIEnvironment) -> Context:
        logging.getLogger("acme").debug("asked with %s", environ.get(KEY))
        return super().identify(environ)


class Tells(Keys):
    def identify(self, environ: WSGIEnvironment) -> Context:
        try:
            return super().identify(environ)
        except NotAuthenticated:
            raise NotAuthenticated(f"{environ.get(KEY)} is no key") from None


@pytest.mark.parametrize(
    ("saboteur", "test", "more"),
    [
        (NoHelp, Kit.test_options_can_be_declared_and_shown, {}),
        (LetsAllIn, Kit.test_open_to_all_is_honest, {}),
        (SaysThatItIsOpen, Kit.test_open_to_all_is_honest, {}),
        (
            TakesCookies,
            Kit.test_ambient_is_honest,
            {"callers": [Caller({"HTTP_COOKIE": "key-of-alice"}, "alice", "red", frozenset({"member"}))]},
        ),
        *((x, Kit.test_scheme_is_honest, {}) for x in (SaysOpen, SaysProxy, SaysBasic, SaysToken, HasTokens)),
        (TwoLines, Kit.test_the_challenge_can_be_sent, {}),
        (NoChallenge, Kit.test_the_challenge_can_be_sent, {}),
        (SameProject, Kit.test_good_credentials_say_who_one_is, {}),
        (MakesAdmins, Kit.test_it_gives_no_rights_beyond_roles, {}),
        (Capitals, Kit.test_it_gives_no_rights_beyond_roles, {}),
        (Remembers, Kit.test_each_request_has_its_own_context, {}),
        (OneAtATime, Kit.test_many_threads_are_not_mixed_up, {}),
        (TakesAnyKey, Kit.test_wrong_credentials_are_refused, {}),
        (NoSentence, Kit.test_wrong_credentials_are_refused, {}),
        (BelievesIdentityHeaders, Kit.test_what_anybody_may_say_is_not_believed, {"spelling": 0}),
        (OtherCase, Kit.test_what_anybody_may_say_is_not_believed, {"spelling": 3}),
        (BelievesForwarded, Kit.test_all_of_it_at_once_is_not_believed, {}),
        (TakesAnyKey, Kit.test_hostile_values_make_nobody, {"value": "nonsense", "callers": CALLERS[1:]}),
        (Strict, Kit.test_hostile_values_make_nobody, {"value": "\xff\xfe"}),
        (TakesIds, Kit.test_hostile_values_make_nobody, {"value": "a\x00b"}),
        (TakesIds, Kit.test_hostile_values_make_nobody, {"value": "x" * 100_000}),
        (Addresses, Kit.test_no_address_is_too_strange, {"address": "unknown"}),
        (Refuses, Kit.test_its_middleware_lets_everybody_through, {}),
        (Logs, Kit.test_no_credential_is_told, {}),
        (Tells, Kit.test_no_credential_is_told, {}),
    ],
)
def test_the_kit_catches(
    saboteur: type[Auth], test: Callable[..., None], more: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    kit = TestKeys()
    given = {"auth": make_auth(saboteur), "callers": CALLERS, "strangers": STRANGERS, "caplog": caplog, **more}
    wanted = test.__code__.co_varnames[1 : test.__code__.co_argcount]
    with pytest.raises(BaseException) as told:
        test(kit, **{name: given[name] for name in wanted})
    assert isinstance(told.value, AssertionError | pytest.fail.Exception | NotAuthenticated | ValueError), told.value
