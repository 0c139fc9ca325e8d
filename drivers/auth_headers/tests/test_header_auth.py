"""Whose identity headers are believed."""

from __future__ import annotations

import pytest
from glancecore_auth_headers.driver import HeaderAuth
from glancecore_auth_headers.options import OPTIONS, list_opts
from oslo_config import cfg

from glancecore.domain.errors import ConfigError, NotAuthenticated
from glancecore.http.outside import Outside, OutsideSettings
from glancecore.ports.auth import REPEATED
from glancecore.testing.settings import make_section

HEADERS = {
    "HTTP_X_IDENTITY_STATUS": "Confirmed",
    "HTTP_X_USER_ID": "alice",
    "HTTP_X_PROJECT_ID": "red",
    "HTTP_X_ROLES": "Member, READER",
    "HTTP_X_USER_DOMAIN_ID": "default",
}


def _auth(*trusted: str) -> HeaderAuth:
    options = {"trusted_addresses": list(trusted)} if trusted else {}
    auth = HeaderAuth(make_section(OPTIONS, **options), cfg.ConfigOpts())
    auth.start()
    return auth


@pytest.mark.parametrize("address", ["127.0.0.1", "127.9.9.9", "::1", "", None])
def test_loopback_and_unix_sockets_are_believed(address: str | None) -> None:
    ctx = _auth().identify({**HEADERS, "REMOTE_ADDR": address})
    assert (ctx.user, ctx.project, ctx.roles) == ("alice", "red", frozenset({"member", "reader"}))
    assert not ctx.admin, "that is for the policy to say"


@pytest.mark.parametrize("address", ["192.0.2.1", "10.0.0.1", "::ffff:192.0.2.1", "2001:db8::1"])
def test_nobody_else_is(address: str) -> None:
    with pytest.raises(NotAuthenticated):
        _auth().identify({**HEADERS, "REMOTE_ADDR": address})


def test_a_forwarded_address_proves_nothing() -> None:
    with pytest.raises(NotAuthenticated):
        _auth().identify({**HEADERS, "REMOTE_ADDR": "192.0.2.1", "HTTP_X_FORWARDED_FOR": "127.0.0.1"})


def test_listed_networks_replace_the_default() -> None:
    auth = _auth("192.0.2.0/24", "2001:db8::5")
    assert auth.identify({**HEADERS, "REMOTE_ADDR": "192.0.2.77"}).user == "alice"
    assert auth.identify({**HEADERS, "REMOTE_ADDR": "2001:db8::5"}).user == "alice"
    with pytest.raises(NotAuthenticated):
        auth.identify({**HEADERS, "REMOTE_ADDR": "127.0.0.1"})


@pytest.mark.parametrize("status", ["Invalid", "", "confirmed"])
def test_what_is_not_confirmed_is_no_identity(status: str) -> None:
    with pytest.raises(NotAuthenticated):
        _auth().identify({**HEADERS, "HTTP_X_IDENTITY_STATUS": status, "REMOTE_ADDR": "127.0.0.1"})


def test_the_old_name_of_the_project_header() -> None:
    headers = {**HEADERS, "HTTP_X_TENANT_ID": "blue", "REMOTE_ADDR": "127.0.0.1"}
    del headers["HTTP_X_PROJECT_ID"]
    assert _auth().identify(headers).project == "blue"


def test_an_address_that_is_none_stops_the_start() -> None:
    with pytest.raises(ConfigError, match="trusted_addresses"):
        _auth("proxy.example")


def test_options_are_listed_for_the_sample() -> None:
    assert list_opts() == [("auth_headers", OPTIONS)]


@pytest.mark.parametrize("header", sorted({x for x in HEADERS if x != "HTTP_X_ROLES"}))
def test_two_in_one_header_are_refused(header: str) -> None:
    with pytest.raises(NotAuthenticated):
        _auth().identify({**HEADERS, header: f"{HEADERS[header]},other", "REMOTE_ADDR": "127.0.0.1"})


def test_headers_that_came_twice_are_refused() -> None:
    with pytest.raises(NotAuthenticated, match="more than once"):
        _auth().identify({**HEADERS, REPEATED: frozenset({"X-ROLES"}), "REMOTE_ADDR": "127.0.0.1"})
    assert _auth().identify({**HEADERS, REPEATED: frozenset({"ACCEPT"}), "REMOTE_ADDR": "127.0.0.1"}).user == "alice"


@pytest.mark.parametrize(
    "said",
    [
        {"HTTP_FORWARDED": "for=127.0.0.1"},
        {"HTTP_X_FORWARDED_FOR": "127.0.0.1"},
        {"HTTP_X_FORWARDED_FOR": "unknown"},
        {"HTTP_X_FORWARDED_FOR": "127.0.0.1, 127.0.0.1"},
    ],
)
@pytest.mark.parametrize("forwarded", [True, False])
def test_what_a_proxy_says_of_addresses_makes_nobody_trusted(said: dict[str, str], forwarded: bool) -> None:
    found: list[object] = []

    def app(environ: dict[str, object], _start: object) -> list[bytes]:
        try:
            found.append(_auth().identify(environ))
        except NotAuthenticated as exc:
            found.append(exc)
        return []

    environ = {
        **HEADERS,
        **said,
        "REMOTE_ADDR": "192.0.2.1",
        "HTTP_HOST": "x",
        "SERVER_NAME": "x",
        "SERVER_PORT": "80",
        "wsgi.url_scheme": "http",
    }
    Outside(app, OutsideSettings(proxies=1, forwarded=forwarded))(environ, lambda *_: None)  # type: ignore[arg-type]
    assert isinstance(found[0], NotAuthenticated)
