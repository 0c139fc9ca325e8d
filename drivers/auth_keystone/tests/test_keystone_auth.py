"""Tokens of a real Keystone."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import lab
import pytest
import requests
from glancecore_auth_keystone.driver import KeystoneAuth
from glancecore_auth_keystone.options import OPTIONS, list_opts

from glancecore.domain.errors import ConfigError, NotAuthenticated
from glancecore.testing.settings import make_section

from .asking import ask, configured, request, token

if TYPE_CHECKING:
    from wsgiref.types import StartResponse, WSGIEnvironment


@pytest.fixture(scope="module")
def url() -> str:
    return lab.backend("keystone").url


@pytest.fixture
def auth(url: str, tmp_path: Path) -> KeystoneAuth:
    return KeystoneAuth(make_section(OPTIONS), configured(url, tmp_path / "conf"))


@pytest.mark.parametrize(
    ("user", "project", "roles"),
    [
        ("admin", "admin", {"admin", "member", "reader"}),
        ("demo", "demo", {"member", "reader"}),
        ("reader", "demo", {"reader"}),
        ("glance", "service", {"service", "admin", "member", "reader"}),
    ],
)
def test_a_token_says_who_one_is(auth: KeystoneAuth, url: str, user: str, project: str, roles: set[str]) -> None:
    ctx = ask(auth, x_auth_token=token(url, user, project))
    assert roles <= ctx.roles
    assert len(ctx.user or "") == 32
    assert len(ctx.project or "") == 32
    assert ctx.project_domain == "default"
    assert not ctx.admin, "that is for the policy to say"


@pytest.mark.parametrize("path", ["/", "/v2/images"])
def test_a_credential_for_some_requests_only(auth: KeystoneAuth, url: str, path: str) -> None:
    """Without a word of the operator: the service is of type image. ``ask`` asks for /."""
    lab.up("keystone", "narrow", "http://127.0.0.1:9292")  # which the catalogue must have
    of = token(url, "demo", "demo")
    keystone = {"X-Auth-Token": of, "X-Subject-Token": of}
    user = requests.get(f"{url}/auth/tokens", headers=keystone, timeout=30).json()["token"]["user"]["id"]
    where = f"{url}/users/{user}/application_credentials"
    rules = [{"path": path, "method": "GET", "service": "image"}]
    wanted = {"application_credential": {"name": f"some-{time.time_ns()}", "access_rules": rules}}
    made = requests.post(where, json=wanted, headers=keystone, timeout=30).json()["application_credential"]
    identity = {"methods": ["application_credential"], "application_credential": {x: made[x] for x in ("id", "secret")}}
    answer = requests.post(f"{url}/auth/tokens", json={"auth": {"identity": identity}}, timeout=30)
    narrow = answer.headers["X-Subject-Token"]
    try:
        if path == "/":
            assert ask(auth, x_auth_token=narrow).user == user
        else:
            with pytest.raises(NotAuthenticated):
                ask(auth, x_auth_token=narrow)
    finally:
        requests.delete(f"{where}/{made['id']}", headers=keystone, timeout=30)


def test_a_system_token_has_no_project(auth: KeystoneAuth, url: str) -> None:
    ctx = ask(auth, x_auth_token=token(url, "system_reader", None))
    assert (ctx.project, ctx.system_scope) == (None, "all")
    assert "reader" in ctx.roles


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"x_auth_token": "nonsense"},
        {"x_auth_token": ""},
        {"x_identity_status": "Confirmed", "x_user_id": "admin", "x_project_id": "admin", "x_roles": "admin"},
    ],
)
def test_without_a_valid_token_one_is_nobody(auth: KeystoneAuth, headers: dict[str, str]) -> None:
    with pytest.raises(NotAuthenticated):
        ask(auth, **headers)


def test_a_token_beats_headers_that_the_client_made_up(auth: KeystoneAuth, url: str) -> None:
    ctx = ask(auth, x_auth_token=token(url, "reader", "demo"), x_roles="admin", x_user_id="admin", x_project_id="admin")
    assert "admin" not in ctx.roles
    assert ctx.user != "admin"


def test_the_challenge_names_keystone_once(auth: KeystoneAuth, url: str) -> None:
    def app(_environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        start_response("401 Unauthorized", [("WWW-Authenticate", auth.challenge)] if auth.challenge else [])
        return []

    sent: list[tuple[str, str]] = []

    def start_response(_status: str, headers: list[tuple[str, str]], _exc: object = None) -> Callable[[bytes], object]:
        sent.extend(headers)
        return lambda _data: None

    list(auth.wrap(app)(request(), start_response))
    assert [x for x in sent if x[0] == "WWW-Authenticate"] == [("WWW-Authenticate", f'Keystone uri="{url}"')]


def test_settings_that_are_missing_stop_the_start(url: str, tmp_path: Path) -> None:
    auth = KeystoneAuth(make_section(OPTIONS), configured(url, tmp_path / "conf", auth_type=""))
    with pytest.raises(ConfigError, match=r"\[keystone_authtoken\] auth_type"):
        auth.wrap(lambda _environ, _start: [])


def test_options_are_listed_for_the_sample() -> None:
    assert list_opts() == [("auth_keystone", [])]
