"""Families and policies for old images, from the first click to the last."""

from __future__ import annotations

from browsers import Visits
from clouds import Cloud
from playwright.sync_api import expect


def test_from_the_first_image_to_the_rollback(visits: Visits, service: Cloud) -> None:
    rosa = service.caller("rosa")
    old, new = rosa.image("debian old", b"old"), rosa.image("debian new", b"new")
    visit = visits.new()
    page = visit.login("rosa", "/families")
    expect(page.get_by_role("heading", name="There is no family yet")).to_be_visible()
    visit.button("New family").first.click()
    visit.dialog.get_by_label("Name").fill("debian/13")
    visit.confirm("Create")
    expect(page.get_by_role("heading", name="debian/13", level=1)).to_be_visible()
    family = page.url.removeprefix(f"{visit.base}/console")
    for image_id, label in ((old, "20260101"), (new, "20260201")):
        visit.go(f"/images/{image_id}")
        visit.button("Add to a family").click()
        visit.dialog.get_by_label("Version").fill(label)
        visit.confirm("Add to a family")
        expect(visit.section("About")).to_contain_text(f"debian/13:{label}")
    visit.go(family)
    channels = visit.section("Channels")
    visit.button("Promote", channels).first.click()
    visit.dialog.get_by_label("Version").select_option("20260101")
    visit.confirm("Promote")
    visit.said("stable points to 20260101 now.")
    visit.button("Promote", channels.locator("li", has_text="stable")).click()
    expect(visit.dialog).to_contain_text("stable points to 20260201, and to 20260101 no more.")
    visit.dialog.get_by_label("Reason").fill("tests have passed")
    visit.confirm("Promote")
    assert rosa.show("debian/13@stable")["id"] == new
    visit.button("Roll back", channels).click()
    visit.dialog.get_by_label("Reason").fill("no network")
    visit.confirm("Roll back")
    visit.said("stable is rolled back.")
    assert rosa.show("debian/13@stable")["id"] == old
    visit.button("History", channels).click()
    moves = page.get_by_role("list", name="Moves of stable").get_by_role("listitem")
    expect(moves).to_have_count(3)
    expect(moves.first).to_contain_text("rolled back")
    expect(moves.first).to_contain_text("no network")
    expect(moves.nth(1)).to_contain_text("tests have passed")
    visit.button("Pin", channels).click()
    visit.confirm("Pin")
    expect(channels).to_contain_text("pinned")
    expect(visit.button("Roll back", channels)).to_have_count(0)
    visit.button("Unpin", channels).click()
    visit.confirm("Unpin")
    expect(visit.button("Roll back", channels)).to_be_visible()


def test_deprecated_and_taken_back(visits: Visits, service: Cloud) -> None:
    rosa = service.caller("rosa")
    family, _images = rosa.family("ubuntu/26.04", "1", "2")
    visit = visits.new()
    visit.login("rosa", f"/families/{family}")
    versions = visit.section("Versions")
    row = versions.get_by_role("row").filter(has=visit.page.get_by_role("link", name="1", exact=True))
    visit.button("Deprecate", row).click()
    visit.dialog.get_by_label("Replacement").fill("ubuntu/26.04@latest")
    visit.confirm("Deprecate")
    expect(row).to_contain_text("deprecated")
    row.get_by_role("link", name="1", exact=True).click()
    expect(visit.page.get_by_text("Use ubuntu/26.04@latest in its place.")).to_be_visible()
    visit.go(f"/families/{family}")
    visit.button("Take the deprecation back", row).click()
    visit.confirm("Take the deprecation back")
    expect(row).to_contain_text("current")
    last = versions.get_by_role("row").filter(has=visit.page.get_by_role("link", name="2", exact=True))
    rosa.call("PUT", f"/families/{family}/channels/stable", {"label": "2"})
    visit.page.reload()
    visit.button("Deprecate", last).click()
    visit.button("Deprecate", visit.dialog).click()
    expect(visit.dialog.get_by_role("alert")).to_contain_text("stable")
    visit.dialog.get_by_label("Force it").check()
    visit.confirm("Deprecate")
    expect(last).to_contain_text("deprecated")


def test_a_family_goes_and_its_images_stay(visits: Visits, service: Cloud) -> None:
    rosa = service.caller("rosa")
    family, images = rosa.family("gone/soon", "1")
    visit = visits.new()
    page = visit.login("rosa", f"/families/{family}")
    visit.button("Edit").click()
    visit.dialog.get_by_label("Description").fill("not for long")
    visit.confirm("Save")
    expect(page.get_by_text("not for long")).to_be_visible()
    visit.button("Take out of the family").click()
    visit.confirm("Take out of the family")
    expect(page.get_by_text("It has no versions yet")).to_be_visible()
    visit.button("Delete").click()
    visit.button("Delete", visit.dialog).click()
    expect(page.get_by_role("heading", name="Families", level=1)).to_be_visible()
    assert rosa.show(images["1"])["status"] == "active"


def test_a_plan_is_looked_at_and_applied(visits: Visits, service: Cloud) -> None:
    bluma = service.caller("bluma")
    _family, images = bluma.family("fedora/43", "1", "2", "3")
    visit = visits.new()
    page = visit.login("bluma", "/lifecycle")
    expect(page.get_by_role("heading", name="There is no policy yet")).to_be_visible()
    visit.button("New policy").first.click()
    dialog = visit.dialog
    dialog.get_by_label("Name", exact=True).fill("fedora")
    dialog.get_by_label("Families").fill("fedora/43")
    dialog.get_by_label("Newest of each family").fill("1")
    dialog.get_by_label("Step 1").select_option("hide")
    dialog.get_by_label("Older than (days)").fill("")
    dialog.get_by_label("Newer ones that can be used").fill("1")
    visit.confirm("Save")
    expect(page.get_by_role("heading", name="fedora", level=1)).to_be_visible()
    expect(visit.section("What it says")).to_contain_text("hide, when 1 newer one can be used")
    visit.button("Make a plan").click()
    plans = visit.section("Plans")
    expect(plans).to_contain_text("hide: 2")
    assert not any(bluma.show(x)["os_hidden"] for x in images.values()), "a plan changes nothing"
    visit.button("Apply the plan", plans).click()
    expect(visit.dialog).to_contain_text("Each image is looked at again first")
    visit.confirm("Apply the plan")
    expect(plans).to_contain_text("applied")
    assert [bluma.show(images[x])["os_hidden"] for x in "123"] == [True, True, False]
    visit.button("Delete").click()
    visit.button("Delete", visit.dialog).click()
    expect(page.get_by_role("heading", name="There is no policy yet")).to_be_visible()


def test_a_plan_tells_of_a_family_that_is_gone(visits: Visits, service: Cloud) -> None:
    bluma = service.caller("bluma")
    family = bluma.call("POST", "/families", {"name": "gone/1"})["id"]
    policy = bluma.call(
        "POST",
        "/lifecycle/policies",
        {"name": "gone", "selector": {"families": ["gone/1"]}, "steps": [{"action": "hide", "beyond": 1}]},
    )["id"]
    bluma.call("DELETE", f"/families/{family}")
    bluma.call("POST", f"/lifecycle/policies/{policy}/plans")
    visit = visits.new()
    visit.login("bluma", f"/lifecycle/{policy}")
    expect(visit.section("Plans")).to_contain_text("your project has no family gone/1")
    bluma.call("DELETE", f"/lifecycle/policies/{policy}")
