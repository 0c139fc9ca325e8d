"""A store is taken out of service: drained for all running processes, emptied by a command that is killed on the way,
and removed."""

from __future__ import annotations

import hashlib
import json
import os
import random
import signal
import subprocess
import uuid
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import lab
import pytest
from client import Client
from periodic import config
from waiting import until

from glancecore import conf as configuration
from glancecore.assembly.kernel import load_database
from glancecore.domain.image import Location, Status
from glancecore.ports.repository import ImageAdded
from glancecore.sdk.checkpoints import MOVE_STEPS, VARIABLE
from glancecore.testing.examples import make_image

IMAGES = 1000
COPY = {
    "DEFAULT": {"enabled_import_methods": "[web-download,copy-image,glance-direct]"},
    "glance_store": {"fallback_stores": "cheap"},
}


@pytest.fixture
def service(tmp_path: Path) -> Iterator[lab.Service]:
    with lab.service(config(tmp_path, COPY), folder=tmp_path) as made:
        yield made


@pytest.fixture
def idle(tmp_path: Path) -> Iterator[lab.Service]:
    """Not started: the command needs no other process."""
    with lab.service(config(tmp_path, COPY), folder=tmp_path, start=False) as made:
        yield made


@pytest.fixture
def client(service: lab.Service) -> Iterator[Client]:
    made = Client(service.url, roles="admin,member,reader")
    yield made
    made.session.close()


