"""Every screen: for people with a keyboard, a screen reader, a narrow window, light or dark."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import lab
import pytest
from browsers import Visit, Visits
from clouds import Cloud
from playwright.sync_api import expect
from waiting import until

#: Bytes over the wire until the first screen is there.
MOST = 200 << 10


@pytest.fixture(scope="module")
def screens(service: Cloud) -> dict[str, str]:
    """Their paths, with something to see in each."""
    anna = service.caller("anna")
    family, images = anna.family("debian/13", "20260101", "20260201", "20260301")
    anna.call("PUT", f"/families/{family}/channels/stable", {"label": "20260101", "reason": "the first one"})
    anna.call("PUT", f"/families/{family}/channels/stable", {"label": "20260201", "reason": "tests have passed"})
    anna.call(
        "POST",
        f"/families/{family}/versions/20260101/actions/deprecate",
        {"replacement": "debian/13@stable", "reason": "too old"},
    )
    policy = anna.call(
        "POST",
        "/lifecycle/policies",
        {
            "name": "debian",
            "selector": {"families": ["debian/13"]},
            "keep": {"newest": 1},
            "steps": [{"action": "hide", "beyond": 1}],
        },
    )["id"]
    anna.call("POST", f"/lifecycle/policies/{policy}/plans")
    shared = anna.image("shared", tags=["gold", "lts"], os_distro="debian", hw_disk_bus="virtio")
    anna.call("POST", f"/v2/images/{shared}/members", {"member": "red"})
    queued = anna.image("no data yet", None)
    anna.call(
        "POST",
        f"/v2/images/{queued}/import",
        {"method": {"name": "web-download", "uri": f"{service.source_url}/not-there.img"}},
    )
    until(lambda: "os_glance_last_error" in anna.show(queued))
    return {
        "images": "/images",
        "image": f"/images/{shared}",
        "version": f"/images/{images['20260101']}",
        "failed": f"/images/{queued}",
        "upload": "/upload",
        "import": "/import",
        "families": "/families",
        "family": f"/families/{family}",
        "lifecycle": "/lifecycle",
        "policy": f"/lifecycle/{policy}",
        "definitions": "/definitions",
        "usage": "/usage",
        "quota": "/usage?project=red",
        "trash": "/trash",
        "stores": "/stores",
        "work": "/work",
        "jobs": "/jobs",
        "events": "/events",
        "nowhere": "/no/such/screen",
    }


@pytest.mark.parametrize(("scheme", "width"), [("light", 1280), ("dark", 1280), ("light", 360)])
def test_nobody_is_kept_out(visits: Visits, screens: dict[str, str], scheme: str, width: int) -> None:
    visit = visits.new(scheme=scheme, width=width, height=800)
    visit.go("/images")
    found = {"login": visit.serious()}
    visit.fill_login("anna")
    visit.inside()
    for name, path in screens.items():
        visit.go(path)
        found[name] = visit.serious()
        across = visit.page.evaluate("document.documentElement.scrollWidth - innerWidth")
        assert across <= 0, f"{name} is wider than its window, by {across}"
    assert {name: x for name, x in found.items() if x} == {}


DIALOGS = {
    "/images": ["Columns"],
    "image": ["Edit", "Edit properties", "Copy to other stores", "Deactivate", "Delete"],
    "family": ["Edit", "Deprecate", "Delete"],
    "policy": ["Edit", "Delete", "Apply the plan"],
    "/families": ["New family"],
    "/lifecycle": ["New policy"],
    "/stores": ["Drain"],
}


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_dialogs(visits: Visits, screens: dict[str, str], scheme: str) -> None:
    """They say what they do, take the focus, give it back, and go away by Escape."""
    visit = visits.new(scheme=scheme)
    page = visit.login("anna")
    for screen, buttons in DIALOGS.items():
        visit.go(screens.get(screen, screen))
        for name in buttons:
            opener = visit.button(name).first
            opener.click()
            expect(visit.dialog).to_be_visible()
            assert visit.serious() == [], f"{screen}: {name}"
            assert page.evaluate("document.activeElement.closest('dialog') !== null"), f"{screen}: {name} has no focus"
            page.keyboard.press("Escape")
            expect(visit.dialog).to_have_count(0)
            expect(opener).to_be_focused()


def test_by_keyboard_alone(visits: Visits, screens: dict[str, str]) -> None:
    visit = visits.new()
    page = visit.go("/images")
    expect(page.get_by_label("User", exact=True)).to_be_visible()
    page.keyboard.press("Tab")
    for text in ("anna", "a good password"):
        page.keyboard.type(text)
        page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect(page.get_by_role("link", name="shared", exact=True)).to_be_visible()
    page.reload()
    expect(page.get_by_role("link", name="shared", exact=True)).to_be_visible()
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to the content")).to_be_focused()
    link = page.get_by_role("link", name="shared", exact=True)
    for _ in range(60):
        page.keyboard.press("Tab")
        if link.evaluate("x => x === document.activeElement"):
            break
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="shared", level=1)).to_be_focused()
    assert page.title() == "shared - Images"


def test_the_first_screen_is_light(visits: Visits, screens: dict[str, str]) -> None:
    visit = visits.new()
    protocol = visit.context.new_cdp_session(visit.page)
    protocol.send("Network.enable")
    sizes: list[int] = []
    protocol.on("Network.loadingFinished", lambda x: sizes.append(int(x["encodedDataLength"])))
    visit.login("anna")
    expect(visit.page.get_by_role("link", name="shared", exact=True)).to_be_visible()
    print(f"first screen, login and list of images: {len(sizes)} answers, {sum(sizes) / 1024:.1f} KiB")
    assert 0 < sum(sizes) <= MOST


def test_the_theme_is_chosen_and_kept(visits: Visits) -> None:
    visit = visits.new(scheme="light")
    page = visit.login("rosa")
    background = "getComputedStyle(document.documentElement).backgroundColor"
    light = page.evaluate(background)
    page.locator(".pop > summary").click()
    page.get_by_label("Colours").select_option("dark")
    dark = page.evaluate(background)
    assert dark != light
    page.reload()
    expect(page.get_by_role("heading", level=1)).to_be_visible()
    assert page.evaluate(background) == dark


def test_nothing_is_inline_and_nothing_from_elsewhere(visits: Visits) -> None:
    visit = visits.new()
    answer = visit.page.goto(f"{visit.base}/console/images")
    assert answer is not None
    assert "script-src 'self'" in answer.headers["content-security-policy"]
    assert "unsafe" not in answer.headers["content-security-policy"]
    text = answer.text()
    assert not re.search(r"<script(?![^>]*\ssrc=)|<style|\sstyle=|\son\w+=|https?://", text), text
    assert visit.page.evaluate("document.querySelectorAll('script:not([src]), style').length") == 0


def test_what_one_may_not_do_is_not_offered(visits: Visits, service: Cloud) -> None:
    rosa = service.caller("rosa")
    image_id = rosa.image("of red")
    reader = visits.new()
    page = reader.login("robert")
    expect(page.get_by_role("link", name="of red", exact=True)).to_be_visible()
    expect(page.get_by_role("link", name="Usage")).to_be_visible()
    expect(page.get_by_role("link", name="Upload")).to_have_count(0)
    expect(page.get_by_role("link", name="Periodic jobs")).to_have_count(0)
    with page.expect_response(lambda x: f"permissions?image={image_id}" in x.url):
        reader.go(f"/images/{image_id}")
    reader.settled()
    expect(page.get_by_role("link", name="Download")).to_have_count(0)
    for name in ("Edit", "Delete", "Deactivate", "Edit properties", "Share"):
        expect(reader.button(name)).to_have_count(0)
    member = visits.new()
    member.login("rosa", f"/images/{image_id}")
    for name in ("Edit", "Delete", "Edit properties", "Share"):
        expect(member.button(name)).to_be_visible()


def test_pictures_for_the_documents(
    visits: Visits, service: Cloud, screens: dict[str, str], shots: Path | None
) -> None:
    """With SHOTS=docs/console; without it the screens are only visited. A store is being taken out of service."""
    anna = service.caller("anna")
    moved = anna.image("to be moved", None)
    anna.call(
        "PUT",
        f"/v2/images/{moved}/file",
        b"x" * 5_000_000,
        Content_Type="application/octet-stream",
        X_Image_Meta_Store="slow",
    )
    anna.call("POST", "/v2/console/stores/slow/actions/drain")
    anna.call("POST", "/v2/console/stores/slow/evacuation", {"dry_run": True})
    until(lambda: anna.call("GET", "/v2/console/stores")["stores"][1]["evacuation"]["state"] == "ended")
    for name, scheme in (
        ("images", "light"),
        ("image", "light"),
        ("family", "light"),
        ("policy", "dark"),
        ("failed", "light"),
        ("stores", "light"),
    ):
        visit = visits.new(scheme=scheme, width=1280, height=720)
        visit.login("anna", screens[name])
        expect(visit.page.get_by_role("main").locator("section, table").first).to_be_visible()
        _settle(visit)
        if shots is not None:
            shots.mkdir(parents=True, exist_ok=True)
            visit.page.screenshot(path=shots / f"{name}.png", animations="disabled")
            lab.need("pngquant")
            subprocess.run(["pngquant", "--force", "--ext", ".png", "--strip", "64", shots / f"{name}.png"], check=True)
    anna.call("POST", "/v2/console/stores/slow/actions/undrain")
    anna.call("DELETE", f"/v2/images/{moved}")


def _settle(visit: Visit) -> None:
    visit.settled()
    visit.page.wait_for_load_state("networkidle")
