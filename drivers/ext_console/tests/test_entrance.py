"""What the page's requests to the API may do, and what other pages' may not."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from browsing import COOKIE, SAFE, Browser, console, image, proxied

from glancecore.assembly.lifecycle import Service

HEADERS_AUTH = {"DEFAULT": {"auth_strategy": "headers"}}
NEW = {"disk_format": "raw", "container_format": "bare"}


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Service]:
    with console(tmp_path, HEADERS_AUTH) as service:
        yield service


@pytest.fixture
def red(service: Service) -> Browser:
    browser = Browser(service.app, proxied("red"))
    browser.login("proxy")
    return browser


# -- pages of others -------------------------------------------------------------------------------
@pytest.mark.parametrize("token", ["", "wrong", "é", "A" * 43])
@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
def test_what_changes_something_needs_the_token(red: Browser, method: str, token: str) -> None:
    answer = red.api(method, "/v2/images", NEW, X_CSRF_Token=token.encode().decode("latin-1"))
    assert answer.status_code == 403, answer.text
    assert "X-CSRF-Token" in (answer.json or {})["message"]
    assert not (red.api("GET", "/v2/images").json or {})["images"]


def test_the_token_of_another_session_is_none(red: Browser, service: Service) -> None:
    other = Browser(service.app, proxied("red"))
    other.login("proxy")
    assert red.api("POST", "/v2/images", NEW, X_CSRF_Token=other.csrf).status_code == 403


@pytest.mark.parametrize(
    "headers",
    [
        {"Sec_Fetch_Site": "cross-site", "Origin": "https://evil.example"},
        {"Sec_Fetch_Site": "same-site", "Origin": "https://other.localhost"},
        {"Sec_Fetch_Site": "", "Origin": "https://evil.example"},
        {"Sec_Fetch_Site": "", "Origin": "null"},
        {"Sec_Fetch_Site": "cross-site", "Origin": ""},
    ],
)
@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/console/api/v2/images"),
        ("GET", "/console/api/v2/images"),
        ("GET", "/console/session"),
        ("DELETE", "/console/session"),
        ("POST", "/console/session"),
        ("DELETE", "/console/sessions"),
        ("GET", "/console/permissions"),
    ],
)
def test_pages_of_other_sites_are_refused(red: Browser, headers: dict[str, str], method: str, path: str) -> None:
    """With the cookie, and even with the token."""
    answer = red.ask(method, path, NEW if method == "POST" else None, **headers)
    assert answer.status_code == 403, answer.text
    assert "another web site" in answer.text
    assert red.session()["authenticated"]


def test_sites_that_the_operator_lets_into_the_api_do_not_get_into_sessions(tmp_path: Path) -> None:
    with console(tmp_path, {**HEADERS_AUTH, "cors": {"allowed_origin": "*"}}) as service:
        browser = Browser(service.app, proxied("red"))
        browser.login("proxy")
        assert (
            browser.ask(
                "POST", "/v2/images", NEW, Sec_Fetch_Site="cross-site", Origin="https://horizon.example"
            ).status_code
            == 201
        )
        assert (
            browser.api(
                "POST", "/v2/images", NEW, Sec_Fetch_Site="cross-site", Origin="https://horizon.example"
            ).status_code
            == 403
        )
        assert (
            browser.ask(
                "GET", "/console/session", Sec_Fetch_Site="cross-site", Origin="https://horizon.example"
            ).status_code
            == 403
        )


def test_links_from_elsewhere_lead_to_the_page(service: Service, static: Path) -> None:
    assert (
        Browser(service.app)
        .ask("GET", "/console/images/x", Sec_Fetch_Site="cross-site", Sec_Fetch_Mode="navigate")
        .status_code
        == 200
    )


# -- in whose name ---------------------------------------------------------------------------------
def test_two_projects_do_not_see_each_other(service: Service, red: Browser) -> None:
    blue = Browser(service.app, proxied("blue"))
    blue.login("proxy")
    mine = image(red, name="red's")
    assert blue.api("GET", f"/v2/images/{mine}").status_code == 404
    assert [x["id"] for x in (red.api("GET", "/v2/images").json or {})["images"]] == [mine]
    assert (blue.api("GET", "/v2/images").json or {})["images"] == []
    assert blue.api("DELETE", f"/v2/images/{mine}").status_code == 404


def test_what_a_browser_says_of_itself_counts_for_nothing(tmp_path: Path) -> None:
    """Where the credentials are the session's own."""
    import bcrypt

    (tmp_path / "users").write_text(
        "".join(f"{x}:{bcrypt.hashpw(b'secret word', bcrypt.gensalt(4)).decode()}\n" for x in ("bob", "root"))
    )
    with console(
        tmp_path / "service",
        {
            "DEFAULT": {"auth_strategy": "basic"},
            "auth_basic": {"http_basic_auth_user_file": tmp_path / "users", "admins": "root"},
        },
    ) as service:
        browser = Browser(service.app)
        browser.login("basic", username="bob", password="secret word")
        word = "Basic cm9vdDpzZWNyZXQgd29yZA=="
        assert browser.ask("POST", "/v2/images", NEW, Authorization=word).json["owner"] == "root"  # type: ignore[index]
        answer = browser.api(
            "POST",
            "/v2/images",
            NEW,
            Authorization=word,
            X_User_Id="root",
            X_Roles="admin",
            X_Identity_Status="Confirmed",
            X_Project_Id="root",
            X_Auth_Token="x",
        )
        assert (answer.json or {})["owner"] == "bob"
        nobody = Browser(service.app)
        assert nobody.api("GET", "/v2/images", Authorization=word).status_code == 401, (
            "a password is none of the entrance's"
        )