def store(service: lab.Service, *words: str, env: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    return lab.command(
        "glance-manage",
        "--config-file",
        service.config_file,
        "--json",
        "store",
        *words,
        env={**os.environ, **(env or {})},
        timeout=600,
    )


def rows(done: subprocess.CompletedProcess[str]) -> list[dict[str, Any]]:
    return [json.loads(x) for x in done.stdout.splitlines()]


def filled(service: lab.Service, count: int) -> dict[str, bytes]:
    """Images with data in the store fast, each with bytes of its own; a few are deactivated, and some have another
    copy."""
    source, made = random.Random(7), {}
    database = load_database(configuration.new(files=[str(service.config_file)]))
    try:
        for number in range(count):
            data, image_id = source.randbytes(2000), str(uuid.UUID(int=source.getrandbits(128), version=4))
            stores = ("fast", "cheap") if number % 50 == 1 else ("fast",)
            for name in stores:
                (service.folder / name).mkdir(exist_ok=True)
                (service.folder / name / image_id).write_bytes(data)
            image = make_image(
                id=image_id,
                disk_format="raw",
                container_format="bare",
                size=len(data),
                attempt=1,
                owner="demo",
                status=Status.DEACTIVATED if number % 100 == 2 else Status.ACTIVE,
                checksum=hashlib.md5(data).hexdigest(),
                hash_algo="sha512",
                hash_value=hashlib.sha512(data).hexdigest(),
            )
            database.images.commit(
                ImageAdded(
                    replace(
                        image, locations=tuple(Location(f"file://{service.folder}/{x}/{image_id}", x) for x in stores)
                    )
                )
            )
            made[image_id] = data
    finally:
        database.close()
    return made


def blobs(service: lab.Service, name: str) -> dict[str, bytes]:
    """Image -> its bytes; nothing is there twice, and nothing half."""
    files = [x for x in (service.folder / name).iterdir() if x.is_file() and not x.name.startswith(".")]
    found = {x.name.partition(".")[0]: x.read_bytes() for x in files}
    assert len(found) == len(files)
    return found


def test_a_thousand_images_of_which_one_fails_by_a_command_that_is_killed_twice(idle: lab.Service) -> None:
    service = idle
    data = filled(service, IMAGES)
    order = sorted(data)
    rotten = order[700]
    (service.folder / "fast" / rotten).write_bytes(b"rotten" + data[rotten][6:])
    assert store(service, "evacuate", "fast").returncode == 1, "it still takes data"
    assert store(service, "drain", "fast").returncode == 0
    plan = store(service, "evacuate", "fast", "--dry-run")
    assert rows(plan)[-1] | {"moved": IMAGES - 20, "dropped": 20, "left": IMAGES} == rows(plan)[-1]
    for step in ("move.after_put*300", "drop.after_bytes*300"):
        killed = store(service, "evacuate", "fast", env={VARIABLE: step})
        assert killed.returncode == -signal.SIGKILL, killed.stderr
        assert len(rows(killed)) > 250, "in the middle"
    found = rows(done := store(service, "evacuate", "fast"))
    assert done.returncode == 1
    assert [x["image"] for x in found if x.get("outcome") not in ("moved", "dropped", None)] == [rotten]
    assert "damaged" in next(x["why"] for x in found if x.get("image") == rotten)
    assert found[-1] | {"failed": 1, "busy": 0, "left": 1} == found[-1]
    assert [*blobs(service, "fast")] == [rotten]
    assert blobs(service, "cheap") == {x: data[x] for x in data if x != rotten}
    assert [x["image"] for x in rows(store(service, "status", "fast", "--images"))[:-1]] == [rotten]
    assert "1 images need store fast" in store(service, "remove", "fast").stderr
    (service.folder / "fast" / rotten).write_bytes(data[rotten])
    assert store(service, "evacuate", "fast").returncode == 0
    assert blobs(service, "fast") == {}
    assert blobs(service, "cheap") == data
    service.start(60)
    client = Client(service.url, roles="admin,member,reader")
    for image_id in (order[0], rotten, order[-1]):
        image = client.show(image_id)
        assert hashlib.sha512(client.download(image_id).content).hexdigest() == image["os_hash_value"]
        assert image["stores"] == "cheap"
    shown = [x for x in client.call("GET", "/v2/images?limit=1000").json()["images"] if x["status"] == "deactivated"]
    assert len(shown) == IMAGES // 100
    client.session.close()


@pytest.mark.parametrize("step", [*MOVE_STEPS, "drop.after_bytes"])
def test_killed_at_any_step(idle: lab.Service, step: str) -> None:
    service = idle
    data = filled(service, 3)
    assert store(service, "drain", "fast").returncode == 0
    assert store(service, "evacuate", "fast", env={VARIABLE: f"{step}*2"}).returncode == -signal.SIGKILL
    done = store(service, "evacuate", "fast")
    assert done.returncode == 0, done.stdout
    assert blobs(service, "fast") == {}
    assert blobs(service, "cheap") == data


def test_a_running_service_honours_it(service: lab.Service, client: Client, tmp_path: Path) -> None:
    other = config(tmp_path, COPY, {"database": service.config["database"]})
    (tmp_path / "other").mkdir()
    with lab.service(other, folder=tmp_path / "other") as second:
        there = Client(second.url, roles="admin,member,reader")
        before = client.create()["id"]
        assert client.upload(before, b"before").status_code == 204
        assert store(service, "drain", "fast").returncode == 0

        def told(who: Client) -> bool:
            found = {x["id"]: x.get("read-only") for x in who.call("GET", "/v2/info/stores").json()["stores"]}
            return found == {"fast": "true", "cheap": None}

        for who in (client, there):
            until(lambda who=who: told(who), "it knows that the store drains")
            image = who.create()["id"]
            refused = who.upload(image, b"data", **{"X-Image-Meta-Store": "fast"})
            assert (refused.status_code, refused.json()["error"]) == (409, "store_draining")
            assert "store fast is draining" in refused.text
            assert who.show(image)["status"] == "queued"
            assert who.upload(image, b"data").status_code == 204
            assert who.show(image)["stores"] == "cheap"
            asked = who.call(
                "POST", f"/v2/images/{image}/import", {"method": {"name": "copy-image"}, "stores": ["fast"]}
            )
            assert (asked.status_code, asked.json()["error"]) == (409, "store_draining")
            assert who.call("GET", "/healthcheck/ready").status_code == 200
            metrics = who.call("GET", "/metrics").text
            assert 'glance_store_draining{store="fast"} 1.0' in metrics
            assert 'glance_store_writable{store="fast"} 0.0' in metrics
            assert who.download(before).content == b"before"
        second.stop()
        second.start()
        assert told(there), "also after a start"
        assert "would have nowhere to go" in store(service, "drain", "cheap").stderr
        assert store(service, "undrain", "fast").returncode == 0
        until(lambda: not told(there), "it takes data again")
        image = there.create()["id"]
        assert there.upload(image, b"data").status_code == 204
        assert there.show(image)["stores"] == "fast"
        there.session.close()


def test_it_goes_no_faster_than_it_may_and_stops_when_told(idle: lab.Service) -> None:
    service = idle
    filled(service, 40)
    assert store(service, "drain", "fast").returncode == 0
    words = [
        "--config-file",
        str(service.config_file),
        "--json",
        "store",
        "evacuate",
        "fast",
        "--bytes-per-second",
        "4000",
    ]
    with subprocess.Popen(
        [lab.BIN / "glance-manage", *words], stdout=subprocess.PIPE, stdin=subprocess.DEVNULL
    ) as running:
        assert running.stdout is not None
        assert json.loads(running.stdout.readline())["outcome"] in ("moved", "dropped")
        running.send_signal(signal.SIGTERM)
        last = json.loads(running.stdout.read().splitlines()[-1])
    assert running.returncode == 3
    assert last["stopped"]
    assert last["left"] > 30, "two images in a second"
    assert store(service, "evacuate", "fast").returncode == 0
