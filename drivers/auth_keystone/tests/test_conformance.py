"""The kit on tokens of a real Keystone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import lab
import pytest
from glancecore_auth_keystone.driver import KeystoneAuth
from glancecore_auth_keystone.options import OPTIONS

from glancecore.testing.auth import AuthConformance, Caller
from glancecore.testing.settings import make_section

from .asking import ask, configured, token

#: The others are what its middleware makes of this one.
TOKEN = "HTTP_X_AUTH_TOKEN"


class Wrapped(KeystoneAuth):
    """With one middleware for all requests, as the service has it: each asks Keystone for a token of its own."""

    def wrap(self, app):
        if not hasattr(self, "_one"):
            self._one = super().wrap(lambda environ, start: environ["kit.app"](environ, start))
        return lambda environ, start: self._one({**environ, "kit.app": app}, start)


@pytest.fixture(scope="module")
def url() -> str:
    return lab.backend("keystone").url


@pytest.fixture(scope="module")
def tokens(url: str) -> list[str]:
    return [token(url, "demo", "demo"), token(url, "reader", "demo")]


@pytest.fixture(scope="module")
def the_auth(url: str, tmp_path_factory: pytest.TempPathFactory) -> KeystoneAuth:
    return Wrapped(make_section(OPTIONS), configured(url, tmp_path_factory.mktemp("auth") / "conf"))


@pytest.fixture(scope="module")
def the_callers(the_auth: KeystoneAuth, tokens: list[str]) -> Sequence[Caller]:
    found = [(each, ask(the_auth, x_auth_token=each)) for each in tokens]
    assert found[0][1].user != found[1][1].user
    return [Caller({TOKEN: each}, ctx.user, ctx.project, ctx.roles, (each,)) for each, ctx in found]


class TestKeystoneAuth(AuthConformance):
    own = frozenset({TOKEN})

    @pytest.fixture
    def auth(self, the_auth: KeystoneAuth) -> KeystoneAuth:
        return the_auth

    @pytest.fixture
    def callers(self, the_callers: Sequence[Caller]) -> Sequence[Caller]:
        return the_callers

    @pytest.fixture
    def strangers(self) -> Sequence[Mapping[str, str]]:
        return [{TOKEN: "nonsense"}, {TOKEN: ""}]
