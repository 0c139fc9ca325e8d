"""The list of images and one image: looked for, looked at, changed."""

from __future__ import annotations

import re

import pytest
from browsers import Visit, Visits
from clouds import Cloud, until_active
from playwright.sync_api import expect
from waiting import until

#: Images of the long list.
MANY = 10_000


@pytest.fixture
def rosa(visits: Visits) -> Visit:
    visit = visits.new()
    visit.login("rosa")
    return visit


def test_the_first_start_explains(visits: Visits) -> None:
    visit = visits.new()
    page = visit.login("bluma")
    expect(page.get_by_role("heading", name="There is no image yet")).to_be_visible()
    expect(page.get_by_text("openstack image create")).to_be_visible()
    page.get_by_role("main").get_by_role("link", name="Upload").first.click()
    expect(page.get_by_role("heading", name="Upload", level=1)).to_be_visible()


def test_a_name_does_not_turn_the_line(rosa: Visit, service: Cloud) -> None:
    """What nobody sees in it is written out wherever it is shown, and stays as it is where it is changed."""
    caller, name = service.caller("rosa"), "debian-\u202egnp.\u200bexe\U000e0041"
    shown = "debian-\\u202egnp.\\u200bexe\\U000e0041"
    image = caller.image(name, description="free \u2066text")
    page = rosa.go("/images")
    expect(page.locator("tbody")).to_contain_text(shown)
    page.get_by_role("link", name=shown, exact=True).click()
    expect(page.get_by_role("heading", level=1)).to_contain_text(shown)
    expect(page.get_by_role("main")).to_contain_text("free \\u2066text")
    assert page.title().startswith(shown) or shown in page.title()
    rosa.settled()
    assert not set("\u202e\u200b\u2066") & set(page.inner_text("body"))
    rosa.button("Delete").first.click()
    expect(rosa.dialog).to_contain_text(shown)
    assert caller.show(image)["name"] == name
    caller.call("DELETE", f"/v2/images/{image}")


def test_filters_are_in_the_address(rosa: Visit, service: Cloud) -> None:
    caller = service.caller("rosa")
    caller.image("one", tags=["gold"])
    caller.image("two", os_distro="debian")
    caller.image("three", None)
    page = rosa.go("/images")
    rows = page.locator("tbody tr:not(.gap)")
    expect(rows).to_have_count(3)
    page.get_by_label("Name, exactly").fill("one")
    rosa.button("Filter").click()
    expect(rows).to_have_count(1)
    assert page.url.endswith("/console/images?name=one")
    page.get_by_label("Status").select_option("queued")
    expect(page.get_by_role("heading", name="No image is like that")).to_be_visible()
    page.get_by_role("main").get_by_role("link", name="Clear the filters").click()
    expect(rows).to_have_count(3)
    page.get_by_text("More filters").click()
    page.get_by_label("Property = value").fill("os_distro=debian")
    rosa.button("Filter").click()
    expect(rows).to_have_count(1)
    shared = page.url
    assert shared.endswith("os_distro=debian")
    page.go_back()
    expect(rows).to_have_count(3)
    rosa.page.goto(shared)
    expect(rows).to_have_count(1)
    expect(rows.first).to_contain_text("two")
    staged = caller.image("soon gone", None, tags=["moving"])
    caller.call("PUT", f"/v2/images/{staged}/stage", b"some", Content_Type="application/octet-stream")
    rosa.go("/images?tag=moving")
    expect(rows.first).to_contain_text("staged")
    caller.call("DELETE", f"/v2/images/{staged}")
    expect(page.get_by_role("heading", name="No image is like that")).to_be_visible()
    rosa.go("/images?tag=gold")
    expect(rows).to_have_count(1)
    expect(page.get_by_label("Tag")).to_have_value("gold")


