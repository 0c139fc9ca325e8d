"""Log in and out; a session that ends; a service that goes away."""

from __future__ import annotations

import json

from browsers import Visits
from clouds import Cloud, cloud
from playwright.sync_api import expect


def test_a_wrong_password_is_said(visits: Visits) -> None:
    visit = visits.new()
    page = visit.go("/images?name=one")
    visit.fill_login("rosa", "wrong")
    expect(page.get_by_role("alert")).to_contain_text("the user or the password is wrong")
    visit.fill_login("rosa")
    expect(page.get_by_label("Name, exactly")).to_have_value("one")
    assert page.url.endswith("/console/images?name=one"), "the address is kept"


def test_no_secret_is_in_the_pages_reach(visits: Visits) -> None:
    visit = visits.new()
    page = visit.login("rosa")
    [cookie] = visit.context.cookies()
    assert (cookie["httpOnly"], cookie["sameSite"]) == (True, "Strict")
    reach = page.evaluate("JSON.stringify([document.cookie, {...localStorage}, {...sessionStorage}])")
    assert cookie["value"] not in reach
    assert json.loads(reach)[0] == ""


def test_an_expired_session_keeps_what_was_entered(visits: Visits, service: Cloud) -> None:
    image_id = service.caller("rosa").image("patient")
    visit = visits.new()
    page = visit.login("rosa", f"/images/{image_id}")
    visit.button("Edit").click()
    visit.dialog.get_by_label("Name").fill("entered before")
    visit.context.clear_cookies()
    visit.button("Save", visit.dialog).click()
    login = page.get_by_role("dialog", name="Your session has ended")
    expect(login).to_be_visible()
    assert visit.serious() == []
    page.keyboard.press("Escape")
    expect(login).to_be_visible()
    visit.fill_login("rosa")
    expect(login).to_have_count(0)
    expect(visit.dialog.get_by_label("Name")).to_have_value("entered before")
    visit.confirm("Save")
    assert service.caller("rosa").show(image_id)["name"] == "entered before"


def test_log_out(visits: Visits) -> None:
    here, there = visits.new(), visits.new()
    for visit in (here, there):
        visit.login("rosa")
    here.page.locator(".pop > summary").click()
    here.button("Log out").click()
    expect(here.page.get_by_role("heading", name="Log in")).to_be_visible()
    there.page.reload()
    expect(there.page.get_by_role("heading", name="Images", level=1)).to_be_visible()
    here.fill_login("rosa")
    here.page.locator(".pop > summary").click()
    here.button("Log out everywhere").click()
    expect(here.page.get_by_role("heading", name="Log in")).to_be_visible()
    there.page.reload()
    expect(there.page.get_by_role("heading", name="Log in")).to_be_visible()


def test_the_service_goes_away_and_comes_back(visits: Visits, service: Cloud) -> None:
    image_id = service.caller("rosa").image("still here")
    visit = visits.new()
    page = visit.login("rosa", f"/images/{image_id}")
    visit.button("Edit").click()
    visit.dialog.get_by_label("Name").fill("renamed")
    service.service.stop()
    visit.button("Save", visit.dialog).click()
    expect(visit.dialog.get_by_role("alert")).to_contain_text("The service does not answer")
    banner = page.locator(".away")
    expect(banner).to_contain_text("nothing that you have entered is lost")
    service.service.start()
    expect(banner).to_have_count(0)
    visit.confirm("Save")
    expect(page.get_by_role("heading", name="renamed", level=1)).to_be_visible()


def test_screens_open_while_it_is_away(visits: Visits, service: Cloud) -> None:
    visit = visits.new()
    page = visit.login("rosa")
    page.wait_for_load_state("networkidle")
    service.service.stop()
    page.get_by_role("link", name="Usage").click()
    expect(page.locator(".away")).to_be_visible()
    service.service.start()
    expect(page.get_by_role("heading", name="Usage", level=1)).to_be_visible()
    expect(visit.section("Images")).to_be_visible()


def test_where_nothing_is_asked_one_is_inside(visits: Visits) -> None:
    """As `make run` serves it."""
    with cloud(DEFAULT={"auth_strategy": "none", "enabled_extensions": "console, families, tus"}) as other:
        apart = Visits(visits.browser, other.url)
        try:
            visit = apart.new()
            page = visit.go("/images")
            expect(page.get_by_role("heading", name="There is no image yet")).to_be_visible()
            page.get_by_role("navigation").get_by_role("link", name="Upload", exact=True).click()
            page.get_by_label("or choose some").set_input_files(
                [{"name": "disk.raw", "mimeType": "application/octet-stream", "buffer": b"x" * 5000}]
            )
            visit.button("Upload 1 file").click()
            expect(page.get_by_role("article", name="disk")).to_have_attribute("data-state", "done")
            page.get_by_role("link", name="disk", exact=True).click()
            for name in ("Edit", "Deactivate", "Delete"):
                expect(visit.button(name)).to_be_visible()
            visit.button("Delete").click()
            expect(visit.dialog).to_contain_text("can't be undone")
            visit.button("Leave it").click()
            visit.go("/families")
            visit.button("New family").first.click()
            visit.dialog.get_by_label("Name").fill("debian/13")
            visit.confirm("Create")
            visit.go("/families")
            expect(page.get_by_role("row").filter(has_text="debian/13")).to_contain_text("your project")
        finally:
            apart.close()


def test_the_proxy_says_who_it_is(visits: Visits) -> None:
    with cloud(DEFAULT={"auth_strategy": "headers", "enabled_extensions": "console, tus"}) as other:
        apart = Visits(visits.browser, other.url)
        said = {
            "X-Identity-Status": "Confirmed",
            "X-User-Id": "u1",
            "X-User-Name": "Una",
            "X-Project-Id": "red",
            "X-Roles": "member,reader",
        }
        try:
            visit = apart.new(extra_http_headers=said)
            page = visit.go("/images")
            expect(page.get_by_text("Una")).to_be_visible()
            visit.context.set_extra_http_headers({**said, "X-User-Id": "u2", "X-User-Name": "Uno"})
            page.get_by_role("link", name="Usage").click()
            expect(page.get_by_text("Uno")).to_be_visible()
        finally:
            apart.close()