def test_the_cookie_is_good_below_the_entrance_only(red: Browser, service: Service) -> None:
    alone = Browser(service.app)
    alone.set_cookie(red.cookie)
    assert alone.ask("GET", "/v2/images").status_code == 401
    assert alone.api("GET", "/v2/images").status_code == 401, "nor without the proxy"


def test_events_tell_the_client_itself(tmp_path: Path) -> None:
    with console(tmp_path, {**HEADERS_AUTH, "oslo_middleware": {"enable_proxy_headers_parsing": True}}) as service:
        seen = []
        service.kernel.on.committed(seen.append)
        browser = Browser(service.app, {**proxied("red"), "X-Forwarded-For": "203.0.113.9"})
        browser.login("proxy")
        browser.api("POST", "/v2/images", NEW)
        assert [(x.initiator.address, x.initiator.user, x.initiator.request) for x in seen] == [
            ("203.0.113.9", "user-red", "POST /v2/images")
        ]


# -- the same service ------------------------------------------------------------------------------
def test_any_method_and_any_answer(red: Browser) -> None:
    image_id = image(red, b"some data")
    answer = red.api("GET", f"/v2/images/{image_id}/file", Range="bytes=5-8")
    assert (answer.status_code, answer.data, answer.headers["Content-Range"]) == (206, b"data", "bytes 5-8/9")
    assert red.api("HEAD", f"/v2/images/{image_id}").status_code in (200, 204)
    etag = red.api("GET", f"/v2/images/{image_id}").headers["ETag"]
    assert red.api("GET", f"/v2/images/{image_id}", If_None_Match=etag).status_code == 304
    assert red.api("GET", "/v2/images?limit=0x").status_code == 400
    assert red.api("GET", "/v2.2/images").status_code == 200
    assert red.api("GET", "/openapi.json").status_code == 200
    assert red.api("DELETE", f"/v2/images/{image_id}").status_code == 204


def test_absolute_links_lead_through_the_entrance(red: Browser) -> None:
    image_id = (red.api("POST", "/v2/images", NEW).json or {})["id"]
    answer = red.api("POST", f"/v2/images/{image_id}/uploads", Tus_Resumable="1.0.0", Upload_Length="4")
    assert answer.status_code == 201, answer.text
    there = answer.headers["Location"]
    assert there.startswith(f"http://localhost/console/api/v2/images/{image_id}/uploads/")
    answer = red.ask(
        "PATCH",
        there.removeprefix("http://localhost"),
        b"data",
        Tus_Resumable="1.0.0",
        Upload_Offset="0",
        Content_Type="application/offset+octet-stream",
    )
    assert answer.status_code == 204, answer.text
    assert (red.api("GET", f"/v2/images/{image_id}").json or {})["status"] == "active"


def test_absolute_links_lead_through_what_stands_before(tmp_path: Path) -> None:
    with console(
        tmp_path,
        {**HEADERS_AUTH, "DEFAULT": {"auth_strategy": "headers", "public_endpoint": "https://cloud.example/image"}},
    ) as service:
        browser = Browser(service.app, proxied("red"), base="https://cloud.example")
        said = browser.login("proxy")
        assert said["service"]["upload"]["tus"] == "/image/console/api/v2/images/{image_id}/uploads"
        image_id = (browser.api("POST", "/v2/images", NEW).json or {})["id"]
        answer = browser.api("POST", f"/v2/images/{image_id}/uploads", Tus_Resumable="1.0.0", Upload_Length="4")
        assert answer.headers["Location"].startswith(
            f"https://cloud.example/image/console/api/v2/images/{image_id}/uploads/"
        )
        assert browser.ask("GET", "/console").headers["Location"] == "/image/console/"


