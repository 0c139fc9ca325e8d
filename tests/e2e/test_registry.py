"""Three glance-api without database credentials, one glance-registry, one MariaDB. The registry is killed with -9 in
the middle of commits and started again: what was acknowledged is there, what was not is there whole or not at all, and
nothing stays stuck."""

from __future__ import annotations

import contextlib
import hashlib
import itertools
import os
import signal
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import lab
import pytest
import requests
from client import BROKEN_OFF, HEADERS_AUTH, Client
from glancecore_db_registry.driver import RegistryDatabase
from glancecore_db_registry.options import OPTIONS
from registries import SECRET, Registry, registry
from waiting import until

from glancecore.features.imports.flow.logbook import Logbooks
from glancecore.sdk.checkpoints import VARIABLE
from glancecore.testing.settings import make_section

NODES = 3
DATA = os.urandom(50_000)
STABLE = {"queued", "active"}


@dataclass
class Cloud:
    registry: Registry
    nodes: list[lab.Service]
    images: Path

    def client(self, node: int = 0) -> Client:
        return Client(self.nodes[node].url)


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cloud]:
    shared = tmp_path_factory.mktemp("shared")
    with contextlib.ExitStack() as stack:
        served = stack.enter_context(registry(stack.enter_context(lab.new_database("mariadb"))))
        config = lab.merged(
            HEADERS_AUTH,
            {
                "lease": {"ttl": 6, "reap_interval": 0.5},
                "file": {"filesystem_store_datadir": shared / "images"},
                "image_import_opts": {"image_import_plugins": "[inject_image_metadata]"},
                "inject_metadata_properties": {"inject": "os_distro:debian", "ignore_user_roles": "nobody"},
            },
        )
        nodes = []
        for _ in range(NODES):
            folder = tmp_path_factory.mktemp("node")
            made = lab.Service(folder, lab.free_port(), {})
            made.config = lab.merged(
                {
                    "DEFAULT": {"bind_port": made.port, "workers": 1, "enabled_backends": "file:file"},
                    "healthcheck": {"ready_cache_seconds": 0},
                    "database": served.client,
                },
                config,
            )
            made.config_file.write_text(lab.config_text(made.config))
            made.start()
            stack.callback(made.stop)
            nodes.append(made)
        yield Cloud(served, nodes, shared / "images")


def test_no_node_holds_credentials_of_the_database(cloud: Cloud) -> None:
    for node in cloud.nodes:
        assert "mysql" not in node.config_file.read_text()
        assert "mysql" not in Path(f"/proc/{node.process.pid}/environ").read_text() if node.process else False


def test_what_one_node_does_the_others_see(cloud: Cloud) -> None:
    one, two, three = (cloud.client(x) for x in range(NODES))
    image_id = one.create(name="shared")["id"]
    assert two.upload(image_id, DATA).status_code == 204
    assert three.download(image_id).content == DATA
    assert three.delete(image_id).status_code == 204
    assert one.call("GET", f"/v2/images/{image_id}").status_code == 404


def _staged(client: Client) -> str:
    image_id = client.create()["id"]
    staged = client.session.put(
        f"{client.url}/v2/images/{image_id}/stage", data=DATA, headers={"Content-Type": "application/octet-stream"}
    )
    assert staged.status_code == 204
    return str(image_id)


def _check_imported(client: Client, cloud: Cloud, image_id: str) -> None:
    until(lambda: client.show(image_id)["status"] == "active", "the import does not end")
    assert client.show(image_id)["os_distro"] == "debian"
    assert client.download(image_id).content == DATA
    [task] = client.call("GET", f"/v2/images/{image_id}/tasks").json()["tasks"]
    assert task["status"] == "success"
    books = Logbooks(
        RegistryDatabase(make_section(OPTIONS, registry_urls=[cloud.registry.url], registry_secret=SECRET))
    )
    until(lambda: books.get(task["id"]) is None, "its logbook is left behind")
    assert client.delete(image_id).status_code == 204


def test_an_import_ends_on_whatever_node(cloud: Cloud) -> None:
    image_id = _staged(cloud.client(1))
    assert (
        cloud.client(2).call("POST", f"/v2/images/{image_id}/import", {"method": {"name": "glance-direct"}}).status_code
        == 202
    )
    _check_imported(cloud.client(0), cloud, image_id)


