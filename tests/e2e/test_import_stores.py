"""Imports into several stores: at once, when one fails for a while or for good, and when a copy is damaged."""

from __future__ import annotations

import hashlib
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import lab
import pytest
from client import HEADERS_AUTH, Client
from importing import stage, start, tasks, until_ended
from killed_imports import until_settled

from glancecore.sdk.checkpoints import VARIABLE

DATA = os.urandom(3_000_000)
STORES = ("one", "two", "three")


@pytest.fixture(scope="module", params=[1, 3], ids=["serial", "parallel"])
def service(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[lab.Service]:
    folder = tmp_path_factory.mktemp("stores")
    (Path(lab.nginx().settings["NGINX_ROOT"]) / "three.raw").write_bytes(DATA)
    config = lab.merged(
        HEADERS_AUTH,
        {
            "DEFAULT": {"enabled_backends": ", ".join(f"{x}:file" for x in STORES)},
            "glance_store": {"default_backend": "one"},
            **{x: {"filesystem_store_datadir": folder / x} for x in STORES},
            "lease": {"ttl": 2, "reap_interval": 0.2},
            "imports": {"max_parallel_stores": request.param, "retry_pause": 0.1, "attempts": 4},
            "import_filtering_opts": {"allowed_ports": "[]", "trusted_networks": "[127.0.0.1]"},
        },
    )
    with lab.service(config, folder=folder) as made:
        yield made


@pytest.fixture
def client(service: lab.Service) -> Client:
    return Client(service.url, roles="admin,member,reader")


def gone(service: lab.Service, store: str) -> Path:
    """The store's folder is taken away; give it back with ``rename``."""
    return (service.folder / store).rename(service.folder / f"{store}.away")


def back(service: lab.Service, store: str) -> None:
    (service.folder / f"{store}.away").rename(service.folder / store)


def check(client: Client, image_id: str, stores: tuple[str, ...] = STORES) -> None:
    image = client.show(image_id)
    assert image["status"] == "active", image
    assert set(image["stores"].split(",")) == set(stores)
    for store in stores:
        assert client.call("GET", f"/v2/images/{image_id}/file?prefer={store}").content == DATA


def blobs(service: lab.Service) -> list[str]:
    return sorted(
        str(x.relative_to(service.folder))
        for name in STORES
        for x in (service.folder / name).rglob("*")
        if x.is_file() and x.name != ".glance-store" and ".locks" not in x.parts
    )


def until_empty(service: lab.Service) -> None:
    """What was kept of failed imports goes soon after their images."""
    end = time.monotonic() + 10
    while blobs(service):
        assert time.monotonic() < end, blobs(service)
        time.sleep(0.05)


def test_all_at_once(client: Client, service: lab.Service) -> None:
    image_id = client.create()["id"]
    assert stage(client, image_id, DATA).status_code == 204
    assert start(client, image_id, all_stores=True).status_code == 202
    task = until_ended(client, image_id)
    assert [(x["store"], x["state"], x["bytes"]) for x in task["progress"]["stores"]] == [
        (x, "done", len(DATA)) for x in STORES
    ]
    check(client, image_id)
    assert client.delete(image_id).status_code == 204
    assert blobs(service) == []


@pytest.mark.parametrize(
    "step", ["write.intent", "write.first_piece", "write.after_put", "write.recorded", "finish.begun"]
)
def test_killed_while_it_writes(
    client: Client, service: lab.Service, step: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    service.stop(signal.SIGKILL)
    monkeypatch.setenv(VARIABLE, step)
    service.start()
    image_id = client.create()["id"]
    assert (
        start(
            client, image_id, "web-download", method={"uri": f"{lab.nginx().url}/three.raw"}, all_stores=True
        ).status_code
        == 202
    )
    time.sleep(3)
    service.stop(signal.SIGKILL)
    monkeypatch.delenv(VARIABLE)
    service.start()
    assert until_ended(client, image_id)["status"] == "success"
    check(client, image_id)
    assert client.delete(image_id).status_code == 204
    until_settled(service)
    assert blobs(service) == []


def test_a_store_that_is_away_for_a_moment_is_waited_for(client: Client, service: lab.Service) -> None:
    image_id = client.create()["id"]
    assert stage(client, image_id, DATA).status_code == 204
    gone(service, "two")
    try:
        assert start(client, image_id, stores=["two"]).status_code == 202
        end = time.monotonic() + 10
        while "write:two" not in str(tasks(client, image_id)[0]["progress"]["stage"]):
            assert time.monotonic() < end
            time.sleep(0.005)
    finally:
        back(service, "two")
    assert until_ended(client, image_id)["status"] == "success"
    check(client, image_id, ("two",))
    assert client.delete(image_id).status_code == 204


def test_one_store_fails_and_all_must_succeed(client: Client, service: lab.Service) -> None:
    image_id = client.create()["id"]
    assert stage(client, image_id, DATA).status_code == 204
    gone(service, "two")
    try:
        assert start(client, image_id, all_stores=True).status_code == 202
        task = until_ended(client, image_id)
    finally:
        back(service, "two")
    assert (task["status"], task["error"]) == ("failure", "store_unavailable"), task
    assert "two" in task["message"]
    image = client.show(image_id)
    assert (image["status"], image["size"], image["os_glance_last_error"]) == ("uploading", len(DATA), task["message"])
    assert "stores" not in image
    assert [x for x in blobs(service) if ".staging" not in x] == []
    # the data is still staged: the same import again, by its own call
    assert client.call("POST", f"/v2/images/{image_id}/tasks/{task['id']}/actions/retry").status_code == 202
    assert until_ended(client, image_id)["status"] == "success"
    check(client, image_id)
    assert client.delete(image_id).status_code == 204
    assert blobs(service) == []


def test_one_store_fails_and_need_not_succeed(client: Client, service: lab.Service) -> None:
    image_id = client.create()["id"]
    assert stage(client, image_id, DATA).status_code == 204
    gone(service, "two")
    try:
        assert start(client, image_id, all_stores=True, all_stores_must_succeed=False).status_code == 202
        task = until_ended(client, image_id)
    finally:
        back(service, "two")
    assert task["status"] == "success", task
    states: dict[str, Any] = {x["store"]: x for x in task["progress"]["stores"]}
    assert {x: y["state"] for x, y in states.items()} == {"one": "done", "two": "failed", "three": "done"}
    assert "two" in states["two"]["error"]
    image = client.show(image_id)
    assert (image["os_glance_importing_to_stores"], image["os_glance_failed_import"]) == ("", "two")
    check(client, image_id, ("one", "three"))
    # a retry copies to the store that failed, and to no other
    assert client.call("POST", f"/v2/images/{image_id}/tasks/{task['id']}/actions/retry").status_code == 202
    assert until_ended(client, image_id)["status"] == "success"
    check(client, image_id)
    assert client.delete(image_id).status_code == 204
    assert blobs(service) == []


def test_the_failed_copies_of_what_was_fetched_are_made_of_the_image(client: Client, service: lab.Service) -> None:
    """Whatever the web server has by now."""
    source = Path(lab.nginx().settings["NGINX_ROOT"], "later-other.raw")
    source.write_bytes(DATA)
    image_id = client.create()["id"]
    gone(service, "two")
    try:
        assert (
            start(
                client,
                image_id,
                "web-download",
                method={"uri": f"{lab.nginx().url}/{source.name}"},
                stores=["one", "two"],
                all_stores_must_succeed=False,
            ).status_code
            == 202
        )
        task = until_ended(client, image_id)
    finally:
        back(service, "two")
    assert task["status"] == "success", task
    source.write_bytes(os.urandom(2 * len(DATA)))
    assert client.call("POST", f"/v2/images/{image_id}/tasks/{task['id']}/actions/retry").status_code == 202
    ended = until_ended(client, image_id)
    assert ended["status"] == "success", ended
    assert client.show(image_id)["size"] == len(DATA)
    check(client, image_id, ("one", "two"))
    assert client.delete(image_id).status_code == 204
    assert blobs(service) == []


def test_no_store_succeeds(client: Client, service: lab.Service) -> None:
    image_id = client.create()["id"]
    for store in ("two", "three"):
        gone(service, store)
    try:
        assert (
            start(
                client,
                image_id,
                "web-download",
                method={"uri": f"{lab.nginx().url}/three.raw"},
                stores=["two", "three"],
                all_stores_must_succeed=False,
            ).status_code
            == 202
        )
        task = until_ended(client, image_id)
    finally:
        for store in ("two", "three"):
            back(service, store)
    assert (task["status"], task["error"]) == ("failure", "import_failed")
    assert client.show(image_id)["status"] == "queued"
    assert [x.startswith("one/.staging/") for x in blobs(service)] == [True], "what was fetched, for a retry"
    assert client.call("POST", f"/v2/images/{image_id}/tasks/{task['id']}/actions/retry").status_code == 202
    assert until_ended(client, image_id)["status"] == "success"
    check(client, image_id, ("two", "three"))
    assert client.delete(image_id).status_code == 204
    assert blobs(service) == []


def test_a_failed_copy_leaves_the_image_as_it_was(client: Client, service: lab.Service) -> None:
    image_id = client.create()["id"]
    assert client.upload(image_id, DATA).status_code == 204
    before = {k: v for k, v in client.show(image_id).items() if k != "updated_at"}
    gone(service, "three")
    try:
        assert start(client, image_id, "copy-image", stores=["two", "three"]).status_code == 202
        assert until_ended(client, image_id)["error"] == "store_unavailable"
    finally:
        back(service, "three")
    after = {k: v for k, v in client.show(image_id).items() if k != "updated_at" and not k.startswith("os_glance")}
    assert after == before
    assert blobs(service) == [f"one/{image_id}"]
    assert client.delete(image_id).status_code == 204


def test_damage_is_not_copied(client: Client, service: lab.Service) -> None:
    image_id = client.create()["id"]
    assert client.upload(image_id, DATA).status_code == 204
    file = service.folder / "one" / image_id
    file.write_bytes(DATA[:-1] + bytes([DATA[-1] ^ 1]))
    assert start(client, image_id, "copy-image", stores=["two"]).status_code == 202
    task = until_ended(client, image_id)
    assert (task["status"], task["error"]) == ("failure", "hash_mismatch")
    assert "damaged" in task["message"]
    assert client.show(image_id)["stores"] == "one"
    assert blobs(service) == [f"one/{image_id}"]
    assert client.delete(image_id).status_code == 204


def test_a_checksum_file(client: Client, service: lab.Service) -> None:
    www, digest = Path(lab.nginx().settings["NGINX_ROOT"]), hashlib.sha256(DATA).hexdigest()
    (www / "SHA256SUMS").write_text(f"{'0' * 64}  other.raw\n{digest} *three.raw\n")
    (www / "WRONG").write_text(f"SHA256 (three.raw) = {'0' * 64}\n")
    uri = f"{lab.nginx().url}/three.raw"
    for name, more, error in (
        ("SHA256SUMS", {}, None),
        ("SHA256SUMS", {"checksum_name": "other.raw"}, "hash_mismatch"),
        ("SHA256SUMS", {"checksum_name": "unknown"}, "fetch_failed"),
        ("WRONG", {}, "hash_mismatch"),
        ("MISSING", {}, "fetch_failed"),
        ("64m.bin", {}, "fetch_failed"),
    ):
        image_id = client.create()["id"]
        method = {"uri": uri, "checksum_url": f"{lab.nginx().url}/{name}", **more}
        assert start(client, image_id, "web-download", method=method).status_code == 202
        assert until_ended(client, image_id)["error"] == error
        assert client.show(image_id)["status"] == ("active" if error is None else "queued")
        assert client.delete(image_id).status_code == 204
    assert (
        start(
            client, client.create()["id"], "web-download", method={"uri": uri, "checksum_url": "http://[::1]/x"}
        ).status_code
        == 400
    )
    until_empty(service)