def test_errors_are_json_for_who_takes_anything(red: Browser) -> None:
    for accept in ("*/*", ""):
        assert red.api("GET", "/v2/images/none", Accept=accept).mimetype == "application/json"
        assert Browser(red.app).api("GET", "/v2/images", Accept=accept).mimetype == "application/json"
    assert red.api("GET", "/v2/images/none", Accept="text/html").mimetype == "text/html"


def test_without_a_session_nothing_is_answered(service: Service) -> None:
    for method in ("GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE", "TRACE", "BREW"):
        for path in (
            "/v2/images",
            "/v2/info/stores",
            "/nothing",
            "/",
            "/console/session",
            "/../v2/images",
            "/healthcheck",
            "/metrics",
        ):
            answer = Browser(service.app, proxied("red")).api(method, path)
            assert answer.status_code == 401, (method, path, answer.status_code)
            if method != "HEAD":
                assert (answer.json or {})["error"] == "not_authenticated"


def test_a_session_that_is_no_more_is_told(red: Browser) -> None:
    red.set_cookie("A" * 43)
    answer = red.api("GET", "/v2/images")
    assert (answer.status_code, answer.json) == (
        401,
        {
            "message": "the session has ended; log in again",
            "code": "401 Unauthorized",
            "title": "Unauthorized",
            "error": "session expired",
        },
    )


def test_sessions_are_not_made_through_the_entrance(red: Browser) -> None:
    """The console's own routes are reached through it without any cookie."""
    assert red.api("GET", "/console/session").json["authenticated"] is False  # type: ignore[index]


def test_bodies_and_answers_are_not_held(service: Service, red: Browser) -> None:
    """A piece of an answer is there before the next one is made; a body is read by the service itself, as it comes."""
    read: list[int] = []

    class Input:
        def read(self, size: int = -1) -> bytes:
            read.append(size)
            return b""

        readline = read

    inside: dict[str, object] = {}
    entrances = service.app.wsgi_app._app  # type: ignore[attr-defined]
    inner = entrances._app

    def app(environ: dict[str, object], start_response: object) -> object:
        inside.update(environ)
        start_response("200 OK", [("Content-Type", "application/octet-stream"), ("WWW-Authenticate", "Basic")])  # type: ignore[operator]
        return pieces

    pieces = iter([b"a", b"b"])
    entrances._app = app
    try:
        began: list[object] = []
        environ = {
            "REQUEST_METHOD": "GET",
            "PATH_INFO": "/console/api/v2/x",
            "SERVER_NAME": "localhost",
            "SERVER_PORT": "80",
            "wsgi.url_scheme": "http",
            "wsgi.input": Input(),
            "HTTP_COOKIE": f"{COOKIE}={red.cookie}",
            "REMOTE_ADDR": "127.0.0.1",
            **{f"HTTP_{name.upper().replace('-', '_')}": value for name, value in proxied("red").items()},
        }
        answer = service.app.wsgi_app(
            environ, lambda status, headers, exc_info=None: began.append((status, dict(headers)))
        )
    finally:
        entrances._app = inner
    assert answer is pieces
    assert read == []
    assert inside["wsgi.input"] is environ["wsgi.input"]
    assert (inside["PATH_INFO"], inside["SCRIPT_NAME"]) == ("/v2/x", "/console/api")
    assert "HTTP_COOKIE" not in inside
    [(status, headers)] = began  # type: ignore[misc]
    assert status == "200 OK"
    assert "WWW-Authenticate" not in headers
    assert json.dumps(sorted(SAFE))  # what the page sends no token with


def test_the_lane_is_that_of_the_route(service: Service) -> None:
    from glancecore.http.app import LANES
    from glancecore.ports.http import Lane

    lanes = service.app.extensions[LANES]
    assert lanes("GET", "/console/api/v2/images/x/file") is Lane.TRANSFER
    assert lanes("PATCH", "/console/api/v2/images/x/uploads/y") is Lane.TRANSFER
    assert lanes("GET", "/console/api/v2/images") is Lane.QUICK
    assert lanes("GET", "/console/elsewhere/v2/images/x/file") is Lane.QUICK