def test_order_and_columns(rosa: Visit, service: Cloud) -> None:
    caller = service.caller("rosa")
    for name, size in (("apple", 3000), ("pear", 10)):
        caller.image(name, b"x" * size, tags=["fruit"])
    page = rosa.go("/images?tag=fruit")
    first = page.locator("tbody tr:not(.gap)").first
    expect(first).to_contain_text("pear")
    rosa.button("Name").click()
    expect(first).to_contain_text("apple")
    expect(page.get_by_role("columnheader", name="Name")).to_have_attribute("aria-sort", "ascending")
    assert "sort=name%3Aasc" in page.url
    expect(page.get_by_role("columnheader", name="Owner")).to_have_count(0)
    rosa.button("Columns").click()
    rosa.dialog.get_by_label("Owner").check()
    rosa.dialog.get_by_label("Status").uncheck()
    rosa.confirm("Close")
    expect(page.get_by_role("columnheader", name="Owner")).to_be_visible()
    page.reload()
    expect(page.get_by_role("columnheader", name="Owner")).to_be_visible()
    expect(page.get_by_role("columnheader", name="Status")).to_have_count(0)


def test_when_it_was_used(rosa: Visit, service: Cloud) -> None:
    """On the image, and in a column for who wants it."""
    caller = service.caller("rosa")
    used, idle = (caller.image(name, tags=["of use"]) for name in ("used", "idle"))
    for _ in range(2):
        caller.call("GET", f"/v2/images/{used}/file")
    until(lambda: caller.call("GET", f"/v2/images/{used}/use")["use_count"] == 2)
    page = rosa.go("/images?tag=of+use")
    rosa.button("Columns").click()
    rosa.dialog.get_by_label("Last used").check()
    rosa.confirm("Close")
    expect(page.get_by_role("columnheader", name="Last used")).to_be_visible()
    expect(page.get_by_role("row").filter(has_text="idle")).to_contain_text("not yet")
    expect(
        page.get_by_role("row").filter(has=page.get_by_role("link", name="used", exact=True)).locator("time").last
    ).to_have_text(re.compile("ago|now|second"))
    assert rosa.serious() == []
    rosa.go(f"/images/{idle}")
    expect(rosa.section("About")).to_contain_text("not since counting began")
    rosa.go(f"/images/{used}")
    expect(rosa.section("About")).to_contain_text("(2 times)")


def test_an_image_is_changed(rosa: Visit, service: Cloud) -> None:
    caller = service.caller("rosa")
    image_id = caller.image("before")
    page = rosa.go(f"/images/{image_id}")
    rosa.button("Edit").click()
    rosa.dialog.get_by_label("Name").fill("after")
    rosa.dialog.get_by_label("Minimum disk (GiB)").fill("5")
    rosa.dialog.get_by_label("Protected").check()
    rosa.confirm("Save")
    rosa.said("Saved.")
    expect(page.get_by_role("heading", name="after", level=1)).to_be_visible()
    shown = caller.show(image_id)
    assert (shown["name"], shown["min_disk"], shown["protected"], shown["visibility"]) == ("after", 5, True, "shared")
    rosa.section("Tags").get_by_label("Add a tag").fill("lts")
    rosa.button("Add", rosa.section("Tags")).click()
    expect(rosa.section("Tags").get_by_role("link", name="lts")).to_be_visible()
    assert caller.show(image_id)["tags"] == ["lts"]
    rosa.button("Remove the tag lts").click()
    expect(rosa.section("Tags").get_by_role("link", name="lts")).to_have_count(0)
    rosa.button("Delete").click()
    expect(rosa.dialog).to_contain_text("It can be had back from the trash")
    rosa.button("Delete", rosa.dialog).click()
    expect(rosa.dialog.get_by_role("alert")).to_contain_text("switch the protection off first")
    rosa.button("Leave it").click()
    caller.call(
        "PATCH",
        f"/v2/images/{image_id}",
        b'[{"op": "replace", "path": "/protected", "value": false}]',
        Content_Type="application/openstack-images-v2.1-json-patch",
    )
    page.reload()
    rosa.button("Delete").click()
    rosa.button("Delete", rosa.dialog).click()
    expect(page.get_by_role("heading", name="Images", level=1)).to_be_visible()
    assert caller.named("after") == []


def test_deleted_and_had_back(rosa: Visit, service: Cloud) -> None:
    caller = service.caller("rosa")
    image_id = caller.image("missed")
    page = rosa.go(f"/images/{image_id}")
    rosa.button("Delete").click()
    rosa.button("Delete", rosa.dialog).click()
    expect(page.get_by_role("heading", name="Images", level=1)).to_be_visible()
    rosa.go("/trash")
    row = page.get_by_role("row").filter(has_text="missed")
    expect(row).to_contain_text("in 59 minutes")
    rosa.button("Have it back", row).click()
    rosa.confirm("Have it back")
    assert caller.show(image_id)["status"] == "active"


