"""Files go up: several at once, paused, broken off by everything that breaks things off, and checked in the end."""

from __future__ import annotations

import hashlib
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from browsers import Visit, Visits
from clouds import Cloud, cloud
from playwright.sync_api import Locator, Route, expect
from waiting import until

#: MiB of the upload that is broken off.
LARGE = 1024


@pytest.fixture
def rosa(visits: Visits) -> Visit:
    visit = visits.new()
    visit.login("rosa", "/upload")
    return visit


def made(folder: Path, name: str, size: int) -> tuple[Path, str]:
    """A file of so many bytes, in which no two MiB are alike, and its sha512. Random bytes take longer than all the
    rest."""
    path, digest, block = folder / name, hashlib.sha512(), bytearray(os.urandom(1 << 20))
    with path.open("wb") as file:
        for at in range(0, size, 1 << 20):
            block[:8] = at.to_bytes(8, "big")
            piece = memoryview(block)[: min(1 << 20, size - at)]
            digest.update(piece)
            file.write(piece)
    return path, digest.hexdigest()


def one(visit: Visit, name: str) -> Locator:
    return visit.page.locator("article", has=visit.page.get_by_label(f"Progress of {name}")).or_(
        visit.page.get_by_role("article", name=name)
    )


def chosen(visit: Visit, *paths: Path) -> None:
    visit.page.get_by_label("or choose some").set_input_files([str(x) for x in paths])


def test_several_at_once(rosa: Visit, service: Cloud, tmp_path: Path) -> None:
    files = [made(tmp_path, f"disk-{n}.raw", 3_000_000 + n) for n in range(3)]
    chosen(rosa, *(x for x, _digest in files))
    rosa.page.get_by_label("Expected digest").first.fill(files[0][1])
    assert rosa.serious() == []
    rosa.button("Upload 3 files").click()
    for n in range(3):
        expect(rosa.page.get_by_role("article", name=f"disk-{n}")).to_have_attribute("data-state", "done")
    expect(rosa.page.get_by_text("The data is what was expected (sha512).")).to_have_count(1)
    caller = service.caller("rosa")
    for n, (_path, digest) in enumerate(files):
        [image] = caller.named(f"disk-{n}")
        assert (image["status"], image["os_hash_value"]) == ("active", digest)


def test_dropped_and_known_by_its_beginning(rosa: Visit, service: Cloud) -> None:
    drop = rosa.page.evaluate_handle("""() => {
        const all = new DataTransfer();
        const head = new Uint8Array(66000);
        head.set([0x43, 0x44, 0x30, 0x30, 0x31], 0x8001);
        all.items.add(new File([head], 'installer.bin'));
        return all;
    }""")
    rosa.page.locator(".drop").dispatch_event("drop", {"dataTransfer": drop})
    expect(rosa.page.get_by_label("Format")).to_have_value("iso")
    rosa.page.get_by_label("Name").fill("an installer")
    rosa.button("Upload 1 file").click()
    expect(rosa.page.get_by_role("article", name="an installer")).to_have_attribute("data-state", "done")
    [image] = service.caller("rosa").named("an installer")
    assert (image["disk_format"], image["size"]) == ("iso", 66000)


def test_an_answer_that_gets_lost_makes_no_second_image(rosa: Visit, service: Cloud, tmp_path: Path) -> None:
    path, digest = made(tmp_path, "lost.raw", 100_000)
    lost: list[int] = []

    def lose(route: Route) -> None:
        """The service has got it, and made an image."""
        if route.request.method != "POST" or lost:
            route.continue_()
            return
        lost.append(route.fetch().status)
        route.abort()

    rosa.page.route("**/v2/images", lose)
    chosen(rosa, path)
    rosa.button("Upload 1 file").click()
    again = rosa.button("Try again", rosa.page.get_by_role("article", name="lost"))
    expect(again).to_be_visible()
    assert [x["status"] for x in service.caller("rosa").named("lost")] == ["queued"]
    again.click()
    expect(rosa.page.get_by_role("article", name="lost")).to_have_attribute("data-state", "done")
    [image] = service.caller("rosa").named("lost")
    assert (lost, image["status"], image["os_hash_value"]) == ([201], "active", digest)


def test_other_data_than_expected_is_said(rosa: Visit, tmp_path: Path) -> None:
    path, _digest = made(tmp_path, "other.raw", 100_000)
    sha1 = hashlib.sha1(path.read_bytes(), usedforsecurity=False).hexdigest()
    chosen(rosa, path)
    rosa.page.get_by_label("Expected digest").fill("0" * 40)
    rosa.button("Upload 1 file").click()
    box = rosa.page.get_by_role("article", name="other")
    expect(box).to_have_attribute("data-state", "failed")
    expect(box.get_by_role("alert")).to_contain_text(f"The digest (sha1) is {sha1}")


def test_data_that_is_refused_is_explained(rosa: Visit, service: Cloud, tmp_path: Path) -> None:
    path, _digest = made(tmp_path, "no-disk.raw", 100_000)
    chosen(rosa, path)
    rosa.page.get_by_label("Format").select_option("vmdk")
    rosa.button("Upload 1 file").click()
    box = rosa.page.get_by_role("article", name="no-disk")
    expect(box).to_have_attribute("data-state", "failed")
    expect(box.get_by_role("alert")).to_contain_text("vmdk")
    rosa.button("Give up", box).click()
    expect(box).to_have_attribute("data-state", "cancelled")
    assert service.caller("rosa").named("no-disk") == []


@pytest.fixture
def large() -> Iterator[Cloud]:
    """Pieces of a size as operators have them."""
    with cloud(ext_console={"upload_chunk_mib": 32}, uploads={"part_size": 64 << 20}) as made:
        yield made


