"""Keystone says who it is, two stores have the data, and a worker imports: the page sees no token."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from urllib.parse import urlsplit

import keystone_setup
import lab
import pytest
import requests
from browsers import Visit, Visits
from clouds import Cloud, cloud
from playwright.sync_api import Page, expect

#: Of every user that tests/backends/keystone_setup.py makes.
PASSWORD = "secret"


@pytest.fixture(scope="module")
def service() -> Iterator[Cloud]:
    """On the port that Keystone trusts with logins by the company. Browsers find Keystone at another site than ours."""
    keystone = lab.keystone()
    port = urlsplit(keystone.url).port
    with cloud(
        int(keystone.settings["CONSOLE_PORT"]),
        DEFAULT={"auth_strategy": "keystone"},
        ext_console={"websso_protocols": "openid:Company account"},
        jobboard={"url": lab.redis_url(), "name": f"console-{time.time_ns()}", "claim_ttl": 2},
        keystone_authtoken={
            "auth_type": "password",
            "auth_url": keystone.url,
            "www_authenticate_uri": f"http://localhost:{port}/v3",
            "username": "glance",
            "password": PASSWORD,
            "project_name": "service",
            "user_domain_id": "default",
            "project_domain_id": "default",
            "token_cache_time": -1,
        },
    ) as made:
        yield made


@pytest.fixture(scope="module")
def two_projects() -> tuple[str, str]:
    """A user of both, and the name of the second."""
    keystone = keystone_setup.Keystone(lab.keystone().url)
    name = f"both-{time.time_ns()}"
    user = keystone.ensure("user", {"name": name, "domain_id": "default"}, password=PASSWORD)
    role = keystone.ensure("role", {"name": "member"})
    second = keystone.ensure("project", {"name": f"second-{name}", "domain_id": "default"})
    for project in (keystone.ensure("project", {"name": f"first-{name}", "domain_id": "default"}), second):
        keystone.grant(role, user, project)
    return name, second


def log_in(visit: Visit, user: str, project: str = "") -> Page:
    page = visit.page
    page.get_by_label("User", exact=True).fill(user)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_label("Project", exact=True).fill(project)
    visit.button("Log in").click()
    visit.inside()
    return page


def upload(visit: Visit, name: str) -> None:
    visit.page.get_by_role("navigation").get_by_role("link", name="Upload", exact=True).click()
    visit.page.get_by_label("or choose some").set_input_files(
        [{"name": f"{name}.raw", "mimeType": "application/octet-stream", "buffer": b"x" * 3_000_000}]
    )
    visit.button("Upload 1 file").click()
    expect(visit.page.get_by_role("article", name=name)).to_have_attribute("data-state", "done")


def test_password(visits: Visits) -> None:
    visit = visits.new()
    page = visit.go("/images")
    expect(visit.button("Application credential")).to_be_visible()
    expect(page.get_by_label("Domain", exact=True)).to_have_value("Default")
    assert visit.serious() == []
    log_in(visit, "demo", "demo")
    expect(page.locator(".who")).to_have_text("demo")
    assert "gAAAA" not in page.evaluate("JSON.stringify([document.cookie, {...localStorage}, {...sessionStorage}])")
    upload(visit, "by password")


@pytest.fixture
def worker(service: Cloud) -> Iterator[Callable[[], None]]:
    """Starts one: until then imports wait on the board."""
    started: list[lab.Process] = []

    def start() -> None:
        with (service.service.folder / "glance-worker.log").open("ab") as log:
            started.append(
                lab.launch(
                    "glance-worker", "--config-file", service.service.config_file, cwd=service.service.folder, log=log
                )
            )

    yield start
    for process in started:
        process.terminate()
        process.wait(60)


def test_a_worker_imports_and_another_store_gets_a_copy(
    visits: Visits, service: Cloud, worker: Callable[[], None]
) -> None:
    (service.sources / "worker.img").write_bytes(b"by a worker")
    visit = visits.new()
    page = visit.go("/import")
    log_in(visit, "admin", "admin")
    page.get_by_label("URL of the image").fill(f"{service.source_url}/worker.img")
    visit.button("Begin the import").click()
    expect(visit.section("Tasks")).to_contain_text("Waiting for its turn")
    worker()
    expect(visit.section("About")).to_contain_text("active")
    copies = visit.section("Copies")
    visit.button("Copy to other stores", copies).click()
    visit.confirm("Copy to other stores")
    expect(copies.get_by_text("slow", exact=True)).to_be_visible()


def test_application_credential(visits: Visits) -> None:
    url = lab.keystone().url
    asked = {
        "auth": {
            "identity": {
                "methods": ["password"],
                "password": {"user": {"name": "demo", "domain": {"id": "default"}, "password": PASSWORD}},
            },
            "scope": {"project": {"name": "demo", "domain": {"id": "default"}}},
        }
    }
    answer = requests.post(f"{url}/auth/tokens", json=asked, timeout=60)
    headers, user = {"X-Auth-Token": answer.headers["X-Subject-Token"]}, answer.json()["token"]["user"]["id"]
    made = requests.post(
        f"{url}/users/{user}/application_credentials",
        headers=headers,
        json={"application_credential": {"name": f"console-{time.time_ns()}"}},
        timeout=60,
    )
    found = made.json()["application_credential"]
    visit = visits.new()
    page = visit.go("/images")
    visit.button("Application credential").click()
    page.get_by_label("ID").fill(found["id"])
    page.get_by_label("Secret").fill("wrong")
    assert visit.serious() == []
    visit.button("Log in").click()
    expect(page.get_by_role("alert")).to_contain_text("the application credential or its secret is wrong")
    page.get_by_label("Secret").fill(found["secret"])
    visit.button("Log in").click()
    visit.inside()
    expect(page.locator(".who")).to_have_text("demo")
    expect(page.get_by_role("banner").get_by_role("combobox", name="Project")).to_have_count(0)
    expect(page.get_by_role("heading", name="Images", level=1)).to_be_visible()


def test_two_projects_of_one_user_do_not_see_each_others(visits: Visits, two_projects: tuple[str, str]) -> None:
    user, second = two_projects
    visit = visits.new()
    page = visit.go("/images")
    log_in(visit, user)
    before = visit.context.cookies()[0]["value"]
    upload(visit, "of the first")
    with page.expect_response(lambda x: x.url.endswith("/console/session") and x.request.method == "GET"):
        page.get_by_role("banner").get_by_role("combobox", name="Project").select_option(second)
    visit.go("/images")
    expect(page.get_by_role("heading", name="There is no image yet")).to_be_visible()
    assert visit.context.cookies()[0]["value"] != before, "another cookie"
    upload(visit, "of the second")
    visit.go("/images")
    expect(page.get_by_role("link", name="of the second")).to_be_visible()
    expect(page.get_by_role("link", name="of the first")).to_have_count(0)


def test_company_account(visits: Visits) -> None:
    """By Keystone's own federation: the company's page, its mapping, and the form that it sends back from another
    site."""
    visit = visits.new()
    page = visit.go("/images?name=kept")
    for account in ("ada", "grace"):
        visit.button("Company account").click()
        assert visit.serious() == []
        page.get_by_role("main").get_by_role("link").click()
        page.get_by_label("Account").fill(account)
        page.get_by_role("button", name="Log in at the company").click()
        expect(page.get_by_role("heading", name=f"You are logged in as {account}")).to_be_visible()
        assert visit.serious() == []
        page.get_by_role("link", name=f"Go on as {account}").click()
        visit.inside()
        expect(page.locator(".who")).to_have_text("demo")
        [cookie] = visit.context.cookies(visit.base)
        assert (cookie["httpOnly"], cookie["sameSite"]) == (True, "Strict"), "that of the login is gone"
        page.locator(".pop > summary").click()
        visit.button("Log out").click()
        expect(page.get_by_role("heading", name="Log in", exact=True)).to_be_visible()
    elsewhere = {urlsplit(x).netloc for x in visit.elsewhere}
    assert elsewhere == {f"localhost:{urlsplit(lab.keystone().url).port}"}, (
        "Keystone, which one is sent to, and nobody else"
    )
    visit.elsewhere.clear()


def test_logged_out_everywhere(visits: Visits) -> None:
    here, there = visits.new(), visits.new()
    for visit in (here, there):
        visit.go("/images")
        log_in(visit, "alt_demo", "alt_demo")
    here.page.locator(".pop > summary").click()
    here.button("Log out everywhere").click()
    expect(here.page.get_by_role("heading", name="Log in", exact=True)).to_be_visible()
    there.page.reload()
    expect(there.page.get_by_role("heading", name="Log in", exact=True)).to_be_visible()


def test_a_token_that_ends_while_one_works(visits: Visits, service: Cloud) -> None:
    """Keystone takes it back in the middle of an entry; then the service itself goes away and comes back."""
    keystone, name = (
        keystone_setup.Keystone(lab.keystone().url),
        f"patient-{time.time_ns()}",
    )  # others' tests use the other users meanwhile
    user = keystone.ensure("user", {"name": name, "domain_id": "default"}, password=PASSWORD)
    keystone.grant(
        keystone.ensure("role", {"name": "member"}),
        user,
        keystone.ensure("project", {"name": "demo", "domain_id": "default"}),
    )
    visit = visits.new()
    page = visit.go("/images")
    log_in(visit, name, "demo")
    upload(visit, "patient")
    page.get_by_role("link", name="patient", exact=True).click()
    visit.button("Edit").click()
    visit.dialog.get_by_label("Name").fill("entered before")
    for enabled in (False, True):  # ends all tokens of his
        keystone.call("PATCH", f"/users/{user}", {"user": {"enabled": enabled}})
    visit.button("Save", visit.dialog).click()
    again = page.get_by_role("dialog", name="Your session has ended")
    expect(again).to_be_visible()
    assert visit.serious() == []
    again.get_by_label("User", exact=True).fill(name)
    again.get_by_label("Password").fill(PASSWORD)
    again.get_by_label("Project", exact=True).fill("demo")
    visit.button("Log in", again).click()
    expect(again).to_have_count(0)
    expect(visit.dialog.get_by_label("Name")).to_have_value("entered before")
    service.service.stop()
    visit.button("Save", visit.dialog).click()
    expect(page.locator(".away")).to_contain_text("nothing that you have entered is lost")
    service.service.start()
    expect(page.locator(".away")).to_have_count(0)
    visit.confirm("Save")
    expect(page.get_by_role("heading", name="entered before", level=1)).to_be_visible()
