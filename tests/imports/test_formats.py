"""Formats that an import takes over from its source are those that the operator allows."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest
from glancecore_method_web_download.driver import WebDownload

from glancecore.ports.import_method import FetchWork
from glancecore.testing.service import Person, basic, built, merged, read, synced, written

FORMATS = {"disk_formats": "raw, qcow2", "container_formats": "bare"}


@pytest.mark.parametrize(
    ("field", "value"), [("disk_format", "vmdk"), ("container_format", "ova"), ("disk_format", "x" * 300)]
)
def test_others_are_refused_as_when_an_image_is_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, field: str, value: str
) -> None:
    """And before anything is fetched."""
    fetched: list[object] = []
    monkeypatch.setattr(WebDownload, "prepare", lambda _self, work: said(work, **{field: value}))
    monkeypatch.setattr(WebDownload, "fetch", lambda *given: fetched.append(given))
    conf = read(
        written(
            merged(basic(tmp_path), {"DEFAULT": {"enabled_import_methods": "web-download"}, "image_format": FORMATS}),
            tmp_path,
        )
    )
    synced(conf)
    with built(conf) as service:
        person = Person(service.app)
        refused = person.call(
            "POST",
            "/v2/images",
            {"disk_format": "raw", "container_format": "bare", field: value},
            Content_Type="application/json",
        )
        assert refused.status_code == 400
        image_id = person.create()["id"]
        body = {"method": {"name": "web-download", "uri": "http://8.8.8.8/x"}}
        assert (
            person.call("POST", f"/v2/images/{image_id}/import", body, Content_Type="application/json").status_code
            == 202
        )
        task = ended(person, str(image_id))
        assert task["status"] == "failure"
        assert task["message"] in refused.text, task
        assert value[:50] in task["message"]
        image = person.call("GET", f"/v2/images/{image_id}").json or {}
        assert (image["status"], image["disk_format"], image["container_format"]) == ("queued", "raw", "bare")
    assert fetched == []


def said(work: FetchWork, **formats: str) -> None:
    work.set_formats(**formats)


def ended(person: Person, image_id: str) -> dict[str, Any]:
    end = time.monotonic() + 30
    while True:
        [task] = (person.call("GET", f"/v2/images/{image_id}/tasks").json or {})["tasks"]
        if task["status"] in ("success", "failure"):
            return dict(task)
        assert time.monotonic() < end, task
        time.sleep(0.02)