def test_broken_off_three_times(visits: Visits, large: Cloud, tmp_path: Path) -> None:
    """1 GiB: by the service's death, by a connection that is cut, by the death of the page, after which the file is
    chosen again. It was paused as well."""
    path, digest = made(tmp_path, "large.raw", LARGE << 20)
    apart = Visits(visits.browser, large.url)
    visit = apart.new()
    page = visit.login("rosa", "/upload")
    protocol = visit.context.new_cdp_session(page)
    protocol.send("Network.enable")
    slow = {"offline": False, "latency": 0, "downloadThroughput": -1, "uploadThroughput": (LARGE << 20) / 8}
    protocol.send("Network.emulateNetworkConditions", slow)
    chosen(visit, path)
    visit.button("Upload 1 file").click()
    box = page.get_by_role("article", name="large")
    sent = lambda: int(box.get_by_role("progressbar").get_attribute("value") or 0)  # noqa: E731
    until(lambda: sent() >= 10)
    visit.button("Pause", box).click()
    expect(box).to_have_attribute("data-state", "paused")
    visit.button("Resume", box).click()
    until(lambda: sent() >= 25)
    large.service.stop(signal.SIGKILL)
    expect(box).to_have_attribute("data-state", "broken")
    expect(page.locator(".away")).to_be_visible()
    before = sent()
    large.service.start()
    expect(box).to_have_attribute("data-state", "sending")
    expect(box).to_contain_text("went on 1 time")
    until(lambda: sent() >= max(40, before))
    protocol.send("Network.emulateNetworkConditions", {**slow, "offline": True})
    expect(box).to_have_attribute("data-state", "broken")
    protocol.send("Network.emulateNetworkConditions", slow)
    expect(box).to_contain_text("went on 2 times")
    until(lambda: sent() >= 55)
    page.once("dialog", lambda dialog: dialog.accept())
    visit.go("/upload")
    chosen(visit, path)
    visit.button("Upload 1 file").click()
    expect(box).to_contain_text("An earlier upload of this file was broken off")
    protocol.send("Network.emulateNetworkConditions", {**slow, "uploadThroughput": -1})
    starts: list[int] = []
    page.on(
        "request",
        lambda request: (
            starts.append(int(request.headers["upload-offset"])) if "upload-offset" in request.headers else None
        ),
    )
    visit.button("Go on with it", box).click()
    expect(box).to_have_attribute("data-state", "done", timeout=60_000 + LARGE * 500)
    assert min(starts) >= (LARGE << 20) * 0.3, "it did not begin anew"
    [image] = large.caller("rosa").named("large")
    assert (image["status"], image["size"], image["os_hash_value"]) == ("active", LARGE << 20, digest)
    apart.close()


def test_it_goes_on_while_one_looks_elsewhere(visits: Visits, service: Cloud, tmp_path: Path) -> None:
    path, _digest = made(tmp_path, "background.raw", 8 << 20)
    visit = visits.new()
    page = visit.login("rosa", "/upload")
    protocol = visit.context.new_cdp_session(page)
    protocol.send("Network.enable")
    protocol.send(
        "Network.emulateNetworkConditions",
        {"offline": False, "latency": 0, "downloadThroughput": -1, "uploadThroughput": 1 << 20},
    )
    chosen(visit, path)
    visit.button("Upload 1 file").click()
    page.get_by_role("navigation").get_by_role("link", name="All images").click()
    expect(page.get_by_role("complementary", name="Uploads that run")).to_contain_text("1 upload")
    protocol.send(
        "Network.emulateNetworkConditions",
        {"offline": False, "latency": 0, "downloadThroughput": -1, "uploadThroughput": -1},
    )
    until(lambda: [x["status"] for x in service.caller("rosa").named("background")] == ["active"])
    expect(page.get_by_role("complementary", name="Uploads that run")).to_have_count(0)


def test_an_ended_session_holds_it_up_and_no_more(visits: Visits, service: Cloud, tmp_path: Path) -> None:
    path, digest = made(tmp_path, "held-up.raw", 8 << 20)
    visit = visits.new()
    page = visit.login("rosa", "/upload")
    protocol = visit.context.new_cdp_session(page)
    protocol.send("Network.enable")
    protocol.send(
        "Network.emulateNetworkConditions",
        {"offline": False, "latency": 0, "downloadThroughput": -1, "uploadThroughput": 2 << 20},
    )
    chosen(visit, path)
    visit.button("Upload 1 file").click()
    box = page.get_by_role("article", name="held-up")
    until(lambda: int(box.get_by_role("progressbar").get_attribute("value") or 0) >= 20)
    visit.context.clear_cookies()
    expect(page.get_by_role("dialog", name="Your session has ended")).to_be_visible()
    expect(box).to_contain_text("It goes on when you have logged in again.")
    visit.fill_login("rosa")
    expect(box).to_have_attribute("data-state", "done")
    [image] = service.caller("rosa").named("held-up")
    assert image["os_hash_value"] == digest


def test_without_tus_a_file_goes_in_one_request(visits: Visits, tmp_path: Path) -> None:
    path, digest = made(tmp_path, "plain.raw", 2_000_000)
    with cloud(DEFAULT={"enabled_extensions": "console"}) as other:
        apart = Visits(visits.browser, other.url)
        try:
            visit = apart.new()
            page = visit.login("rosa", "/upload")
            expect(page.get_by_text("one that breaks off begins anew")).to_be_visible()
            expect(page.get_by_role("link", name="Families")).to_have_count(0)
            chosen(visit, path)
            visit.button("Upload 1 file").click()
            expect(page.get_by_role("article", name="plain")).to_have_attribute("data-state", "done")
            [image] = other.caller("rosa").named("plain")
            assert image["os_hash_value"] == digest
        finally:
            apart.close()
