"""Logging in and out, by each way, and what is kept of a session."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import bcrypt
import pytest
from browsing import COOKIE, Browser, at, console, image, proxied
from glancecore_ext_console.sessions import SESSIONS, SessionExpired

from glancecore.assembly.lifecycle import Service
from glancecore.domain.errors import ConfigError, DatabaseUnavailable
from glancecore.ports.record_repository import Record, RecordAdded, RecordChanged, RecordQuery

HEADERS_AUTH = {"DEFAULT": {"auth_strategy": "headers"}}
PASSWORD = "correct horse battery staple"


def records(service: Service) -> list[Record]:
    return service.database.records.find(RecordQuery(SESSIONS.name))


@pytest.fixture
def behind_proxy(tmp_path: Path) -> Iterator[Service]:
    with console(tmp_path, HEADERS_AUTH) as service:
        yield service


@pytest.fixture
def users(tmp_path: Path) -> Path:
    """alice is an admin, bob is not."""
    file = tmp_path / "htpasswd"
    word = bcrypt.hashpw(PASSWORD.encode(), bcrypt.gensalt(4)).decode()
    file.write_text(f"alice:{word}\nbob:{word}\n")
    return file


@pytest.fixture
def basic(tmp_path: Path, users: Path) -> Iterator[Service]:
    with console(
        tmp_path / "service",
        {
            "DEFAULT": {"auth_strategy": "basic"},
            "auth_basic": {"http_basic_auth_user_file": users, "admins": "alice", "attempts_per_user": 3},
        },
    ) as service:
        yield service


# -- each way --------------------------------------------------------------------------------------
def test_open_service(tmp_path: Path) -> None:
    with console(tmp_path, {"DEFAULT": {"auth_strategy": "none"}}) as service:
        browser = Browser(service.app)
        said = browser.session()
        assert (said["authenticated"], said["csrf"], said["user"], said["service"]["extensions"]) == (
            False,
            None,
            None,
            [],
        )
        assert [x["name"] for x in said["methods"]] == ["none"]
        said = browser.login("none")
        assert (said["authenticated"], said["is_admin"], said["roles"]) == (True, True, ["admin", "member", "reader"])
        assert said["service"]["extensions"] == ["console", "tus"]
        assert said["service"]["upload"] == {"tus": "/console/api/v2/images/{image_id}/uploads", "chunk": 64 << 20}
        assert browser.session() == said
        image(browser)


def test_basic(basic: Service) -> None:
    alice, bob = Browser(basic.app), Browser(basic.app)
    assert [(x["name"], [(y["name"], y["secret"]) for y in x["fields"]]) for x in alice.session()["methods"]] == [
        ("basic", [("username", False), ("password", True)])
    ]
    said = alice.login("basic", username="alice", password=PASSWORD)
    assert (said["user"], said["project"], said["is_admin"]) == (
        {"id": "alice", "name": "alice"},
        {"id": "alice", "name": "alice"},
        True,
    )
    said = bob.login("basic", username="bob", password=PASSWORD)
    assert (said["is_admin"], said["roles"]) == (False, ["member", "reader"])
    image_id = image(bob)
    assert (bob.api("GET", f"/v2/images/{image_id}").json or {})["owner"] == "bob"


def test_wrong_passwords_are_told_and_counted(basic: Service) -> None:
    browser = Browser(basic.app)
    for number in range(3):
        answer = browser.ask(
            "POST", "/console/session", {"method": "basic", "username": "bob", "password": f"wrong {number}"}
        )
        assert (answer.status_code, (answer.json or {})["message"]) == (401, "the user or the password is wrong")
        assert "WWW-Authenticate" not in answer.headers, "a browser would ask its user in a window of its own"
        assert "Set-Cookie" not in answer.headers
    answer = browser.ask("POST", "/console/session", {"method": "basic", "username": "bob", "password": PASSWORD})
    assert answer.status_code == 429
    assert int(answer.headers["Retry-After"]) > 0
    assert Browser(basic.app, address="192.0.2.7").login("basic", username="bob", password=PASSWORD)["authenticated"]


def test_a_changed_password_ends_the_session(basic: Service, users: Path) -> None:
    browser = Browser(basic.app)
    browser.login("basic", username="bob", password=PASSWORD)
    other = bcrypt.hashpw(b"another", bcrypt.gensalt(4)).decode()
    users.write_text(f"bob:{other}\n")
    answer = browser.api("GET", "/v2/images")
    assert (answer.status_code, (answer.json or {})["error"]) == (401, "session expired")
    assert "WWW-Authenticate" not in answer.headers
    assert not records(basic)
    assert browser.session()["authenticated"] is False


def test_proxy(behind_proxy: Service) -> None:
    browser = Browser(behind_proxy.app, proxied("red"))
    said = browser.login("proxy")
    assert said["user"] == {"id": "user-red", "name": "User of red"}
    assert said["projects"] == [{"id": "red", "name": "red"}]
    image(browser)
    browser.always = proxied("blue")
    answer = browser.api("GET", "/v2/images")
    assert answer.status_code == 401, "the cookie of somebody else's session leads nowhere"
    assert not records(behind_proxy)


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        ("J\u00f6rg".encode().decode("latin-1"), "J\u00f6rg"),
        ("", "user-red"),
        ("a\x01b", "user-red"),
        ("x" * 1000, "x" * 255),
    ],
)
def test_people_are_called_what_the_proxy_says(behind_proxy: Service, said: str, shown: str) -> None:
    browser = Browser(behind_proxy.app, {**proxied("red"), "X-User-Name": said})
    assert browser.login("proxy")["user"] == {"id": "user-red", "name": shown}


def test_who_is_not_known_to_the_proxy_does_not_get_in(behind_proxy: Service) -> None:
    answer = Browser(behind_proxy.app).ask("POST", "/console/session", {"method": "proxy"})
    assert answer.status_code == 401
    assert not records(behind_proxy)


@pytest.mark.parametrize(
    "body",
    [
        {"method": "basic", "username": "x", "password": "y"},
        {"method": "sorcery"},
        {"method": "proxy", "more": "x"},
        {"method": ["proxy"]},
        [],
        {},
        {"method": "proxy", "username": "x" * 5000},
        b"method=proxy",
        b"{",
    ],
)
def test_what_is_no_way_to_log_in_is_refused(behind_proxy: Service, body: Any) -> None:
    answer = Browser(behind_proxy.app, proxied("red")).ask(
        "POST", "/console/session", body, Content_Type="application/json"
    )
    assert answer.status_code == 400, answer.text
    assert not records(behind_proxy)


# -- the cookie ------------------------------------------------------------------------------------
def test_what_the_cookie_says(tmp_path: Path) -> None:
    with console(tmp_path, HEADERS_AUTH) as service:
        plain = (
            Browser(service.app, proxied("red"))
            .ask("POST", "/console/session", {"method": "proxy"})
            .headers["Set-Cookie"]
        )
        name, _, rest = plain.partition("=")
        assert name == COOKIE
        assert set(rest.split("; ")[1:]) == {"HttpOnly", "Path=/", "SameSite=Strict"}
        browser = Browser(service.app, proxied("red"), base="https://localhost")
        said = browser.ask("POST", "/console/session", {"method": "proxy"}).headers["Set-Cookie"]
        name, _, rest = said.partition("=")
        assert name == f"__Host-{COOKIE}"
        assert set(rest.split("; ")[1:]) == {"HttpOnly", "Path=/", "SameSite=Strict", "Secure"}
        other = Browser(service.app, proxied("red"), base="https://localhost")
        other.set_cookie(plain.split("=")[1].split(";")[0])
        assert other.session()["authenticated"] is False, (
            "over TLS a cookie that any host of the domain may set is none"
        )


def test_a_cookie_that_was_known_before_the_login_leads_nowhere(behind_proxy: Service) -> None:
    thief, victim = Browser(behind_proxy.app, proxied("thief")), Browser(behind_proxy.app, proxied("victim"))
    thief.login("proxy")
    planted = thief.cookie
    victim.set_cookie(planted)
    victim.login("proxy")
    assert victim.cookie != planted
    assert thief.api("GET", "/v2/images").status_code == 401
    for made_up in ("A" * 43, "x", ""):
        victim.set_cookie(made_up)
        victim.login("proxy")
        assert victim.cookie != made_up


def test_each_login_ends_the_session_before(behind_proxy: Service) -> None:
    browser = Browser(behind_proxy.app, proxied("red"))
    browser.login("proxy")
    first = browser.cookie
    browser.login("proxy")
    assert browser.cookie != first
    assert len(records(behind_proxy)) == 1


@pytest.mark.parametrize(
    "cookie",
    [
        "",
        "x",
        "A" * 43,
        "A" * 42,
        "A" * 100_000,
        "../../etc/passwd",
        "' OR 1=1 --",
        "é" * 43,
        "%00" * 10,
        '"',
        '"\\"',
        ";;;=;",
        "null",
        "A" * 21 + "\x01" + "A" * 21,
    ],
)
def test_hostile_cookies_are_nobody(behind_proxy: Service, cookie: str) -> None:
    client = behind_proxy.app.test_client(use_cookies=False)
    headers = {"Cookie": f"{COOKIE}={cookie}".encode().decode("latin-1"), **proxied("red")}
    answer = client.get("/console/session", headers=headers)
    assert (answer.status_code, (answer.json or {})["authenticated"]) == (200, False)
    assert client.get("/console/api/v2/images", headers=headers).status_code == 401


# -- its end ---------------------------------------------------------------------------------------
def test_logout(behind_proxy: Service) -> None:
    browser = Browser(behind_proxy.app, proxied("red"))
    browser.login("proxy")
    cookie = browser.cookie
    assert browser.ask("DELETE", "/console/session", X_CSRF_Token="").status_code == 403
    answer = browser.ask("DELETE", "/console/session")
    assert (answer.status_code, browser.cookie) == (204, "")
    browser.set_cookie(cookie)
    assert browser.api("GET", "/v2/images").status_code == 401
    assert browser.ask("DELETE", "/console/session").status_code == 204, "it may be asked again"


def test_logout_everywhere(behind_proxy: Service) -> None:
    here, there, other = (Browser(behind_proxy.app, proxied(x)) for x in ("red", "red", "blue"))
    for browser in (here, there, other):
        browser.login("proxy")
    assert here.ask("DELETE", "/console/sessions").status_code == 204
    assert there.api("GET", "/v2/images").status_code == 401
    assert other.api("GET", "/v2/images").status_code == 200
    assert here.ask("DELETE", "/console/sessions").status_code == 401


def test_a_session_ends_when_it_is_idle(behind_proxy: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    browser = Browser(behind_proxy.app, proxied("red"))
    browser.login("proxy")
    at(monkeypatch, minutes=50)
    assert browser.api("GET", "/v2/images").status_code == 200
    at(monkeypatch, minutes=100)
    assert browser.api("GET", "/v2/images", X_Console_Background="1").status_code == 200, (
        "its use fifty minutes ago was noted"
    )
    at(monkeypatch, minutes=115)
    answer = browser.api("GET", "/v2/images")
    assert (answer.status_code, (answer.json or {})["error"]) == (401, "session expired"), "nobody was at the keyboard"
    assert browser.session()["authenticated"] is False


def test_who_asks_with_a_former_cookie_does_not_lose_the_newer_one(behind_proxy: Service) -> None:
    """The browser had sent the question before it got the new cookie; the answer comes after that."""
    browser = Browser(behind_proxy.app, proxied("red"))
    browser.login("proxy")
    former = browser.cookie
    browser.login("proxy")
    late = behind_proxy.app.test_client(use_cookies=False).get(
        "/console/session", headers={"Cookie": f"{COOKIE}={former}", **proxied("red")}
    )
    assert (late.status_code, (late.json or {})["authenticated"]) == (200, False)
    assert "Set-Cookie" not in late.headers


# -- two at once -----------------------------------------------------------------------------------
@pytest.mark.parametrize("everywhere", [False, True])
def test_a_change_in_flight_does_not_undo_a_logout(behind_proxy: Service, everywhere: bool) -> None:
    browser = Browser(behind_proxy.app, proxied("red"))
    browser.login("proxy")
    sessions = behind_proxy.extensions["console"].sessions  # type: ignore[attr-defined]
    session = sessions.find(browser.cookie)
    assert browser.ask("DELETE", "/console/sessions" if everywhere else "/console/session").status_code == 204
    with pytest.raises(SessionExpired):
        sessions.change(session, session.login)
    assert not records(behind_proxy)


def test_a_logout_ends_what_a_change_has_put_in_its_place_meanwhile(
    behind_proxy: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The request to log out has found its session before the change is committed."""
    browser, other = (Browser(behind_proxy.app, proxied("red")) for _ in range(2))
    browser.login("proxy")
    other.login("proxy")
    console = behind_proxy.extensions["console"]
    sessions = console.sessions  # type: ignore[attr-defined]
    log_out = sessions.log_out

    def late(line: str) -> None:
        session = sessions.find(browser.cookie)
        sessions.change(sessions.change(session, session.login), session.login)
        log_out(line)

    monkeypatch.setattr(sessions, "log_out", late)
    assert browser.ask("DELETE", "/console/session").status_code == 204
    assert [x.id for x in records(behind_proxy)] == [sessions.find(other.cookie).record.id]


