"""Tokens of a real Keystone."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

import lab
import pytest
from glancecore_auth_keystone.driver import KeystoneAuth
from glancecore_auth_keystone.options import OPTIONS, list_opts
from keystoneauth1 import session
from keystoneauth1.identity import v3
from oslo_config import cfg

from glancecore.domain.context import Context
from glancecore.domain.errors import ConfigError, NotAuthenticated
from glancecore.testing.settings import make_section

if TYPE_CHECKING:
    from pathlib import Path
    from wsgiref.types import StartResponse, WSGIEnvironment

PASSWORD = "secret"  # of every user that tests/backends/keystone_setup.py makes


@pytest.fixture(scope="module")
def url() -> str:
    return lab.backend("keystone").url


def _configured(url: str, file: Path, **more: str) -> cfg.ConfigOpts:
    options = {"auth_type": "password", "auth_url": url, "www_authenticate_uri": url, "username": "glance", "password": PASSWORD,
               "project_name": "service", "user_domain_id": "default", "project_domain_id": "default", **more}
    file.write_text("[keystone_authtoken]\n" + "".join(f"{key} = {value}\n" for key, value in options.items() if value))
    conf = cfg.ConfigOpts()
    conf([], default_config_files=[str(file)], default_config_dirs=[])
    return conf


@pytest.fixture
def auth(url: str, tmp_path: Path) -> KeystoneAuth:
    return KeystoneAuth(make_section(OPTIONS), _configured(url, tmp_path / "conf"))


def _token(url: str, user: str, project: str | None) -> str:
    scope = {"project_name": project, "project_domain_id": "default"} if project else {"system_scope": "all"}
    found = session.Session(v3.Password(auth_url=url, username=user, password=PASSWORD, user_domain_id="default", **scope)).get_token()
    assert found
    return found


def _ask(auth: KeystoneAuth, **headers: str) -> Context:
    """What the application is told of a request with these headers."""
    seen: list[Context] = []

    def app(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        seen.append(auth.identify(environ))
        start_response("200 OK", [])
        return []

    environ = {"REQUEST_METHOD": "GET", "PATH_INFO": "/", "SERVER_NAME": "x", "SERVER_PORT": "80", "wsgi.url_scheme": "http",
               **{f"HTTP_{name.upper()}": value for name, value in headers.items()}}
    list(auth.wrap(app)(environ, lambda _status, _headers, _exc=None: lambda _data: None))
    return seen[0]


@pytest.mark.parametrize(("user", "project", "roles"), [
    ("admin", "admin", {"admin", "member", "reader"}), ("demo", "demo", {"member", "reader"}), ("reader", "demo", {"reader"}),
    ("glance", "service", {"service", "admin", "member", "reader"})])
def test_a_token_says_who_one_is(auth: KeystoneAuth, url: str, user: str, project: str, roles: set[str]) -> None:
    ctx = _ask(auth, x_auth_token=_token(url, user, project))
    assert roles <= ctx.roles
    assert len(ctx.user or "") == 32
    assert len(ctx.project or "") == 32
    assert ctx.project_domain == "default"
    assert not ctx.admin, "that is for the policy to say"


def test_a_system_token_has_no_project(auth: KeystoneAuth, url: str) -> None:
    ctx = _ask(auth, x_auth_token=_token(url, "system_reader", None))
    assert (ctx.project, ctx.system_scope) == (None, "all")
    assert "reader" in ctx.roles


@pytest.mark.parametrize("headers", [
    {}, {"x_auth_token": "nonsense"}, {"x_auth_token": ""},
    {"x_identity_status": "Confirmed", "x_user_id": "admin", "x_project_id": "admin", "x_roles": "admin"}])
def test_without_a_valid_token_one_is_nobody(auth: KeystoneAuth, headers: dict[str, str]) -> None:
    with pytest.raises(NotAuthenticated):
        _ask(auth, **headers)


def test_a_token_beats_headers_that_the_client_made_up(auth: KeystoneAuth, url: str) -> None:
    ctx = _ask(auth, x_auth_token=_token(url, "reader", "demo"), x_roles="admin", x_user_id="admin", x_project_id="admin")
    assert "admin" not in ctx.roles
    assert ctx.user != "admin"


def test_the_challenge_names_keystone(auth: KeystoneAuth, url: str) -> None:
    auth.wrap(lambda _environ, _start: [])
    assert auth.challenge == f'Keystone uri="{url}"'


def test_settings_that_are_missing_stop_the_start(url: str, tmp_path: Path) -> None:
    auth = KeystoneAuth(make_section(OPTIONS), _configured(url, tmp_path / "conf", auth_type=""))
    with pytest.raises(ConfigError, match=r"\[keystone_authtoken\] auth_type"):
        auth.wrap(lambda _environ, _start: [])


def test_options_are_listed_for_the_sample() -> None:
    assert list_opts() == [("auth_keystone", [])]