def test_properties_have_the_help_of_their_definitions(rosa: Visit, service: Cloud) -> None:
    caller = service.caller("rosa")
    image_id = caller.image("with properties", hw_disk_bus="virtio", own="mine")
    rosa.go(f"/images/{image_id}")
    rosa.button("Edit properties").click()
    disk = rosa.dialog.get_by_role("combobox", name="hw_disk_bus", exact=True)
    expect(disk).to_have_value("virtio")
    assert "scsi" in disk.locator("option").all_text_contents(), "the values that the definition allows"
    expect(rosa.dialog.get_by_text("No definition says what it means.")).to_have_count(1)
    disk.select_option("scsi")
    rosa.dialog.get_by_label("Add a property").fill("os_distro")
    rosa.button("Add", rosa.dialog).click()
    rosa.dialog.get_by_role("textbox", name="os_distro", exact=True).fill("debian")
    rosa.button("Remove the property own").click()
    rosa.confirm("Save")
    shown = caller.show(image_id)
    assert (shown["hw_disk_bus"], shown["os_distro"], "own" in shown) == ("scsi", "debian", False)


def test_wrong_values_are_said_before_they_are_saved(rosa: Visit, service: Cloud) -> None:
    image_id = service.caller("rosa").image("wrong", hw_disk_bus="a floppy")
    rosa.go(f"/images/{image_id}")
    rosa.button("Edit properties").click()
    rosa.dialog.get_by_label("Add a property").fill("own")
    rosa.button("Add", rosa.dialog).click()
    rosa.button("Save", rosa.dialog).click()
    expect(rosa.dialog.get_by_role("alert")).to_contain_text("not as the definitions say")
    rosa.confirm("Save all the same")
    assert service.caller("rosa").show(image_id)["own"] == ""


def test_deactivated_and_back(visits: Visits, service: Cloud) -> None:
    anna = visits.new()
    image_id = service.caller("anna").image("to and fro")
    page = anna.login("anna", f"/images/{image_id}")
    anna.button("Deactivate").click()
    expect(anna.dialog).to_contain_text("Nothing is deleted")
    anna.confirm("Deactivate")
    expect(page.get_by_text("nobody can download its data but admins").first).to_be_visible()
    anna.button("Reactivate").click()
    anna.confirm("Reactivate")
    expect(page.get_by_role("link", name="Download")).to_be_visible()
    with page.expect_download() as download:
        page.get_by_role("link", name="Download").click()
    assert download.value.path().read_bytes() == b"some data"
    assert download.value.suggested_filename == "to and fro.raw"


def test_copies(visits: Visits, service: Cloud) -> None:
    visit = visits.new()
    image_id = service.caller("anna").image("copied")
    visit.login("anna", f"/images/{image_id}")
    copies = visit.section("Copies")
    visit.button("Copy to other stores", copies).click()
    expect(visit.dialog).to_contain_text("can be used meanwhile")
    visit.confirm("Copy to other stores")
    expect(copies.get_by_text("slow", exact=True)).to_be_visible()
    visit.button("Remove this copy", copies).last.click()
    expect(visit.dialog).to_contain_text("Copies that stay: 1")
    visit.confirm("Remove this copy")
    expect(copies.get_by_text("slow", exact=True)).to_have_count(0)
    assert service.caller("anna").show(image_id)["stores"] == "fast"


