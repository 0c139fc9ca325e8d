"""What the console itself does when people log in at Keystone, whatever Keystone says."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from browsing import Browser, console
from glancecore_ext_console.keystone import KeystoneWay
from glancecore_ext_console.sealing import Keys
from glancecore_ext_console.sessions import SESSIONS, Login, Named, Session
from keystoneauth1 import exceptions
from waiting import until

from glancecore.assembly.lifecycle import Service
from glancecore.domain import errors
from glancecore.ports.record_repository import RecordChanged, RecordQuery

WEBSSO = "/console/session/websso"
FORM = {
    "Accept": "text/html",
    "Origin": "https://keystone.example",
    "Sec_Fetch_Site": "cross-site",
    "Content_Type": "application/x-www-form-urlencoded",
}
DEMO = Named("d", "demo")
LOGIN = Login("websso", DEMO, DEMO, [DEMO], ["member"], {"X-Auth-Token": "t"})


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Service]:
    """Its Keystone is asked by nobody, or does not answer."""
    with console(
        tmp_path,
        {
            "DEFAULT": {"auth_strategy": "keystone"},
            "keystone_authtoken": {
                "auth_type": "password",
                "auth_url": "http://127.0.0.1:9",
                "www_authenticate_uri": "https://keystone.example",
                "username": "glance",
                "password": "x",
                "project_name": "service",
                "user_domain_id": "default",
                "project_domain_id": "default",
            },
        },
        websso_protocols="openid:Company account",
        attempts_per_user=3,
        attempts_per_address=5,
    ) as service:
        yield service


@pytest.fixture
def browser(service: Service, monkeypatch: pytest.MonkeyPatch) -> Browser:
    """Whoever comes from Keystone is let in."""
    monkeypatch.setattr(KeystoneWay, "login_with", lambda _self, _environ, _token: LOGIN)
    monkeypatch.setattr(KeystoneWay, "rescope", lambda _self, _session, _project: LOGIN)
    return Browser(service.app, base="https://localhost")


def sessions(service: Service) -> int:
    return len(service.database.records.find(RecordQuery(SESSIONS.name)))


def begin(browser: Browser) -> None:
    assert browser.ask("GET", f"{WEBSSO}/openid", Accept="text/html").status_code == 302


def come_back(browser: Browser, **headers: str) -> Any:
    """With Keystone's form, from its page: the session's cookie stays away."""
    kept, name = browser.cookie, "__Host-glancecore-console"
    if kept:
        browser.client.delete_cookie(name)
    answer = browser.ask("POST", WEBSSO, b"token=x", **{**FORM, **headers})
    if kept and not browser.cookie:
        browser.client.set_cookie(name, kept, secure=True)
    return answer


# -- the session before ----------------------------------------------------------------------------
def test_the_session_before_ends_with_a_companys_login(service: Service, browser: Browser) -> None:
    begin(browser)
    assert come_back(browser).status_code == 200
    first = browser.cookie
    begin(browser)
    assert service.extensions["console"].sessions.find(first) is not None, "it has only been begun"  # type: ignore[attr-defined]
    assert come_back(browser).status_code == 200
    assert browser.cookie != first
    assert sessions(service) == 1
    assert service.extensions["console"].sessions.find(first) is None  # type: ignore[attr-defined]


def test_the_session_before_ends_that_has_changed_its_project_meanwhile(service: Service, browser: Browser) -> None:
    begin(browser)
    come_back(browser)
    begin(browser)
    kept = service.extensions["console"].sessions  # type: ignore[attr-defined]
    other = kept.change(kept.find(browser.cookie), LOGIN).cookie
    browser.client.set_cookie("__Host-glancecore-console", other, secure=True)
    assert come_back(browser).status_code == 200
    assert browser.cookie != other
    assert sessions(service) == 1
    assert kept.find(other) is None


def test_the_session_before_ends_that_was_begun_before_logins_were_a_key(service: Service, browser: Browser) -> None:
    begin(browser)
    come_back(browser)
    [record] = service.database.records.find(RecordQuery(SESSIONS.name))
    service.database.images.commit(
        RecordChanged(record, replace(record, keys=record.keys[:1], version=record.version + 1))
    )
    begin(browser)
    assert come_back(browser).status_code == 200
    assert record.id not in {x.id for x in service.database.records.find(RecordQuery(SESSIONS.name))}
    assert sessions(service) == 1


def test_who_is_logged_in_is_written_out(browser: Browser, monkeypatch: pytest.MonkeyPatch) -> None:
    """A name that looks like the reader's own is no other one's."""
    like = Named("x", "de\u200bmo\u202e<b>")
    monkeypatch.setattr(
        KeystoneWay, "login_with", lambda _self, _environ, _token: replace(LOGIN, user=like, project=like)
    )
    begin(browser)
    text = come_back(browser).text
    assert text.count("de\\u200bmo\\u202e&lt;b&gt;") == 4
    assert not {"\u200b", "\u202e", "<b>"} & set(text)


def test_a_session_of_another_way_to_log_in_ends(tmp_path: Path, service: Service) -> None:
    """The operator has chosen another auth_strategy since."""
    kept = service.extensions["console"].sessions  # type: ignore[attr-defined]
    for method, path, body in (
        ("DELETE", "/console/session", None),
        ("DELETE", "/console/sessions", None),
        ("PUT", "/console/session/project", {"project": "d"}),
        ("GET", "/console/api/v2/images", None),
    ):
        begun = kept.begin(replace(LOGIN, method="basic", credentials={"Authorization": "Basic eDp5"}))
        browser = Browser(service.app)
        browser.set_cookie(begun.cookie)
        browser.csrf = begun.csrf
        answer = browser.ask(method, path, body)
        assert answer.status_code in (204, 401), f"{method} {path}: {answer.text}"
        assert kept.find(begun.cookie) is None, f"{method} {path}"


def test_a_session_before_that_has_ended_meanwhile_is_no_error(service: Service, browser: Browser) -> None:
    begin(browser)
    come_back(browser)
    begin(browser)
    found = service.extensions["console"].sessions  # type: ignore[attr-defined]
    found.end(found.find(browser.cookie))
    assert come_back(browser).status_code == 200
    assert sessions(service) == 1


@pytest.mark.parametrize(
    "value",
    [
        "x",
        "A" * 43 + ".",
        "A" * 43 + ".x",
        "A" * 43 + "." + "G" * 64,
        "." + "a" * 64,
        "A" * 43 + "." + "a" * 65,
        "A" * 43 + "." + "a" * 64 + ".",
    ],
)
def test_a_login_that_nobody_began_is_refused(service: Service, browser: Browser, value: str) -> None:
    browser.client.set_cookie("__Host-glancecore-websso", value, secure=True)
    assert come_back(browser).status_code == 403
    assert sessions(service) == 0


def test_a_change_that_came_too_late_leaves_no_token(
    service: Service, browser: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    begin(browser)
    come_back(browser)
    sessions, taken_back = service.extensions["console"].sessions, []  # type: ignore[attr-defined]

    def rescope(_self: KeystoneWay, session: Session, _project: str) -> Login:
        sessions.end(session)
        return replace(LOGIN, credentials={"X-Auth-Token": "another"})

    monkeypatch.setattr(KeystoneWay, "rescope", rescope)
    monkeypatch.setattr(
        KeystoneWay, "end", lambda _self, session: taken_back.append(session.login.credentials["X-Auth-Token"])
    )
    browser.csrf = Keys.csrf(browser.cookie)
    answer = browser.ask("PUT", "/console/session/project", {"project": "d"})
    assert (answer.status_code, (answer.json or {})["error"]) == (401, "session expired")
    assert (sessions.find(browser.cookie), taken_back) == (None, ["another"])


# -- guesses ---------------------------------------------------------------------------------------
def test_guesses_that_come_together_are_counted(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    """All of them are there before Keystone has answered the first."""
    go_on, asked = threading.Event(), []
    way = service.extensions["console"].way  # type: ignore[attr-defined]

    def access(_self: KeystoneWay, _plugin: object) -> Any:
        asked.append(1)
        go_on.wait(60)
        raise exceptions.http.Unauthorized

    monkeypatch.setattr(KeystoneWay, "_access", access)

    def guess(number: int) -> type[Exception]:
        try:
            way.login({"REMOTE_ADDR": "192.0.2.1"}, "password", {"username": "demo", "password": str(number)})
        except errors.GlanceError as exc:
            return type(exc)
        raise AssertionError("it was let in")

    with ThreadPoolExecutor(20) as pool:
        results = [pool.submit(guess, x) for x in range(20)]
        until(lambda: len(asked) + sum(x.done() for x in results) == 20)
        go_on.set()
        found = [x.result() for x in results]
    assert (len(asked), found.count(errors.NotAuthenticated), found.count(errors.TooManyAttempts)) == (3, 3, 17)
    assert guess(20) is errors.TooManyAttempts, "those were wrong, and count on"


@pytest.mark.parametrize("failure", [None, exceptions.ConnectFailure, exceptions.http.TooManyRequests])
def test_what_was_no_wrong_guess_is_given_back(
    service: Service, monkeypatch: pytest.MonkeyPatch, failure: type[Exception] | None
) -> None:
    way = service.extensions["console"].way  # type: ignore[attr-defined]
    asked = []

    def access(_self: KeystoneWay, _plugin: object) -> Any:
        asked.append(1)
        if failure is not None:
            raise failure

    monkeypatch.setattr(KeystoneWay, "_lasting", access)
    monkeypatch.setattr(KeystoneWay, "_in_a_project", lambda *_: LOGIN)
    for _ in range(10):
        try:
            way.login({"REMOTE_ADDR": "192.0.2.1"}, "password", {"username": "demo", "password": "right"})
        except (errors.IdentityUnavailable, errors.TooManyAttempts):
            assert failure is not None
    assert len(asked) == 10


# -- bodies ----------------------------------------------------------------------------------------
class Untouched:
    """A body that nobody may read."""

    def read(self, _size: int = -1) -> bytes:
        raise AssertionError("the body was read")


@pytest.mark.parametrize(
    ("said", "status"), [({"HTTP_TRANSFER_ENCODING": "chunked"}, 411), ({"CONTENT_LENGTH": str(1 << 20)}, 413)]
)
def test_a_form_without_a_fitting_length_is_not_read(browser: Browser, said: dict[str, str], status: int) -> None:
    begin(browser)
    base = {"wsgi.input": Untouched(), "SERVER_SOFTWARE": "gunicorn/99", "CONTENT_TYPE": FORM["Content_Type"], **said}
    answer = browser.client.open(WEBSSO, method="POST", base_url=browser.base, environ_overrides=base)
    assert answer.status_code == status, answer.text


@pytest.mark.parametrize(("path", "method"), [("/console/session", "POST"), ("/console/session/project", "PUT")])
@pytest.mark.parametrize(
    ("said", "status"), [({"HTTP_TRANSFER_ENCODING": "chunked"}, 411), ({"CONTENT_LENGTH": str(1 << 20)}, 413)]
)
def test_a_body_without_a_fitting_length_is_not_read(
    browser: Browser, path: str, method: str, said: dict[str, str], status: int
) -> None:
    begin(browser)
    come_back(browser)
    csrf = Keys.csrf(browser.cookie)
    base = {
        "wsgi.input": Untouched(),
        "SERVER_SOFTWARE": "gunicorn/99",
        "CONTENT_TYPE": "application/json",
        "HTTP_ORIGIN": browser.base,
        "HTTP_X_CSRF_TOKEN": csrf,
        **said,
    }
    answer = browser.client.open(path, method=method, base_url=browser.base, environ_overrides=base)
    assert answer.status_code == status, answer.text
