"""What operators look at, usage, and the metadata definitions."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import requests
from browsers import Visits
from clouds import Cloud, until_active
from playwright.sync_api import expect
from waiting import until


def test_stores(visits: Visits, service: Cloud) -> None:
    service.caller("anna").image("one", b"x" * 2048)
    visit = visits.new()
    visit.login("anna", "/stores")
    fast = visit.section("fast")
    expect(fast).to_contain_text("up")
    expect(fast).to_contain_text("default")
    expect(fast).to_contain_text("Free")


def test_a_store_is_emptied(visits: Visits, service: Cloud) -> None:
    """Drained, looked at, emptied, and back, from the console alone; each step says what it will do."""
    anna = service.caller("anna")
    anna.call(
        "POST",
        f"/v2/images/{anna.image('moved', b'x' * 3000)}/import",
        {"method": {"name": "copy-image"}, "stores": ["slow"]},
    )
    gone = anna.image("gone from slow", None)
    anna.call(
        "PUT",
        f"/v2/images/{gone}/file",
        b"y" * 2048,
        Content_Type="application/octet-stream",
        X_Image_Meta_Store="slow",
    )
    until_active(anna, gone)
    until(lambda: anna.named("moved")[0]["stores"].count(",") == 1)
    visit = visits.new()
    visit.login("anna", "/stores")
    slow = visit.section("slow")
    expect(visit.button("Empty it", slow)).to_have_count(0)
    visit.button("Drain", visit.section("fast")).click()
    visit.button("Drain", visit.dialog).click()
    expect(visit.dialog.get_by_role("alert")).to_contain_text("would have nowhere to go")
    visit.button("Leave it", visit.dialog).click()
    visit.button("Drain", slow).click()
    expect(visit.dialog).to_contain_text("takes no new data any more")
    assert visit.serious() == []
    visit.confirm("Drain")
    expect(slow).to_contain_text("being drained")
    visit.button("Empty it", slow).click()
    expect(visit.dialog).to_contain_text("Each image has another copy")
    assert visit.serious() == []
    visit.button("Dry run", visit.dialog).click()
    expect(slow).to_contain_text("What emptying it would do")
    expect(slow).to_contain_text(
        "2 of 2 images. To be moved: 1 (2 KiB). To be removed here for a good copy elsewhere: 1."
    )
    assert visit.serious() == []
    visit.button("Empty it", slow).click()
    visit.confirm("Empty it")
    expect(slow).to_contain_text("2 of 2 images. Moved: 1 (2 KiB). Removed here for a good copy elsewhere: 1.")
    expect(slow).to_contain_text("No image needs it any more")
    assert [anna.show(x)["stores"] for x in (gone, anna.named("moved")[0]["id"])] == ["fast", "fast"]
    visit.button("Take data again", slow).click()
    visit.confirm("Take data again")
    expect(slow).not_to_contain_text("being drained")
    visit.go("/events?subject=slow")
    expect(visit.page.get_by_role("row").filter(has_text="console.evacuate").first).to_contain_text("anna")


def test_members_see_stores_without_their_insides(visits: Visits) -> None:
    visit = visits.new()
    visit.login("rosa", "/stores")
    expect(visit.section("fast")).to_contain_text("up")
    expect(visit.section("fast")).not_to_contain_text("Free")
    for name in ("Drain", "Empty it", "Take data again"):
        expect(visit.button(name)).to_have_count(0)


def test_work_and_its_failures(visits: Visits, service: Cloud) -> None:
    rosa = service.caller("rosa")
    slow, last = rosa.image("slow", None), threading.Event()

    def pieces() -> Iterator[bytes]:
        yield b"some"
        last.wait(120)

    upload = threading.Thread(
        target=lambda: requests.put(
            f"{rosa.url}/v2/images/{slow}/file",
            data=pieces(),
            auth=rosa.session.auth,
            headers={"Content-Type": "application/octet-stream"},
            timeout=120,
        )
    )
    upload.start()
    failed = rosa.image("failed", None)
    rosa.call(
        "POST",
        f"/v2/images/{failed}/import",
        {"method": {"name": "web-download", "uri": f"{service.source_url}/none.img"}},
    )
    until(lambda: "os_glance_last_error" in rosa.show(failed))
    visit = visits.new()
    page = visit.login("anna", "/work")
    try:
        expect(visit.section("Now").get_by_role("link", name="slow")).to_be_visible()
        expect(visit.section("Failed lately")).to_contain_text("The data could not be fetched")
    finally:
        last.set()
        upload.join()
    expect(page.get_by_role("heading", name="Nothing runs now")).to_be_visible()


def test_jobs(visits: Visits) -> None:
    visit = visits.new()
    page = visit.login("anna", "/jobs")
    sweep = visit.section("console_sweep")
    expect(sweep).to_contain_text("removes sessions of the console that have ended")
    expect(sweep).to_contain_text("every 1 hour")
    visit.button("Dry run", sweep).click()
    expect(sweep).to_contain_text("What it would do")
    expect(page.get_by_role("main").locator("section")).not_to_have_count(0)


def test_events(visits: Visits, service: Cloud) -> None:
    rosa = service.caller("rosa")
    image_id = rosa.image("told of")
    rosa.call("DELETE", f"/v2/images/{image_id}")
    visit = visits.new()
    page = visit.login("anna", "/events?type=image.delete")
    row = page.get_by_role("row").filter(has_text="told of")
    expect(row).to_contain_text("rosa")
    page.get_by_label("By").select_option("subject")
    page.get_by_label("Value").fill(image_id)
    visit.button("Filter").click()
    expect(page.get_by_role("row").filter(has_text="image.create")).to_be_visible()
    assert page.url.endswith(f"?subject={image_id}")


def test_who_has_no_name_is_told_by_his_address(visits: Visits) -> None:
    """Without login nobody has one; the service does by itself what came by no request."""
    visit = visits.new()
    page = visit.login("anna", "/images")
    told = {
        "at": "2026-01-02T03:04:05.000+00:00",
        "user": None,
        "project": None,
        "request_id": None,
        "type": "image.create",
        "about": {},
    }
    page.route(
        "**/v2/console/events?*",
        lambda route: route.fulfill(
            json={
                "events": [
                    {**told, "id": "1", "subject": "of somebody", "address": "192.0.2.7"},
                    {**told, "id": "2", "subject": "of nobody", "address": None},
                ],
                "next": None,
            }
        ),
    )
    visit.go("/events")
    expect(page.get_by_role("row").filter(has_text="of somebody")).to_contain_text("192.0.2.7")
    expect(page.get_by_role("row").filter(has_text="of nobody")).to_contain_text("the service")


def test_usage(visits: Visits, service: Cloud) -> None:
    visit = visits.new()
    visit.login("rosa", "/usage")
    expect(visit.section("Size of all images")).to_contain_text("of 3 GiB")
    expect(visit.section("Images")).to_contain_text("without a limit")
    expect(visit.section("Other projects")).to_have_count(0)


def test_limits_of_other_projects(visits: Visits, service: Cloud) -> None:
    visit = visits.new()
    page = visit.login("anna", "/usage")
    page.get_by_label("Id of the project").fill("blue")
    visit.button("Look").click()
    visit.button("Change its limits").click()
    visit.dialog.get_by_label("Images", exact=True).fill("7")
    visit.confirm("Save")
    row = page.get_by_role("row").filter(has_text="Images").filter(has_text="(its own)")
    expect(row).to_contain_text("7")
    assert service.caller("bluma").call("GET", "/v2/info/usage")["usage"]["image_count_total"]["limit"] == 7


def test_definitions_are_a_tree(visits: Visits) -> None:
    visit = visits.new()
    page = visit.login("rosa", "/definitions")
    page.get_by_label("Search").fill("LibvirtImage")
    space = page.locator("details", has_text="OS::Compute::LibvirtImage").first
    bus = space.locator("details", has_text="hw_disk_bus").last
    bus.locator("summary").click()
    expect(bus).to_contain_text("virtio")
    expect(space).to_contain_text("OS::Glance::Image")
