"""What operators look at."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from browsing import Browser, at, console, image, proxied
from glancecore_ext_console import operate
from waiting import until

from glancecore.assembly import extension_kernel, overview
from glancecore.assembly.lifecycle import Service
from glancecore.kernel import core
from glancecore.kernel.transfer.draining import Draining

HEADERS_AUTH = {"DEFAULT": {"auth_strategy": "headers", "enabled_backends": "fast:file, slow:file"}}


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Service]:
    with console(tmp_path, {**HEADERS_AUTH, "slow": {"filesystem_store_datadir": tmp_path / "slow"}}) as service:
        service.extensions.run()
        yield service


def browser(service: Service, project: str, roles: str = "member,reader") -> Browser:
    made = Browser(service.app, proxied(project, roles))
    made.login("proxy")
    return made


@pytest.fixture
def ops(service: Service) -> Browser:
    return browser(service, "ops", "admin,member,reader")


def look(ops: Browser, what: str) -> dict[str, Any]:
    answer = ops.api("GET", f"/v2/console/{what}")
    assert answer.status_code == 200, answer.text
    return dict(answer.json or {})


@pytest.mark.parametrize("what", ["stores", "jobs", "events", "work"])
def test_others_do_not_see_it(service: Service, what: str) -> None:
    assert browser(service, "red").api("GET", f"/v2/console/{what}").status_code == 403


def test_stores(service: Service, ops: Browser, tmp_path: Path) -> None:
    image(browser(service, "red"), b"some data")
    fast, slow = look(ops, "stores")["stores"]
    assert (
        fast["id"],
        fast["driver"],
        fast["state"],
        fast["why"],
        fast["default"],
        fast["writable"],
        fast["images"],
    ) == ("fast", "file", "up", "", True, True, 1)
    assert fast["free"] > 0
    assert {x: fast["inventory"][x] for x in ("bytes", "only", "damaged", "lost")} == {
        "bytes": 9,
        "only": 1,
        "damaged": 0,
        "lost": 0,
    }
    assert (slow["id"], slow["default"], slow["images"], slow["draining_since"]) == ("slow", False, 0, None)
    Draining(service.database).add("slow", datetime(2026, 5, 1, 12, tzinfo=UTC))
    until(lambda: look(ops, "stores")["stores"][1]["writable"] is False)
    assert look(ops, "stores")["stores"][1]["draining_since"] == "2026-05-01T12:00:00Z"


def test_a_store_that_is_down_says_why(service: Service, ops: Browser, tmp_path: Path) -> None:
    (tmp_path / "slow").rename(tmp_path / "away")
    row = look(ops, "stores")["stores"][1]
    assert (row["state"], row["writable"], row["free"]) == ("down", False, None)
    assert row["why"]


def test_a_store_that_hangs_is_told_and_holds_one_thread(
    service: Service, ops: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    go_on, facade = threading.Event(), service.stores.get("slow")
    ping = type(facade).ping

    def hanging(self: Any) -> None:
        if self is facade:
            go_on.wait(60)
        ping(self)

    monkeypatch.setattr(type(facade), "ping", hanging)
    monkeypatch.setattr(overview, "_ANSWERS", 0.3)
    before = threading.active_count()
    for _ in range(3):
        row = look(ops, "stores")["stores"][1]
        assert (row["state"], row["writable"]) == ("down", False)
        assert "has not answered" in row["why"]
        monkeypatch.setattr(overview, "_ANSWERS", 600.0)  # it has had its time: nobody waits for it once more
    until(lambda: threading.active_count() <= before + 1)
    go_on.set()
    until(lambda: look(ops, "stores")["stores"][1]["state"] == "up")


def test_jobs(service: Service, ops: Browser) -> None:
    found = look(ops, "jobs")
    assert found["leader"] is None
    [sweep] = [x for x in found["jobs"] if x["name"] == "console_sweep"]
    assert (sweep["interval"], sweep["started_at"], sweep["report"]) == (3600.0, None, None)
    [scheduled] = [x for x in service.periodic.scheduled if x.name == "console_sweep"]
    service.periodic.run(scheduled, dry_run=False)
    [sweep] = [x for x in look(ops, "jobs")["jobs"] if x["name"] == "console_sweep"]
    assert sweep["report"]["outcome"] == "done"
    assert sweep["ended_at"]


def test_a_job_is_tried(service: Service, ops: Browser, monkeypatch: pytest.MonkeyPatch) -> None:
    """It says what it would do, and does nothing."""
    red = browser(service, "red")
    at(monkeypatch, minutes=100)
    monkeypatch.setattr(core, "now", extension_kernel.now)
    ops.login("proxy")
    begun = ops.api("POST", "/v2/console/jobs/console_sweep/trial")
    assert (begun.status_code, (begun.json or {})["state"], (begun.json or {})["by"]) == (202, "running", "user-ops")

    def sweep() -> dict[str, Any]:
        return next(x for x in look(ops, "jobs")["jobs"] if x["name"] == "console_sweep")

    until(lambda: sweep()["trial"] and sweep()["trial"]["state"] == "ended")
    trial = sweep()["trial"]
    assert (trial["report"]["outcome"], trial["report"]["dry_run"], trial["report"]["counts"]) == (
        "done",
        True,
        {"removed": 1},
    )
    assert sweep()["report"] is None, "it was no run of the deployment's"
    monkeypatch.undo()
    assert red.api("GET", "/v2/images").status_code == 200


def test_a_job_is_tried_once_at_a_time(service: Service, ops: Browser, monkeypatch: pytest.MonkeyPatch) -> None:
    go_on, shown = threading.Event(), service.tools.kernel.overview
    run = shown.dry_run

    def slowly(name: str) -> Any:
        go_on.wait(60)
        return run(name)

    monkeypatch.setattr(shown, "dry_run", slowly)
    where = "/v2/console/jobs/console_sweep/trial"
    assert [ops.api("POST", where).status_code for _ in range(2)] == [202, 409]
    go_on.set()
    until(lambda: ops.api("POST", where).status_code == 202)


def test_what_is_no_job_is_not_tried(service: Service, ops: Browser) -> None:
    assert ops.api("POST", "/v2/console/jobs/none/trial").status_code == 404
    assert ops.api("POST", "/v2/console/jobs/console_sweep/trial", {"x": 1}).status_code == 400
    assert ops.api("POST", "/v2/console/jobs/console_sweep/trial", X_CSRF_Token="").status_code == 403
    assert browser(service, "red").api("POST", "/v2/console/jobs/console_sweep/trial").status_code == 403


def test_events(service: Service, ops: Browser) -> None:
    red, blue = browser(service, "red"), browser(service, "blue")
    first, second = image(red, name="one"), image(blue, name="two")
    red.api("GET", f"/v2/images/{first}/file")
    red.api("DELETE", f"/v2/images/{first}")
    until(lambda: look(ops, "events?type=image.delete")["events"])
    rows = look(ops, "events?limit=200")["events"]
    assert {x["type"] for x in rows} == {
        "image.create",
        "image.prepare",
        "image.upload",
        "image.activate",
        "image.delete",
    }, "downloads are left out"
    assert [x["at"] for x in rows] == sorted((x["at"] for x in rows), reverse=True)
    [gone] = look(ops, "events?type=image.delete")["events"]
    assert (gone["subject"], gone["user"], gone["project"], gone["address"], gone["about"]["name"]) == (
        first,
        "user-red",
        "red",
        "127.0.0.1",
        "one",
    )
    assert {x["subject"] for x in look(ops, "events?project=blue")["events"]} == {second}
    assert look(ops, f"events?subject={first}&limit=1")["events"] == [gone]
    seen: list[str] = []
    page = look(ops, "events?limit=2")
    while True:
        seen += [x["id"] for x in page["events"]]
        if page["next"] is None:
            break
        page = look(ops, f"events?limit=2&marker={page['next']}")
    assert seen == [x["id"] for x in rows]


@pytest.mark.parametrize(
    "query", ["limit=0", "limit=201", "limit=x", "limit=\u0661", "type=a&subject=b", "kind=x", f"subject={'x' * 300}"]
)
def test_queries_that_mean_nothing_are_refused(ops: Browser, query: str) -> None:
    assert ops.api("GET", f"/v2/console/events?{query}").status_code == 400


def test_events_are_not_kept_when_nobody_wants_them(tmp_path: Path) -> None:
    with console(tmp_path, {"DEFAULT": {"auth_strategy": "headers"}}, event_hours=0) as service:
        service.extensions.run()
        image(browser(service, "red"))
        service.extensions.stop()
        assert look(browser(service, "ops", "admin"), "events")["events"] == []


def test_events_are_kept_when_the_process_ends(service: Service, ops: Browser) -> None:
    image_id = image(ops)
    service.extensions.stop()
    assert len(look(ops, f"events?subject={image_id}")["events"]) == 4


def test_work(service: Service, ops: Browser) -> None:
    red = browser(service, "red")
    image_id = (
        red.api("POST", "/v2/images", {"disk_format": "raw", "container_format": "bare", "name": "mine"}).json or {}
    )["id"]
    assert look(ops, "work") == {"work": [], "complete": True}
    red.api(
        "POST",
        f"/v2/images/{image_id}/uploads",
        b"some",
        Tus_Resumable="1.0.0",
        Upload_Length="9",
        Content_Type="application/offset+octet-stream",
    )
    [row] = look(ops, "work")["work"]
    assert (row["image_id"], row["name"], row["owner"], row["status"], row["task_id"]) == (
        image_id,
        "mine",
        "red",
        "saving",
        None,
    )
    [upload] = row["uploads"]
    assert (upload["state"], upload["offset"], upload["length"]) == ("open", 4, 9)


def test_work_does_not_look_through_the_images(service: Service, ops: Browser, monkeypatch: pytest.MonkeyPatch) -> None:
    """What it costs goes by what is worked on."""
    rows = service.tools.kernel.rows
    monkeypatch.setattr(type(rows), "scan", lambda *_, **__: pytest.fail("all images were looked through"))
    monkeypatch.setattr(operate, "_PAGE", 2)
    red = browser(service, "red")
    begun = []
    for number in range(5):
        begun.append(
            (
                red.api(
                    "POST", "/v2/images", {"disk_format": "raw", "container_format": "bare", "name": str(number)}
                ).json
                or {}
            )["id"]
        )
        red.api(
            "POST",
            f"/v2/images/{begun[-1]}/uploads",
            b"some",
            Tus_Resumable="1.0.0",
            Upload_Length="9",
            Content_Type="application/offset+octet-stream",
        )
    image(red)
    found = look(ops, "work")
    assert ([x["image_id"] for x in found["work"]], found["complete"]) == (sorted(begun), True)
    monkeypatch.setattr(operate, "MOST_WORK", 3)
    found = look(ops, "work")
    assert ([x["image_id"] for x in found["work"]], found["complete"]) == (sorted(begun)[:3], False)
    monkeypatch.setattr(operate, "MOST_WORK", 200)
    monkeypatch.setattr(operate, "MOST_LEASES", 2)
    found = look(ops, "work")
    assert ([x["image_id"] for x in found["work"]], found["complete"]) == (sorted(begun)[:2], False)