@pytest.mark.parametrize("changed", [False, True])
@pytest.mark.parametrize("how", ["DELETE", "POST"])
def test_a_session_that_was_begun_before_logins_were_a_key_is_ended_too(
    behind_proxy: Service, how: str, changed: bool
) -> None:
    """By logging out, and by the next login; also when it has gone on in another project."""
    browser = Browser(behind_proxy.app, proxied("red"))
    browser.login("proxy")
    sessions = behind_proxy.extensions["console"].sessions  # type: ignore[attr-defined]
    if changed:
        session = sessions.find(browser.cookie)
        after = sessions.change(session, session.login)
        browser.set_cookie(after.cookie)
        browser.csrf = after.csrf
    [record] = records(behind_proxy)
    behind_proxy.database.images.commit(
        RecordChanged(record, replace(record, keys=record.keys[:1], version=record.version + 1))
    )
    answer = browser.ask(how, "/console/session", {"method": "proxy"} if how == "POST" else None)
    assert answer.status_code == (200 if how == "POST" else 204)
    assert record.id not in {x.id for x in records(behind_proxy)}
    assert len(records(behind_proxy)) == (how == "POST")


def test_a_change_goes_on_when_the_use_was_noted_meanwhile(
    behind_proxy: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    browser = Browser(behind_proxy.app, proxied("red"))
    browser.login("proxy")
    sessions = behind_proxy.extensions["console"].sessions  # type: ignore[attr-defined]
    session = sessions.find(browser.cookie)
    at(monkeypatch, minutes=30)
    browser.session()
    assert [x.version for x in records(behind_proxy)] == [2]
    changed = sessions.change(session, session.login)
    assert [x.id for x in records(behind_proxy)] == [changed.record.id]


def test_a_login_in_place_of_a_session_that_is_gone(behind_proxy: Service) -> None:
    browser = Browser(behind_proxy.app, proxied("red"))
    browser.login("proxy")
    sessions = behind_proxy.extensions["console"].sessions  # type: ignore[attr-defined]
    session = sessions.find(browser.cookie)
    sessions.end(session)
    begun = sessions.begin(session.login, session.line)
    assert [x.id for x in records(behind_proxy)] == [begun.record.id]


@pytest.mark.parametrize("what", ["begin", "change"])
def test_the_session_before_stays_when_the_new_one_can_not_be_kept(
    behind_proxy: Service, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    browser = Browser(behind_proxy.app, proxied("red"))
    browser.login("proxy")
    sessions = behind_proxy.extensions["console"].sessions  # type: ignore[attr-defined]
    session = sessions.find(browser.cookie)
    writer = behind_proxy.tools.kernel.writer
    save = writer.save

    def away(*changes: object, **more: Any) -> None:
        if any(isinstance(x, RecordAdded) for x in changes):
            raise DatabaseUnavailable("the database is away")
        save(*changes, **more)

    monkeypatch.setattr(writer, "save", away)
    with pytest.raises(DatabaseUnavailable):
        sessions.begin(session.login, session.line) if what == "begin" else sessions.change(session, session.login)
    assert [x.id for x in records(behind_proxy)] == [session.record.id]


def test_a_session_ends_after_its_hours(behind_proxy: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    browser = Browser(behind_proxy.app, proxied("red"))
    browser.login("proxy")
    for minutes in range(40, 12 * 60, 40):
        at(monkeypatch, minutes=minutes)
        assert browser.api("GET", "/v2/images").status_code == 200
    at(monkeypatch, minutes=12 * 60 + 1)
    assert browser.api("GET", "/v2/images").status_code == 401


def test_sessions_of_a_user_are_bounded(tmp_path: Path) -> None:
    with console(tmp_path, HEADERS_AUTH, sessions_per_user=2) as service:
        browsers = [Browser(service.app, proxied("red")) for _ in range(3)]
        for browser in browsers:
            browser.login("proxy")
        assert [x.api("GET", "/v2/images").status_code for x in browsers] == [401, 200, 200]


def test_the_service_is_not_asked_to_write_for_each_request(behind_proxy: Service) -> None:
    browser = Browser(behind_proxy.app, proxied("red"))
    browser.login("proxy")
    for _ in range(5):
        browser.api("GET", "/v2/images")
    assert [x.version for x in records(behind_proxy)] == [1]


# -- what is kept ----------------------------------------------------------------------------------
def test_neither_cookie_nor_password_are_at_rest(
    basic: Service, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG")
    browser = Browser(basic.app)
    said = browser.login("basic", username="bob", password=PASSWORD)
    browser.api("GET", "/v2/images")
    raw = b"".join(x.read_bytes() for x in (tmp_path / "service").glob("glance.sqlite*"))
    import base64

    for secret in (browser.cookie, said["csrf"], PASSWORD, base64.b64encode(f"bob:{PASSWORD}".encode()).decode()):
        assert secret.encode() not in raw
        assert secret not in caplog.text
    [record] = records(basic)
    assert record.id not in browser.cookie
    assert browser.cookie not in repr(basic.extensions["console"].sessions.find(browser.cookie))  # type: ignore[attr-defined]


def test_another_secret_ends_all_sessions(tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / name).write_bytes(name.encode() * 20)
    with console(tmp_path / "service", HEADERS_AUTH, secret_file=tmp_path / "one") as service:
        browser = Browser(service.app, proxied("red"))
        browser.login("proxy")
        cookie = browser.cookie
    for name, known in (("one", True), ("two", False)):
        with console(tmp_path / "service", HEADERS_AUTH, secret_file=tmp_path / name) as service:
            browser = Browser(service.app, proxied("red"))
            browser.set_cookie(cookie)
            assert browser.session()["authenticated"] is known


@pytest.mark.parametrize("how", ["DELETE", "POST"])
def test_what_another_secret_has_ended_does_not_come_back_with_it(tmp_path: Path, how: str) -> None:
    """The browser has logged out, or in anew, since."""
    secret = tmp_path / "secret"
    secret.write_bytes(b"secret" * 10)
    with console(tmp_path / "service", HEADERS_AUTH) as service:
        browser = Browser(service.app, proxied("red"))
        browser.login("proxy")
        cookie = browser.cookie
    with console(tmp_path / "service", HEADERS_AUTH, secret_file=secret) as service:
        browser = Browser(service.app, proxied("red"))
        browser.set_cookie(cookie)
        assert browser.ask(how, "/console/session", {"method": "proxy"} if how == "POST" else None).status_code in (
            200,
            204,
        )
    with console(tmp_path / "service", HEADERS_AUTH) as service:
        browser = Browser(service.app, proxied("red"))
        browser.set_cookie(cookie)
        assert browser.session()["authenticated"] is False


@pytest.mark.parametrize(("content", "why"), [(None, "No such file.*head -c 32"), (b"short", "it has 5 bytes")])
def test_a_secret_that_can_not_be_had_stops_the_start(tmp_path: Path, content: bytes | None, why: str) -> None:
    if content is not None:
        (tmp_path / "secret").write_bytes(content)
    with (
        pytest.raises(ConfigError, match=rf"\[ext_console\] secret_file = .*{why}"),
        console(tmp_path / "service", HEADERS_AUTH, secret_file=tmp_path / "secret"),
    ):
        pass


def test_what_the_policy_lets_do(tmp_path: Path, behind_proxy: Service) -> None:
    admin, red, blue = (
        Browser(behind_proxy.app, proxied(x, y))
        for x, y in (("ops", "admin,member,reader"), ("red", "member,reader"), ("blue", "member,reader"))
    )
    for browser in (admin, red, blue):
        browser.login("proxy")
    image_id = image(red)

    def may(browser: Browser, rule: str, of: str = "") -> bool:
        answer = browser.ask("GET", f"/console/permissions{of and f'?image={of}'}")
        assert answer.status_code == 200, answer.text
        return bool((answer.json or {})[rule])

    assert [may(x, "add_image") for x in (admin, red)] == [True, True]
    assert [may(x, "publicize_image", image_id) for x in (admin, red)] == [True, False]
    assert [may(x, "delete_image", image_id) for x in (admin, red)] == [True, True]
    assert blue.ask("GET", f"/console/permissions?image={image_id}").status_code == 404
    red.api(
        "PATCH",
        f"/v2/images/{image_id}",
        b'[{"op": "replace", "path": "/visibility", "value": "community"}]',
        Content_Type="application/openstack-images-v2.1-json-patch",
    )
    assert [may(blue, x, image_id) for x in ("get_image", "delete_image")] == [True, False]
    assert Browser(behind_proxy.app, proxied("red")).ask("GET", "/console/permissions").status_code == 401


def test_no_web_framework_in_workers() -> None:
    done = subprocess.run(
        [
            __import__("sys").executable,
            "-c",
            (
                "import glancecore_ext_console.extension, sys; sys.exit('flask' in sys.modules or 'keystoneauth1' in"
                " sys.modules)"
            ),
        ],
        check=False,
    )
    assert done.returncode == 0