@pytest.mark.parametrize("step", ["import.begun", "step.done", "write.after_put", "finish.begun"])
def test_an_import_whose_node_dies_is_finished_by_another(
    cloud: Cloud, step: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The logbook of the dead node's flow comes from the registry."""
    node, other = cloud.nodes[0], cloud.client(1)
    image_id = _staged(other)
    node.stop()
    monkeypatch.setenv(VARIABLE, step)
    node.start()
    try:
        with contextlib.suppress(*BROKEN_OFF):
            cloud.client(0).call("POST", f"/v2/images/{image_id}/import", {"method": {"name": "glance-direct"}})
        node.until_killed()
        node.stop(signal.SIGKILL)
        _check_imported(other, cloud, image_id)
    finally:
        monkeypatch.delenv(VARIABLE)
        node.stop(signal.SIGKILL)
        node.start()


def test_users_are_told_to_come_back_while_the_registry_is_away(cloud: Cloud) -> None:
    client = cloud.client()
    image_id = client.create()["id"]
    cloud.registry.stop(signal.SIGKILL)
    answer = client.call("GET", f"/v2/images/{image_id}")
    assert (answer.status_code, answer.headers.get("Retry-After")) == (503, "5")
    assert str(cloud.registry.port) not in answer.text
    assert requests.get(f"{cloud.nodes[0].url}/healthcheck", timeout=30).status_code == 200
    ready = requests.get(f"{cloud.nodes[0].url}/healthcheck/ready", timeout=30)
    assert ready.status_code == 503
    assert "metadata service" in ready.json()["database"]
    cloud.registry.start()
    assert client.call("GET", f"/v2/images/{image_id}").status_code == 200
    assert requests.get(f"{cloud.nodes[0].url}/healthcheck/ready", timeout=30).status_code == 200
    assert client.delete(image_id).status_code == 204


@dataclass
class Ledger:
    """What a writer was told: image id to the name that was acknowledged last, and all that may be instead."""

    acknowledged: dict[str, str] = field(default_factory=dict)
    asked: dict[str, set[str]] = field(default_factory=dict)
    uploaded: set[str] = field(default_factory=set)
    deleted: set[str] = field(default_factory=set)
    maybe_deleted: set[str] = field(default_factory=set)
    bad: list[str] = field(default_factory=list)
    refused: int = 0

    def ok(self, answer: requests.Response, *statuses: int) -> bool:
        if answer.status_code in statuses:
            return True
        self.refused += 1
        if answer.status_code != 503 or "Retry-After" not in answer.headers:
            self.bad.append(f"{answer.request.method} {answer.request.path_url}: {answer.status_code} {answer.text}")
        return False


def _write(cloud: Cloud, number: int, ledger: Ledger, stop: threading.Event) -> None:
    clients = itertools.cycle([cloud.client(x) for x in range(NODES)])
    for count in itertools.count():
        if stop.is_set():
            return
        answer = next(clients).call(
            "POST", "/v2/images", {"name": f"w{number}-{count}-0", "disk_format": "raw", "container_format": "bare"}
        )
        if not ledger.ok(answer, 201):
            continue
        image_id = answer.json()["id"]
        ledger.acknowledged[image_id] = f"w{number}-{count}-0"
        ledger.asked[image_id] = {f"w{number}-{count}-0"}
        # 409: the upload before was not acknowledged, and its lease is still held, or it was carried out
        if next(clients).upload(image_id, DATA).status_code == 204:
            ledger.uploaded.add(image_id)
        for change in range(1, 4):
            name = f"w{number}-{count}-{change}"
            ledger.asked[image_id].add(name)
            if ledger.ok(next(clients).patch(image_id, {"op": "replace", "path": "/name", "value": name}), 200):
                ledger.acknowledged[image_id], ledger.asked[image_id] = name, {name}
        if count % 3 == 0 and image_id in ledger.uploaded:
            ledger.maybe_deleted.add(image_id)
            if ledger.ok(next(clients).delete(image_id), 204):
                ledger.deleted.add(image_id)


def test_killed_in_the_middle_of_commits(cloud: Cloud) -> None:
    ledgers, stop = [Ledger() for _ in range(6)], threading.Event()
    writers = [threading.Thread(target=_write, args=(cloud, number, each, stop)) for number, each in enumerate(ledgers)]
    for writer in writers:
        writer.start()
    for _ in range(5):
        time.sleep(1.5)
        cloud.registry.stop(signal.SIGKILL)
        time.sleep(0.2)
        cloud.registry.start()
    time.sleep(1)
    stop.set()
    for writer in writers:
        writer.join()

    client = cloud.client()
    until(
        lambda: all(x["status"] in STABLE for x in _images(client)) and _settled(cloud, client), "an image stays stuck"
    )
    found = {x["id"]: x for x in _images(client)}
    assert [x for ledger in ledgers for x in ledger.bad] == [], (
        "a registry that dies is no conflict and no user's mistake"
    )
    assert sum(len(x.acknowledged) for x in ledgers) > 10
    for ledger in ledgers:
        for image_id, name in ledger.acknowledged.items():
            if image_id in ledger.deleted:
                assert image_id not in found, "deleted, acknowledged, and there again"
            elif image_id not in ledger.maybe_deleted or image_id in found:
                assert image_id in found, "created, acknowledged, and lost"
                assert found[image_id]["name"] in {name, *ledger.asked[image_id]}, (
                    "a change that was acknowledged is lost"
                )
                if image_id in ledger.uploaded and image_id not in ledger.maybe_deleted:
                    assert found[image_id]["status"] == "active", "uploaded, acknowledged, and lost"
    for image in found.values():
        if image["status"] == "active":
            assert (
                hashlib.md5(client.download(image["id"]).content, usedforsecurity=False).hexdigest()
                == image["checksum"]
            )
        assert client.delete(image["id"]).status_code == 204
    until(
        lambda: not [x for x in cloud.images.iterdir() if x.is_file() and not x.name.startswith(".")],
        "bytes are left behind",
    )


def _settled(cloud: Cloud, client: Client) -> bool:
    """As many files as active images."""
    return len([x for x in cloud.images.iterdir() if x.is_file() and not x.name.startswith(".")]) == len(
        [x for x in _images(client) if x["status"] == "active"]
    )


def _images(client: Client) -> list[dict[str, Any]]:
    return list(client.call("GET", "/v2/images?limit=1000").json()["images"])
