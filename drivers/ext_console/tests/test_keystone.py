"""Logging in at a real Keystone."""

from __future__ import annotations

import contextlib
import logging
import re
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import lab
import pytest
import requests
from backends import keystone_setup
from browsing import Browser, console, image
from glancecore_ext_console.sessions import SESSIONS
from keystoneauth1 import session as keystone_session
from keystoneauth1.identity import v3

from glancecore.assembly.lifecycle import Service
from glancecore.ports.record_repository import RecordQuery

#: Of every user that tests/backends/keystone_setup.py makes.
PASSWORD = "secret"
DEMO = {"username": "demo", "password": PASSWORD, "user_domain": "Default"}
TOKEN = re.compile(r"gAAAA[\w-]+")


@pytest.fixture(scope="module")
def url() -> str:
    return lab.backend("keystone").url


@pytest.fixture
def service(tmp_path: Path, url: str) -> Iterator[Service]:
    with console(
        tmp_path,
        {
            "DEFAULT": {"auth_strategy": "keystone"},
            "keystone_authtoken": {
                "auth_type": "password",
                "auth_url": url,
                "www_authenticate_uri": "https://keystone.example/identity",
                "username": "glance",
                "password": PASSWORD,
                "project_name": "service",
                "user_domain_id": "default",
                "project_domain_id": "default",
            },
        },
        websso_protocols="openid:Company account",
        attempts_per_user=2,
    ) as service:
        yield service


def records(service: Service) -> int:
    return len(service.database.records.find(RecordQuery(SESSIONS.name)))


def token(url: str, user: str = "demo", **scope: str) -> str:
    found = keystone_session.Session(
        v3.Password(url, username=user, password=PASSWORD, user_domain_id="default", **scope)
    ).get_token()
    assert found
    return found


def is_good(url: str, of: str) -> bool:
    return (
        requests.get(f"{url}/auth/tokens", headers={"X-Auth-Token": of, "X-Subject-Token": of}, timeout=30).status_code
        == 200
    )


def test_password(service: Service) -> None:
    browser = Browser(service.app)
    assert [x["name"] for x in browser.session()["methods"]] == ["password", "application_credential", "websso"]
    said = browser.login("password", **DEMO, project="demo")
    assert (said["user"]["name"], said["project"]["name"], said["is_admin"], "member" in said["roles"]) == (
        "demo",
        "demo",
        False,
        True,
    )
    assert [x["name"] for x in said["projects"]] == ["demo"]
    assert (browser.api("GET", f"/v2/images/{image(browser)}").json or {})["owner"] == said["project"]["id"]
    assert browser.session() == said


def test_without_a_project_it_is_the_users_own(service: Service) -> None:
    said = Browser(service.app).login("password", **DEMO)
    assert said["project"]["name"] == "demo"


