"""Stores are drained and emptied by who may."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from browsing import Browser, console, image, proxied
from glancecore_ext_console import evacuations
from glancecore_ext_console.evacuations import EVACUATIONS
from waiting import until

from glancecore.assembly.lifecycle import Service
from glancecore.features.copies import evacuation
from glancecore.ports.record_repository import RecordChanged

ADMIN = "admin,member,reader"


@pytest.fixture
def service(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Service]:
    """Data for which no store is named goes to fast, or to slow."""
    monkeypatch.setattr(evacuation, "AGE", 0.0)
    monkeypatch.setattr(evacuations, "_PACE", 0.0)
    with console(
        tmp_path,
        {
            "DEFAULT": {"auth_strategy": "headers", "enabled_backends": "fast:file, slow:file, cold:file"},
            "glance_store": {"fallback_stores": "slow"},
            **{x: {"filesystem_store_datadir": tmp_path / x} for x in ("slow", "cold")},
        },
    ) as service:
        service.extensions.run()
        yield service


def browser(service: Service, project: str, roles: str = ADMIN) -> Browser:
    made = Browser(service.app, proxied(project, roles))
    made.login("proxy")
    return made


@pytest.fixture
def ops(service: Service) -> Browser:
    return browser(service, "ops")


def store(ops: Browser, name: str) -> dict[str, Any]:
    return next(x for x in (ops.api("GET", "/v2/console/stores").json or {})["stores"] if x["id"] == name)


def run(ops: Browser, name: str, *, dry_run: bool = False) -> dict[str, Any]:
    answer = ops.api("POST", f"/v2/console/stores/{name}/evacuation", {"dry_run": dry_run})
    assert answer.status_code == 202, answer.text
    until(lambda: store(ops, name)["evacuation"]["state"] != "running")
    return dict(store(ops, name)["evacuation"])


def drain(ops: Browser, name: str, action: str = "drain") -> None:
    assert ops.api("POST", f"/v2/console/stores/{name}/actions/{action}").status_code == 204


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("POST", "actions/drain", None),
        ("POST", "actions/undrain", None),
        ("POST", "evacuation", {}),
        ("DELETE", "evacuation", None),
    ],
)
def test_others_may_not(service: Service, ops: Browser, method: str, path: str, body: object) -> None:
    red = browser(service, "red", "member,reader")
    assert red.api(method, f"/v2/console/stores/fast/{path}", body).status_code == 403
    assert ops.api(method, f"/v2/console/stores/none/{path}", body).status_code == 404
    assert store(ops, "fast")["draining_since"] is None


def test_emptied(service: Service, ops: Browser) -> None:
    images = [image(browser(service, "red", "member,reader"), bytes(1000 + n)) for n in range(3)]
    assert store(ops, "fast")["evacuation"] is None
    dry = run(ops, "fast", dry_run=True)
    assert {x: dry[x] for x in ("state", "dry_run", "stopping", "images", "moved", "bytes", "by")} == {
        "state": "ended",
        "dry_run": True,
        "stopping": False,
        "images": 3,
        "moved": 3,
        "bytes": 3003,
        "by": "user-ops",
    }
    assert store(ops, "fast")["images"] == 3
    refused = ops.api("POST", "/v2/console/stores/fast/evacuation", {})
    assert (refused.status_code, "drain it first" in refused.text) == (409, True)
    drain(ops, "fast")
    assert store(ops, "fast")["draining_since"] is not None
    drain(ops, "fast")
    done = run(ops, "fast")
    assert {
        x: done[x] for x in ("state", "dry_run", "images", "moved", "dropped", "failed", "busy", "problems", "why")
    } == {
        "state": "ended",
        "dry_run": False,
        "images": 3,
        "moved": 3,
        "dropped": 0,
        "failed": 0,
        "busy": 0,
        "problems": [],
        "why": "",
    }
    assert (store(ops, "fast")["images"], store(ops, "slow")["images"]) == (0, 3)
    assert [x.store for x in service.database.images.get_any(images[0]).locations] == ["slow"]
    drain(ops, "fast", "undrain")
    assert store(ops, "fast")["draining_since"] is None

    def told():
        events = (ops.api("GET", "/v2/console/events?subject=fast").json or {})["events"]
        return [(x["type"], x["subject"], x["user"]) for x in events]

    until(
        lambda: (
            told()
            == [
                (x, "fast", "user-ops")
                for x in ("console.drain", "console.evacuate", "console.drain", "console.evacuate")
            ]
        )
    )


def test_the_last_way_for_data_stays(ops: Browser) -> None:
    drain(ops, "slow")
    for path, body in (("actions/drain", None), ("evacuation", {"dry_run": True})):
        answer = ops.api("POST", f"/v2/console/stores/fast/{path}", body)
        assert (answer.status_code, "nowhere to go" in answer.text) == (409, True), answer.text
    assert store(ops, "fast")["draining_since"] is None


def test_what_stays_is_explained(service: Service, ops: Browser, tmp_path: Path) -> None:
    image_id = image(browser(service, "red", "member,reader"), b"one")
    [data] = [x for x in (tmp_path / "fast").rglob("*") if x.is_file() and x.read_bytes() == b"one"]
    data.write_bytes(b"two")
    drain(ops, "fast")
    done = run(ops, "fast")
    assert (done["failed"], [(x["image"], x["outcome"]) for x in done["problems"]]) == (1, [(image_id, "failed")])
    assert "damaged" in done["problems"][0]["why"]


@pytest.fixture
def held(service: Service, monkeypatch: pytest.MonkeyPatch) -> Iterator[threading.Event]:
    """A run that goes on until it may go on."""
    go_on, move = threading.Event(), evacuation.Evacuation._move

    def slow(self: Any, image_id: str) -> Any:
        while not go_on.wait(0.02):
            self._turn.check()
        return move(self, image_id)

    monkeypatch.setattr(evacuation.Evacuation, "_move", slow)
    image(browser(service, "red", "member,reader"), b"held")
    yield go_on
    go_on.set()


def test_one_run_of_a_store_at_a_time_and_it_can_be_stopped(
    service: Service, ops: Browser, held: threading.Event
) -> None:
    drain(ops, "fast")
    assert ops.api("DELETE", "/v2/console/stores/fast/evacuation").status_code == 204, "there is nothing to stop"
    assert ops.api("POST", "/v2/console/stores/fast/evacuation", {}).status_code == 202
    answer = ops.api("POST", "/v2/console/stores/fast/evacuation", {})
    assert (answer.status_code, "by user-ops" in answer.text) == (409, True)
    assert ops.api("DELETE", "/v2/console/stores/fast/evacuation").status_code == 204
    until(lambda: store(ops, "fast")["evacuation"]["state"] == "stopped")
    assert store(ops, "fast")["evacuation"]["why"] == "somebody has stopped it"
    assert store(ops, "fast")["images"] == 1
    held.set()
    assert run(ops, "fast")["moved"] == 1


def test_a_run_whose_process_has_died_is_cut_off_and_goes_on(
    service: Service, ops: Browser, held: threading.Event
) -> None:
    drain(ops, "fast")
    assert ops.api("POST", "/v2/console/stores/fast/evacuation", {}).status_code == 202
    record = service.database.records.get(EVACUATIONS.name, "fast")
    service.extensions["console"].evacuations.workers.stop()  # type: ignore[attr-defined]
    until(lambda: store(ops, "fast")["evacuation"]["state"] == "stopped")
    assert "process" in store(ops, "fast")["evacuation"]["why"]
    now = service.database.records.get(EVACUATIONS.name, "fast")
    dead = {**record.data, "seen_at": "2026-01-01T00:00:00Z"}
    service.database.images.commit(RecordChanged(now, replace(now, data=dead, version=now.version + 1)))
    assert store(ops, "fast")["evacuation"]["state"] == "cut off"
    service.extensions["console"].evacuations.workers = evacuations.Workers("again", 1)  # type: ignore[attr-defined]
    held.set()
    assert run(ops, "fast")["moved"] == 1


@pytest.mark.parametrize("body", [{"dry_run": "yes"}, {"to": "slow"}, [], b"nothing"])
def test_what_can_not_be_understood_is_refused(ops: Browser, body: Any) -> None:
    answer = ops.api("POST", "/v2/console/stores/fast/evacuation", body, Content_Type="application/json")
    assert answer.status_code == 400, answer.text
    assert store(ops, "fast")["evacuation"] is None
