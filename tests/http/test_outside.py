"""Where clients see the service, and from where they come: by the words of those who are believed."""

from __future__ import annotations

from typing import Any

import pytest
from werkzeug.test import EnvironBuilder
from werkzeug.wrappers import Request

from glancecore.domain.errors import ConfigError
from glancecore.http.outside import Outside, OutsideSettings
from glancecore.ports.auth import PEER


def seen(settings: OutsideSettings, **headers: str) -> tuple[str, str, str]:
    """root_url, remote_addr and the peer."""
    found: list[Request] = []

    def app(environ: dict[str, Any], start: Any) -> list[bytes]:
        found.append(Request(environ))
        start("200 OK", [])
        return []

    environ = EnvironBuilder(
        "/v2/images", base_url="http://inner:9292", headers={x.replace("_", "-"): y for x, y in headers.items()}
    ).get_environ()
    environ["REMOTE_ADDR"] = "10.0.0.1"
    Outside(app, settings)(environ, lambda *_: None)  # type: ignore[arg-type,return-value]
    return found[0].root_url, found[0].remote_addr or "", found[0].environ[PEER]


ALL = {
    "X_Forwarded_For": "203.0.113.5",
    "X_Forwarded_Proto": "https",
    "X_Forwarded_Host": "images.example.org",
    "X_Forwarded_Prefix": "/image",
}


@pytest.mark.parametrize(
    ("settings", "headers", "root", "address"),
    [
        (OutsideSettings(), ALL, "http://inner:9292/", "10.0.0.1"),
        (OutsideSettings(), {"Forwarded": "for=203.0.113.5;proto=https;host=evil"}, "http://inner:9292/", "10.0.0.1"),
        (OutsideSettings(proxies=1), ALL, "https://images.example.org/image/", "203.0.113.5"),
        # what the client had put there itself is left of it
        (
            OutsideSettings(proxies=1),
            {name: f"evil, {value}" for name, value in ALL.items()},
            "https://images.example.org/image/",
            "203.0.113.5",
        ),
        (
            OutsideSettings(proxies=2),
            {
                "X_Forwarded_For": "evil, 203.0.113.5, 10.0.0.2",
                "X_Forwarded_Proto": "https, http",
                "X_Forwarded_Host": "outer, inner",
            },
            "https://outer/",
            "203.0.113.5",
        ),
        # fewer words than proxies: one of them was left out
        (
            OutsideSettings(proxies=2),
            {"X_Forwarded_For": "127.0.0.1", "X_Forwarded_Host": "evil"},
            "http://inner:9292/",
            "10.0.0.1",
        ),
        (OutsideSettings(proxies=1), {"X_Forwarded_For": "unknown"}, "http://inner:9292/", "10.0.0.1"),
        (
            OutsideSettings(proxies=1),
            {"Forwarded": "for=127.0.0.1;proto=https;host=evil"},
            "http://inner:9292/",
            "10.0.0.1",
        ),
        (
            OutsideSettings(proxies=1, forwarded=True),
            {**ALL, "Forwarded": 'for="[2001:db8::1]:4711";proto=https;host="images.example.org"'},
            "https://images.example.org/",
            "2001:db8::1",
        ),
        (
            OutsideSettings(proxies=1, forwarded=True),
            {"Forwarded": "for=evil;host=evil, for=203.0.113.5:99;proto=https"},
            "https://inner:9292/",
            "203.0.113.5",
        ),
        (
            OutsideSettings(proxies=1, forwarded=True),
            {"Forwarded": 'for=_hidden;proto="a,b";host='},
            "http://inner:9292/",
            "10.0.0.1",
        ),
        (OutsideSettings(proxies=1, forwarded=True), ALL, "http://inner:9292/", "10.0.0.1"),
        (
            OutsideSettings(public_endpoint="https://images.example.org/image/", proxies=1),
            {**ALL, "X_Forwarded_Host": "other"},
            "https://images.example.org/image/",
            "203.0.113.5",
        ),
    ],
)
def test_what_is_believed(settings: OutsideSettings, headers: dict[str, str], root: str, address: str) -> None:
    assert seen(settings, **headers) == (root, address, "10.0.0.1")


@pytest.mark.parametrize("url", ["images.example.org", "ftp://x/", "https://", "https://x/?a=b"])
def test_an_endpoint_that_is_none_stops_the_start(url: str) -> None:
    with pytest.raises(ConfigError, match="public_endpoint"):
        Outside(lambda *_: [], OutsideSettings(public_endpoint=url))
