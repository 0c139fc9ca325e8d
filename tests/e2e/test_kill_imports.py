"""kill -9 at every named step of staging and of imports by each method: after a restart nothing is stuck, lost or left
over.

The rules, checked after each kill: the import is finished, or cleanly back where it began; data equals what was sent;
staging, stores and tables hold nothing that belongs to no image; a task has ended, and says why when it failed.
"""

from __future__ import annotations

import contextlib
import gzip
import hashlib
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import lab
import pytest
from client import BROKEN_OFF, HEADERS_AUTH, Client
from importing import stage, start, tasks, two_stores, until_ended, without_slow
from killed_imports import PLAIN, files, until_settled

from glancecore.sdk.checkpoints import FAIL_STEPS, IMPORT_STEPS, KEPT_STEPS, STAGE_STEPS, UNDO_STEPS, VARIABLE

DATA = os.urandom(2_500_000)
#: Method -> the steps that it passes.
CASES = [
    *[("stage", x) for x in STAGE_STEPS],
    *[("glance-direct", x) for x in PLAIN if not x.startswith("fetch.")],
    *[("web-download", x) for x in PLAIN],
    *[("copy-image", x) for x in PLAIN if not x.startswith("fetch.")],
    *[("steps", x) for x in IMPORT_STEPS if x.startswith("step.")],
    *[("failing", x) for x in FAIL_STEPS],
    *[("keeping", x) for x in (*UNDO_STEPS, *FAIL_STEPS, *KEPT_STEPS)],
]


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[lab.Service]:
    folder = tmp_path_factory.mktemp("stores")
    port = lab.nginx().url.rpartition(":")[2]
    config = lab.merged(
        HEADERS_AUTH,
        two_stores(folder),
        {
            "lease": {"ttl": 2, "reap_interval": 0.2},
            "imports": {"retry_pause": 0.1, "attempts": 2},
            "image_import_opts": {"image_import_plugins": "[image_decompression, inject_image_metadata]"},
            "inject_metadata_properties": {"inject": "os_distro:debian", "ignore_user_roles": "nobody"},
            "import_filtering_opts": {"allowed_ports": f"[80, 443, {port}]", "trusted_networks": "[127.0.0.1]"},
        },
    )
    (Path(lab.nginx().settings["NGINX_ROOT"]) / "kill.raw.gz").write_bytes(gzip.compress(DATA))
    (Path(lab.nginx().settings["NGINX_ROOT"]) / "kill.raw").write_bytes(DATA)
    with lab.service(config, folder=folder, start=False) as made:
        yield made


def _operate(service: lab.Service, client: Client, method: str, step: str) -> None:
    """Begin what passes the step."""
    image_id = str(client.create(name=method)["id"])
    uri = f"{lab.nginx().url}/kill.raw"
    if method in ("stage", "glance-direct"):
        assert stage(client, image_id, DATA).status_code == 204
        start(client, image_id, all_stores=True)
    elif method == "web-download":
        start(
            client,
            image_id,
            "web-download",
            method={"uri": uri, "expected": {"sha256": hashlib.sha256(DATA).hexdigest()}},
            stores=["slow", "fast"],
        )
    elif method == "steps":
        start(client, image_id, "web-download", method={"uri": f"{uri}.gz"}, all_stores=True)
    elif method == "failing":
        start(client, image_id, "web-download", method={"uri": uri, "expected": {"sha256": "0" * 64}})
    elif method == "keeping":
        with without_slow(service):
            start(client, image_id, "web-download", method={"uri": f"{uri}.gz"}, stores=["fast", "slow"])
            if step in KEPT_STEPS:
                assert until_ended(client, image_id)["kept_until"]
                client.delete(image_id)
            service.until_killed()
    else:
        assert client.upload(image_id, DATA).status_code == 204
        start(client, image_id, "copy-image", stores=["slow"])


@pytest.mark.parametrize(("method", "step"), CASES)
def test_killed_at(service: lab.Service, method: str, step: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, step)
    try:
        _killed_at(service, method, step, monkeypatch)
    finally:
        service.stop(signal.SIGKILL)


def _killed_at(service: lab.Service, method: str, step: str, monkeypatch: pytest.MonkeyPatch) -> None:
    service.start()
    client = Client(service.url, roles="admin,member,reader")
    _until_killed(service, client, method, step)
    monkeypatch.delenv(VARIABLE)
    service.start()
    client = Client(service.url, roles="admin,member,reader")
    until_settled(service)
    for image in client.call("GET", "/v2/images").json()["images"]:
        _check_end(client, method, step, image)
        assert client.delete(image["id"]).status_code == 204
    until_settled(service, "select id from tasks where kept_until is not null")
    assert files(service) == []
    client.session.close()


def _until_killed(service: lab.Service, client: Client, method: str, step: str) -> None:
    """One process dies at the step; then the whole service does."""
    with contextlib.suppress(*BROKEN_OFF):
        _operate(service, client, method, step)
    service.until_killed()
    client.session.close()
    service.stop(signal.SIGKILL)


def _check_end(client: Client, method: str, step: str, image: dict[str, Any]) -> None:
    found = tasks(client, image["id"])
    for task in found:
        assert task["status"] in ("success", "failure"), task
        assert task["error"] in (None, "hash_mismatch", "store_unavailable"), task
    if method == "stage":
        assert image["status"] == ("uploading" if step == "stage.after_finish" else "queued")
        assert found == []
    elif method == "failing":
        assert image["status"] == "queued"
        assert [x["error"] for x in found] == ["hash_mismatch"]
        assert "os_distro" not in image
    elif method == "keeping" and image["status"] == "active":
        assert step in ("fail.undone", "fail.begun"), "the store was there again before the failure was recorded"
        assert client.download(image["id"]).content == DATA
    elif method == "keeping":
        assert image["status"] == "queued"
        assert [(x["error"], x["kept_until"] is not None) for x in found] == [("store_unavailable", True)]
        assert (
            client.call("POST", f"/v2/images/{image['id']}/tasks/{found[0]['id']}/actions/retry").status_code,
            until_ended(client, image["id"])["status"],
        ) == (202, "success")
        assert client.download(image["id"]).content == DATA
    elif step == "import.before_intent":
        assert (
            image["status"] == {"glance-direct": "uploading", "web-download": "queued", "copy-image": "active"}[method]
        )
    else:
        assert image["status"] == "active", (image, found)
        assert image["stores"] == "fast,slow"
        assert ("os_distro" in image) == (method != "copy-image")
        assert image["os_hash_value"] == hashlib.sha512(DATA).hexdigest()
        assert client.download(image["id"]).content == DATA
        assert client.call("GET", f"/v2/images/{image['id']}/file?prefer=slow").content == DATA
