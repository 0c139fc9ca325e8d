"""kill -9 at every named step of create, upload, adding and dropping a location, and delete: after a restart nothing is
stuck, lost or orphaned.

The rules, checked after each kill: every image is in a stable status; every location has its bytes, every byte its
location; no lease is left; what was acknowledged before is still there; what was not may be there or not, but whole.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import signal
import sqlite3
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import lab
import pytest
from client import BROKEN_OFF, HEADERS_AUTH, Client

from glancecore.sdk.checkpoints import STEPS, VARIABLE

DATA = os.urandom(2_500_000)
STABLE = {"queued", "active", "deactivated"}


@pytest.fixture(scope="module")
def service() -> Iterator[lab.Service]:
    config = lab.merged(
        HEADERS_AUTH,
        {
            "lease": {"ttl": 2, "reap_interval": 0.2},
            "DEFAULT": {"enabled_backends": "file:file, web:http", "show_multiple_locations": True},
            "web": {"http_store_allowed_hosts": "127.0.0.1"},
        },
    )
    with lab.service(config, start=False) as made:
        yield made


@pytest.fixture(scope="module")
def kept(service: lab.Service) -> str:
    """An image that was acknowledged before any kill."""
    service.start()
    client = Client(service.url)
    image_id = client.create(name="kept")["id"]
    assert client.upload(image_id, DATA).status_code == 204
    client.session.close()
    service.stop()
    return str(image_id)


@pytest.fixture(scope="module")
def web() -> Iterator[str]:
    """The URL of DATA on a real web server."""
    nginx = lab.nginx()
    name = f"kill-{uuid.uuid4().hex}"
    file = Path(nginx.settings["NGINX_ROOT"], name)
    file.write_bytes(DATA)
    yield f"{nginx.url}/{name}"
    file.unlink()


def _operate(client: Client, operation: str, web: str) -> str:
    """Run the operation that passes the step, at once or in the background; the image's id."""
    image_id = client.create(name=operation)["id"]
    if operation == "upload":
        client.upload(image_id, DATA)
    elif operation in ("location", "hash"):
        expected = {"os_hash_algo": "sha256", "os_hash_value": hashlib.sha256(DATA).hexdigest()}
        client.call("POST", f"/v2/images/{image_id}/locations", {"url": web, "validation_data": expected})
    elif operation == "drop":
        assert client.upload(image_id, DATA).status_code == 204
        assert (
            client.patch(
                image_id, {"op": "add", "path": "/locations/-", "value": {"url": web, "metadata": {}}}
            ).status_code
            == 200
        )
        client.call("DELETE", f"/v2/stores/file/{image_id}")
    elif operation == "delete":
        assert client.upload(image_id, DATA).status_code == 204
        client.delete(image_id)
    return str(image_id)


@pytest.mark.parametrize("step", STEPS)
def test_killed_at(service: lab.Service, kept: str, web: str, step: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, step)
    service.start()
    client = Client(service.url, roles="admin,member,reader")
    with contextlib.suppress(*BROKEN_OFF):
        _operate(client, step.partition(".")[0], web)
    service.until_killed()
    client.session.close()
    service.stop(signal.SIGKILL)

    monkeypatch.delenv(VARIABLE)
    service.start()
    client = Client(service.url)
    _until_reconciled(service)
    _check_rules(service, client)
    assert client.download(kept).content == DATA, "acknowledged before the kill"
    for image in _images(client):
        if image["id"] == kept:
            continue
        if image["status"] == "queued" and image["name"] == "upload":
            assert client.upload(image["id"], DATA).status_code == 204, (
                "an image that was given up can be uploaded again"
            )
        assert client.delete(image["id"]).status_code == 204
    assert [x.name for x in (service.folder / "images").iterdir() if x.is_file() and not x.name.startswith(".")] == [
        kept
    ]
    client.session.close()
    service.stop(signal.SIGKILL)


def _images(client: Client) -> list[dict[str, Any]]:
    return list(client.call("GET", "/v2/images?limit=1000").json()["images"])


def _until_reconciled(service: lab.Service) -> None:
    end = time.monotonic() + 20
    while _rows(service, "select image_id, operation, expires_at from leases") or _rows(
        service, "select id from images where status in ('saving', 'deleting', 'importing')"
    ):
        assert time.monotonic() < end, "leases or transient statuses are left"
        time.sleep(0.1)


def _rows(service: lab.Service, statement: str) -> list[tuple[Any, ...]]:
    with sqlite3.connect(service.folder / "glance.sqlite") as connection:
        return connection.execute(statement).fetchall()


def _check_rules(service: lab.Service, client: Client) -> None:
    located = set()
    for image in _images(client):
        assert image["status"] in STABLE
        assert ("stores" in image) == (image["status"] == "active")
        if image["status"] == "active":
            data = client.download(image["id"]).content
            assert hashlib.new(image["os_hash_algo"], data).hexdigest() == image["os_hash_value"]
            if "file" in image["stores"]:
                located.add(image["id"])
    names = {x.name for x in (service.folder / "images").iterdir() if x.is_file() and not x.name.startswith(".")}
    assert {name.partition(".")[0] for name in names} == located
    assert len(names) == len(located)
