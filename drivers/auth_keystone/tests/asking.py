"""A real Keystone's tokens, and what the application is told of a request that has one."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from glancecore_auth_keystone.driver import KeystoneAuth
from keystoneauth1 import session
from keystoneauth1.identity import v3
from oslo_config import cfg

from glancecore.domain.context import Context

if TYPE_CHECKING:
    from pathlib import Path
    from wsgiref.types import StartResponse, WSGIEnvironment

PASSWORD = "secret"  # of every user that tests/backends/keystone_setup.py makes


def configured(url: str, file: Path, **more: str) -> cfg.ConfigOpts:
    options = {
        "auth_type": "password",
        "auth_url": url,
        "www_authenticate_uri": url,
        "username": "glance",
        "password": PASSWORD,
        "project_name": "service",
        "user_domain_id": "default",
        "project_domain_id": "default",
        **more,
    }
    file.write_text("[keystone_authtoken]\n" + "".join(f"{key} = {value}\n" for key, value in options.items() if value))
    conf = cfg.ConfigOpts()
    conf([], default_config_files=[str(file)], default_config_dirs=[])
    return conf


def token(url: str, user: str, project: str | None) -> str:
    scope = {"project_name": project, "project_domain_id": "default"} if project else {"system_scope": "all"}
    found = session.Session(
        v3.Password(auth_url=url, username=user, password=PASSWORD, user_domain_id="default", **scope)
    ).get_token()
    assert found
    return found


def ask(auth: KeystoneAuth, **headers: str) -> Context:
    """What the application is told of a request with these headers."""
    seen: list[Context] = []

    def app(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        seen.append(auth.identify(environ))
        start_response("200 OK", [])
        return []

    list(auth.wrap(app)(request(**headers), lambda _status, _headers, _exc=None: lambda _data: None))
    return seen[0]


def request(**headers: str) -> WSGIEnvironment:
    return {
        "REQUEST_METHOD": "GET",
        "PATH_INFO": "/",
        "SERVER_NAME": "x",
        "SERVER_PORT": "80",
        "wsgi.url_scheme": "http",
        **{f"HTTP_{name.upper()}": value for name, value in headers.items()},
    }