def test_two_projects_do_not_see_each_others(visits: Visits, service: Cloud) -> None:
    secret, common = (service.caller("rosa").image(name) for name in ("only red", "for blue as well"))
    rosa, bluma = visits.new(), visits.new()
    rosa.login("rosa", f"/images/{common}")
    page = bluma.login("bluma")
    expect(page.get_by_role("heading", name="There is no image yet")).to_be_visible()
    bluma.go(f"/images/{secret}")
    expect(page.get_by_role("heading", name="There is no such image")).to_be_visible()
    rosa.section("Shared with").get_by_label("Id of a project").fill("blue")
    rosa.button("Share").click()
    expect(rosa.section("Shared with").get_by_role("row", name="blue")).to_contain_text("no answer yet")
    bluma.go(f"/images/{common}")
    bluma.button("Accept").click()
    expect(bluma.button("Reject")).to_be_visible()
    bluma.go("/images")
    expect(page.get_by_role("link", name="for blue as well")).to_be_visible()
    expect(page.locator("tbody tr:not(.gap)")).to_have_count(1)
    rosa.page.reload()
    rosa.button("Remove", rosa.section("Shared with")).click()
    rosa.confirm("Remove")
    bluma.go("/images")
    expect(page.get_by_role("heading", name="There is no image yet")).to_be_visible()


def test_a_long_list(visits: Visits, service: Cloud) -> None:
    """Its pages come while one scrolls, and few of its rows are drawn. How long the page is held up is told, not
    judged."""
    service.many("blue", MANY)
    visit = visits.new()
    visit.context.add_init_script(
        "window.long = []; new PerformanceObserver(x => long.push(...x.getEntries().map(y =>"
        " Math.round(y.duration)))).observe({type: 'longtask', buffered: true})"
    )
    page = visit.login("bluma", "/images?sort=name:asc")
    rows = page.locator("tbody tr:not(.gap)")
    expect(rows.first).to_contain_text("image 00000")
    page.evaluate("long.length = 0")
    box = page.get_by_role("region", name="Images")

    def seen() -> str:
        box.evaluate("x => x.scrollTop += 4000")
        return str(page.get_by_role("main").inner_text())

    until(lambda: f"{MANY:,} images" in seen() and "more are loaded" not in seen())
    assert rows.count() < 100
    expect(rows.last).to_contain_text("the first of many")
    held = page.evaluate("long")
    print(f"{MANY} images scrolled through: {len(held)} tasks over 50 ms, the longest {max(held, default=0)} ms")


def test_cached(visits: Visits) -> None:
    """Without an image cache nothing is said of one."""
    visit = visits.new()
    visit.login("anna")
    expect(visit.page.get_by_text("Cache:")).to_have_count(0)


def test_an_import_that_fails_is_explained(visits: Visits, service: Cloud) -> None:
    (service.sources / "disk.img").write_bytes(b"what is there")
    visit = visits.new()
    page = visit.login("rosa", "/import")
    page.get_by_label("URL of the image").fill(f"{service.source_url}/disk.img")
    page.get_by_label("How the data is checked").select_option("digest")
    page.get_by_label("Digest", exact=True).fill("0" * 63)
    expect(page.get_by_text("That is no digest")).to_be_visible()
    expect(visit.button("Begin the import")).to_be_disabled()
    page.get_by_label("Digest", exact=True).fill("0" * 64)
    visit.button("Begin the import").click()
    expect(page.get_by_role("heading", name="disk", level=1)).to_be_visible()
    tasks = visit.section("Tasks")
    expect(tasks).to_contain_text("The data has another digest than was expected")
    expect(tasks).to_contain_text("0" * 64)
    expect(tasks).to_contain_text("Compare the digest with what the publisher says today")
    assert visit.serious() == []
    page.get_by_role("link", name="Import from a URL").click()
    page.get_by_label("URL of the image").fill(f"{service.source_url}/disk.img")
    page.get_by_label("Name").fill("right")
    visit.button("Begin the import").click()
    expect(visit.section("About")).to_contain_text("active")
    [image] = service.caller("rosa").named("right")
    until_active(service.caller("rosa"), image["id"])


def test_a_task_is_tried_again(visits: Visits, service: Cloud) -> None:
    rosa = service.caller("rosa")
    image_id = rosa.image("late", None)
    rosa.call(
        "POST",
        f"/v2/images/{image_id}/import",
        {"method": {"name": "web-download", "uri": f"{service.source_url}/late.img"}},
    )
    visit = visits.new()
    visit.login("rosa", f"/images/{image_id}")
    tasks = visit.section("Tasks")
    expect(tasks).to_contain_text("The data could not be fetched")
    (service.sources / "late.img").write_bytes(b"here at last")
    visit.button("Try again", tasks).click()
    expect(visit.section("About")).to_contain_text("active")