def test_no_token_is_in_the_pages_reach_or_at_rest(
    service: Service, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG")
    browser = Browser(service.app)
    answer = browser.ask("POST", "/console/session", {"method": "password", **DEMO})
    answers = [
        answer.text,
        str(answer.headers),
        browser.ask("GET", "/console/session").text,
        str(browser.api("GET", "/v2/images").headers),
    ]
    assert not [x for x in answers if TOKEN.search(x)]
    session = service.extensions["console"].sessions.find(browser.cookie)  # type: ignore[attr-defined]
    [held] = [x for x in session.login.credentials.values() if TOKEN.search(x)]
    assert held not in repr(session)
    assert held not in caplog.text
    assert PASSWORD not in [x.getMessage() for x in caplog.records]
    assert held.encode() not in b"".join(x.read_bytes() for x in tmp_path.glob("glance.sqlite*"))


@pytest.mark.parametrize(
    "wrong",
    [
        {"password": "wrong"},
        {"username": "nobody"},
        {"user_domain": "nowhere"},
        {"project": "alt_demo"},
        {"project": "nowhere"},
    ],
)
def test_what_is_wrong_is_told_in_one_way(service: Service, wrong: dict[str, str]) -> None:
    answer = Browser(service.app).ask("POST", "/console/session", {"method": "password", **DEMO, **wrong})
    assert answer.status_code == 401
    assert (answer.json or {})[
        "message"
    ] == "the user or the password is wrong, or there is no such project for this user"
    assert not answer.headers["WWW-Authenticate"].startswith(("Basic", "Digest", "Negotiate")), (
        "a browser would ask its user in a window of its own"
    )
    assert records(service) == 0


def test_wrong_logins_are_counted(service: Service) -> None:
    browser = Browser(service.app)
    body = {"method": "password", **DEMO}
    assert [browser.ask("POST", "/console/session", {**body, "password": "wrong"}).status_code for _ in range(3)] == [
        401,
        401,
        429,
    ]
    assert browser.ask("POST", "/console/session", body).status_code == 429
    assert Browser(service.app, address="192.0.2.9").login("password", **DEMO)["authenticated"]


@contextlib.contextmanager
def application_credential(url: str, **more: object) -> Iterator[dict[str, str]]:
    of = token(url, project_name="demo", project_domain_id="default")
    user = requests.get(f"{url}/auth/tokens", headers={"X-Auth-Token": of, "X-Subject-Token": of}, timeout=30).json()[
        "token"
    ]["user"]["id"]
    where = f"{url}/users/{user}/application_credentials"
    wanted = {"application_credential": {"name": f"console-{time.time_ns()}", "roles": [{"name": "member"}], **more}}
    answer = requests.post(where, json=wanted, headers={"X-Auth-Token": of}, timeout=30)
    made = answer.json()["application_credential"]
    try:
        yield {"application_credential_id": made["id"], "application_credential_secret": made["secret"]}
    finally:
        requests.delete(f"{where}/{made['id']}", headers={"X-Auth-Token": of}, timeout=30)


def test_application_credential(service: Service, url: str) -> None:
    with application_credential(url) as made:
        browser = Browser(service.app)
        said = browser.login("application_credential", **made)
        assert (said["project"]["name"], [x["name"] for x in said["projects"]]) == ("demo", ["demo"])
        assert browser.api("GET", "/v2/images").status_code == 200
    answer = Browser(service.app).ask(
        "POST",
        "/console/session",
        {
            "method": "application_credential",
            "application_credential_id": made["application_credential_id"],
            "application_credential_secret": "x",
        },
    )
    assert (answer.status_code, (answer.json or {})["message"]) == (
        401,
        "the application credential or its secret is wrong",
    )


def test_another_project(service: Service) -> None:
    """The user glance has a project, and admin another one: the operator gives one of both in both."""
    browser = Browser(service.app)
    said = browser.login("password", username="admin", password=PASSWORD)
    before, csrf = browser.cookie, browser.csrf
    other = next(x["id"] for x in said["projects"])
    answer = browser.ask("PUT", "/console/session/project", {"project": other})
    assert answer.status_code == 200, answer.text
    assert (answer.json or {})["project"]["id"] == other
    assert browser.cookie != before
    browser.csrf = str((answer.json or {})["csrf"])
    assert browser.csrf != csrf
    assert browser.api("GET", "/v2/images").status_code == 200
    assert records(service) == 1
    for body, status in (
        ({"project": "0" * 32}, 403),
        ({"project": ""}, 400),
        ({}, 400),
        ({"project": other, "x": 1}, 400),
    ):
        assert browser.ask("PUT", "/console/session/project", body).status_code == status
    assert browser.ask("PUT", "/console/session/project", {"project": other}, X_CSRF_Token="").status_code == 403
    browser.set_cookie(before)
    assert browser.session()["authenticated"] is False


def test_logout_takes_the_token_back(service: Service, url: str) -> None:
    browser = Browser(service.app)
    browser.login("password", **DEMO)
    session = service.extensions["console"].sessions.find(browser.cookie)  # type: ignore[attr-defined]
    held = session.login.credentials["X-Auth-Token"]
    assert is_good(url, held)
    assert browser.ask("DELETE", "/console/session").status_code == 204
    assert not is_good(url, held)


def test_a_token_that_was_taken_back_ends_the_session(service: Service, url: str) -> None:
    browser = Browser(service.app)
    browser.login("password", **DEMO)
    session = service.extensions["console"].sessions.find(browser.cookie)  # type: ignore[attr-defined]
    held = session.login.credentials["X-Auth-Token"]
    requests.delete(f"{url}/auth/tokens", headers={"X-Auth-Token": held, "X-Subject-Token": held}, timeout=30)
    service.kernel.conf.set_override("token_cache_time", -1, "keystone_authtoken")
    service.made = None  # the middleware has remembered the token
    browser.client = service.app.test_client()
    browser.set_cookie(session.cookie)
    answer = browser.api("GET", "/v2/images")
    assert (answer.status_code, (answer.json or {})["error"]) == (401, "session expired")
    assert "WWW-Authenticate" not in answer.headers
    assert records(service) == 0


def test_login_in_the_second_in_which_all_tokens_were_taken_back(service: Service, url: str) -> None:
    """Keystone counts that in whole seconds, and takes back what it gives in the same one."""
    keystone, name = keystone_setup.Keystone(url), f"hasty-{time.time_ns()}"
    user = keystone.ensure("user", {"name": name, "domain_id": "default"}, password=PASSWORD)
    keystone.grant(
        keystone.ensure("role", {"name": "member"}),
        user,
        keystone.ensure("project", {"name": "demo", "domain_id": "default"}),
    )
    time.sleep(1 - time.time() % 1)
    for enabled in (False, True):
        keystone.call("PATCH", f"/users/{user}", {"user": {"enabled": enabled}})
    browser = Browser(service.app)
    assert browser.login("password", **{**DEMO, "username": name}, project="demo")["authenticated"]
    assert browser.api("GET", "/v2/images").status_code == 200


def test_login_by_a_credential_for_some_requests_only(
    service: Service, url: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Keystone tells of such a token only who says that he knows of its rules."""
    caplog.set_level(logging.INFO, "glancecore_ext_console")
    rules = [{"path": "/v2/images", "method": "GET", "service": "image"}]
    with application_credential(url, access_rules=rules) as made:
        Browser(service.app).login("application_credential", **made)
    assert "taken back" not in caplog.text


def test_a_session_ends_with_its_token(service: Service) -> None:
    browser = Browser(service.app)
    browser.login("password", **DEMO)
    [record] = service.database.records.find(RecordQuery(SESSIONS.name))
    session = service.extensions["console"].sessions.find(browser.cookie)  # type: ignore[attr-defined]
    assert (
        str(record.data["ends"])
        < (session.record.expires_at.replace(year=session.record.expires_at.year + 1)).isoformat()
    )


def test_keystone_that_is_away_is_told(tmp_path: Path) -> None:
    port = lab.free_port()
    with console(
        tmp_path,
        {
            "DEFAULT": {"auth_strategy": "keystone"},
            "keystone_authtoken": {
                "auth_type": "password",
                "auth_url": f"http://127.0.0.1:{port}",
                "username": "glance",
                "password": PASSWORD,
                "project_name": "service",
                "user_domain_id": "default",
                "project_domain_id": "default",
            },
        },
    ) as service:
        answer = Browser(service.app).ask("POST", "/console/session", {"method": "password", **DEMO})
        assert (answer.status_code, (answer.json or {})["error"]) == (503, "identity_unavailable")
        assert answer.headers["Retry-After"]
        assert Browser(service.app).session()["authenticated"] is False


# -- a company's account ---------------------------------------------------------------------------
def begin(service: Service) -> Browser:
    browser = Browser(service.app, base="https://images.example")
    [way] = [x for x in browser.session()["methods"] if x["name"] == "websso"]
    assert (way["label"], way["url"]) == ("Company account", "/console/session/websso/openid")
    answer = browser.ask("GET", way["url"], Accept="text/html")
    assert answer.status_code == 302
    there = urlsplit(answer.headers["Location"])
    assert (there.netloc, there.path) == ("keystone.example", "/identity/v3/auth/OS-FEDERATION/websso/openid")
    assert parse_qs(there.query) == {"origin": ["https://images.example/console/session/websso"]}
    cookie = answer.headers["Set-Cookie"]
    assert cookie.startswith("__Host-glancecore-websso=")
    assert {"HttpOnly", "Secure", "SameSite=None", "Path=/", "Max-Age=600"} <= set(cookie.split("; "))
    return browser


def send(browser: Browser, body: bytes, **headers: str):
    """As Keystone's page makes the browser do: its own cookies of this site alone stay away."""
    return browser.ask(
        "POST",
        "/console/session/websso",
        body,
        **{
            "Accept": "text/html",
            "Origin": "https://keystone.example",
            "Sec_Fetch_Site": "cross-site",
            "Content_Type": "application/x-www-form-urlencoded",
            **headers,
        },
    )


def test_a_login_by_a_company(service: Service, url: str) -> None:
    browser = begin(service)
    answer = send(browser, f"token={token(url, unscoped=True)}".encode())
    assert answer.status_code == 200, answer.text
    assert "You are logged in as demo" in answer.text
    assert "In project demo" in answer.text
    assert "<script" not in answer.text
    session, gone = answer.headers.getlist("Set-Cookie")[::-1]
    assert session.startswith("__Host-glancecore-console=")
    assert "Max-Age=0" in gone
    said = browser.session()
    assert (said["authenticated"], said["user"]["name"], said["project"]["name"]) == (True, "demo", "demo")
    assert send(browser, f"token={token(url)}".encode()).status_code == 403, "the login was used"


def test_what_is_no_login_is_counted_by_address(service: Service, url: str) -> None:
    """Nobody makes us ask Keystone again and again."""
    assert [send(begin(service), b"token=nonsense").status_code for _ in range(3)] == [403, 403, 429]
    assert send(begin(service), f"token={token(url)}".encode()).status_code == 429


def test_a_login_that_was_not_begun_here_is_refused(service: Service, url: str) -> None:
    """A page that makes the browser send a token of its own would log its user in as somebody else."""
    browser = Browser(service.app, base="https://images.example")
    answer = send(browser, f"token={token(url)}".encode())
    assert answer.status_code == 403
    assert "begin it again" in answer.text
    assert "Set-Cookie" not in answer.headers
    assert records(service) == 0


def test_a_login_is_begun_from_our_own_page_only(service: Service) -> None:
    browser = Browser(service.app, base="https://images.example")
    for site in ("cross-site", "same-site"):
        answer = browser.ask("GET", "/console/session/websso/openid", Sec_Fetch_Site=site)
        assert answer.status_code == 403
        assert "Set-Cookie" not in answer.headers
    assert browser.ask("GET", "/console/session/websso/saml2").status_code == 404


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"token=",
        b"token=a&token=b",
        b"other=x",
        b"token=%00",
        b"token=\xff",
        b"&" * 100,
        b"token=" + b"x" * 70_000,
        b"token=nonsense",
        b"a=b&" * 30,
    ],
)
def test_hostile_forms_are_refused(service: Service, body: bytes) -> None:
    answer = send(begin(service), body)
    assert 400 <= answer.status_code < 500, answer.text
    assert records(service) == 0


def test_a_form_of_another_type_is_refused(service: Service, url: str) -> None:
    assert send(begin(service), f"token={token(url)}".encode(), Content_Type="text/plain").status_code == 415
