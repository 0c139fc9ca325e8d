"""The page and its files, and what every answer below /console says to a browser."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest
from browsing import Browser, console
from glancecore_ext_console.extension import HEADERS

OPEN = {"DEFAULT": {"auth_strategy": "none"}}


@pytest.fixture
def browser(tmp_path: Path, static: Path) -> Browser:
    with console(tmp_path / "service", OPEN) as service:
        yield Browser(service.app)


def test_the_page_is_the_same_at_every_address_of_it(browser: Browser, static: Path) -> None:
    page = (static / "index.html").read_text()
    for path in (
        "/console/",
        "/console/images",
        "/console/images/0b6a4a0e-2f5c-4a58-9d53-6a8c0ee0a111?tab=tasks",
        "/console/families/debian/13",
        "/console/index.html",
    ):
        answer = browser.ask("GET", path, Accept="text/html")
        assert (answer.status_code, answer.text, answer.mimetype) == (200, page, "text/html")
        assert answer.headers["Cache-Control"] == "no-store"


def test_without_a_slash_it_is_elsewhere(browser: Browser) -> None:
    answer = browser.ask("GET", "/console")
    assert (answer.status_code, answer.headers["Location"]) == (308, "/console/")


@pytest.mark.parametrize(
    ("accepts", "coding", "data"),
    [
        ("", None, b"let it = 1;"),
        ("gzip, deflate", "gzip", gzip.compress(b"let it = 1;")),
        ("gzip, br", "br", b"as if by brotli"),
        ("br;q=0, gzip;q=0", None, b"let it = 1;"),
    ],
)
def test_assets_come_as_the_browser_takes_them(
    browser: Browser, static: Path, accepts: str, coding: str | None, data: bytes
) -> None:
    answer = browser.ask("GET", "/console/assets/app-1a2b.js", Accept_Encoding=accepts)
    assert answer.status_code == 200
    assert answer.headers.get("Content-Encoding") == coding
    assert answer.data == (data if coding != "gzip" else (static / "assets" / "app-1a2b.js.gz").read_bytes())
    assert answer.headers["Vary"] == "Accept-Encoding"
    assert answer.mimetype == "text/javascript"
    assert answer.headers["Cache-Control"] == "public, max-age=31536000, immutable"


def test_files_beside_the_page(browser: Browser) -> None:
    answer = browser.ask("GET", "/console/favicon.svg")
    assert (answer.text, answer.mimetype, answer.headers["Cache-Control"]) == ("<svg/>", "image/svg+xml", "no-cache")
    assert browser.ask("GET", "/console/assets/app-1a2b.css").mimetype == "text/css"


@pytest.mark.parametrize(
    "path",
    [
        "/console/assets/none.js",
        "/console/assets/../../secret.txt",
        "/console/assets/%2e%2e/%2e%2e/secret.txt",
        "/console/assets/..%2f..%2fsecret.txt",
        "/console/assets//etc/passwd",
        "/console/assets/%2fetc%2fpasswd",
        "/console/assets/../index.html",
    ],
)
def test_no_path_leads_out_of_the_folder(browser: Browser, path: str) -> None:
    answer = browser.ask("GET", path)
    assert answer.status_code == 404, answer.text
    assert "not of the console" not in answer.text


def test_a_page_that_is_no_file_is_the_page(browser: Browser) -> None:
    for path in ("/console/../../secret.txt", "/console/%2e%2e/secret.txt"):
        assert "not of the console" not in browser.ask("GET", path).text


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/console", 308),
        ("GET", "/console/", 200),
        ("GET", "/console/images", 200),
        ("GET", "/console/assets/app-1a2b.js", 200),
        ("GET", "/console/assets/none", 404),
        ("POST", "/console/images", 405),
        ("OPTIONS", "/console/session", 200),
        ("GET", "/console/session", 200),
        ("POST", "/console/session", 400),
        ("DELETE", "/console/session", 204),
        ("GET", "/console/permissions", 401),
        ("GET", "/console/api/v2/images", 401),
        ("GET", "/console/api/nothing", 401),
        ("PUT", "/console/api/v2/images", 401),
        ("GET", "/console/%0a", 400),
        ("GET", "//console/images", 200),
        ("GET", "/%2fconsole/", 200),
        ("GET", "//console/api/v2/images", 401),
    ],
)
def test_every_answer_is_strict(browser: Browser, method: str, path: str, status: int) -> None:
    answer = browser.ask(method, path.replace("//", "/%2f"))  # the test client takes // for a host
    assert answer.status_code == status, answer.text
    for name, value in HEADERS.items():
        if name != "Cache-Control":
            assert answer.headers.getlist(name) == [value]
    assert len(answer.headers.getlist("Cache-Control")) == 1
    assert method == "OPTIONS" or "x-openstack-request-id" in answer.headers


def test_answers_of_the_api_are_strict_as_well(browser: Browser) -> None:
    browser.login("none")
    for path, status in (("/v2/images", 200), ("/v2/images/none", 404), ("/nothing", 404)):
        answer = browser.api("GET", path)
        assert answer.status_code == status
        assert {name: answer.headers[name] for name in HEADERS} == HEADERS


def test_the_description_names_each_route_once(browser: Browser) -> None:
    names = [
        x["operationId"] for path in browser.ask("GET", "/openapi.json").json["paths"].values() for x in path.values()
    ]  # type: ignore[index]
    assert len(set(names)) == len(names)


def test_other_answers_of_the_service_stay_as_they_were(browser: Browser) -> None:
    assert not HEADERS.keys() & browser.ask("GET", "/v2/images").headers.keys()


def test_a_console_that_is_not_built_says_so(tmp_path: Path, static: Path) -> None:
    (static / "index.html").unlink()
    with console(tmp_path / "service", OPEN) as service:
        browser = Browser(service.app)
        answer = browser.ask("GET", "/console/images", Accept="text/html")
        assert answer.status_code == 503
        assert "make console" in answer.text
        assert answer.headers["Content-Security-Policy"] == HEADERS["Content-Security-Policy"]
        assert browser.ask("GET", "/v2/images").status_code == 200, "the API is not held up"
        assert browser.session()["authenticated"] is False
        (static / "index.html").write_text("built now")
        assert browser.ask("GET", "/console/").text == "built now"
