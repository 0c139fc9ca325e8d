"""The auditor on a running service: bits rot, copies vanish, processes die."""

from __future__ import annotations

import hashlib
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import lab
import pytest
from client import Client
from periodic import HOLD, Jobs, config, copied, kinds
from stores import flip

from glancecore.sdk.checkpoints import REPAIR_STEPS, VARIABLE

DATA = os.urandom(3_000_000)


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[lab.Service]:
    folder = tmp_path_factory.mktemp("audit")
    with lab.service(config(folder, {"periodic_auditor": {"bytes_per_second": 0}}), folder=folder) as made:
        yield made


@pytest.fixture
def jobs(service: lab.Service) -> Jobs:
    return Jobs(service)


@pytest.fixture
def client(service: lab.Service) -> Iterator[Client]:
    made = Client(service.url, roles="admin,member,reader")
    yield made
    for image in made.call("GET", "/v2/images?limit=1000").json()["images"]:
        assert made.delete(image["id"]).status_code == 204
    assert files(service) == []
    made.session.close()


def files(service: lab.Service) -> list[Path]:
    return [
        x
        for name in ("fast", "cheap")
        for x in (service.folder / name).iterdir()
        if x.is_file() and not x.name.startswith(".")
    ]


def two_copies(client: Client, **fields: object) -> str:
    image_id = str(client.create(**fields)["id"])
    assert client.upload(image_id, DATA).status_code == 204
    copied(client, image_id, "cheap")
    return image_id


def right(client: Client, image_id: str, **params: str) -> bool:
    """A download is what its hash says, or no download."""
    query = "&".join(f"{name}={value}" for name, value in params.items())
    answer = client.call("GET", f"/v2/images/{image_id}/file?{query}")
    return (
        answer.status_code == 200
        and hashlib.sha512(answer.content).hexdigest() == client.show(image_id)["os_hash_value"]
    )


def test_good_data_is_left_alone(service: lab.Service, jobs: Jobs, client: Client) -> None:
    image_id = two_copies(client)
    before = client.show(image_id)
    report = jobs.run("auditor")
    assert (report["outcome"], report["errors"], report["findings"]) == ("done", [], [])
    assert report["counts"] == {"images": 1, "copies": 2, "bytes": 2 * len(DATA)}
    assert client.show(image_id) == before


@pytest.mark.parametrize("status", ["active", "deactivated"])
def test_a_rotten_copy_is_found_and_replaced_in_one_pass(
    service: lab.Service, jobs: Jobs, client: Client, status: str
) -> None:
    image_id, other = two_copies(client), two_copies(client)
    if status == "deactivated":
        assert client.call("POST", f"/v2/images/{image_id}/actions/deactivate").status_code == 204
    flip(service.folder / "fast" / image_id)
    assert not right(client, image_id), "nobody knows of it yet"
    dry = jobs.run("auditor", "--dry-run")
    assert kinds(dry) == ["damaged", "repairable"]
    assert not right(client, image_id), "a dry run changes nothing"
    report = jobs.run("auditor")
    assert (kinds(report), report["errors"]) == (["damaged", "repaired"], [])
    assert {x["subject"] for x in report["findings"]} == {image_id}
    image = client.show(image_id)
    assert image["status"] == status
    assert sorted(image["stores"].split(",")) == ["cheap", "fast"]
    assert right(client, image_id, prefer="fast")
    assert right(client, image_id, prefer="cheap")
    assert len(files(service)) == 4
    assert jobs.run("auditor")["findings"] == []
    assert right(client, other)


@pytest.mark.parametrize("how", ["gone", "short", "long"])
def test_other_ways_of_being_wrong(service: lab.Service, jobs: Jobs, client: Client, how: str) -> None:
    image_id = two_copies(client)
    path = service.folder / "cheap" / f"{image_id}.2"
    if how == "gone":
        path.unlink()
    elif how == "short":
        os.truncate(path, 1_000_000)
    else:
        with path.open("ab") as file:
            file.write(b"more")
    report = jobs.run("auditor")
    assert (kinds(report), report["errors"]) == (["missing" if how == "gone" else "damaged", "repaired"], [])
    assert right(client, image_id, prefer="cheap")
    assert len(files(service)) == 2


def test_without_repair_a_bad_copy_is_read_by_nobody(service: lab.Service, jobs: Jobs, client: Client) -> None:
    image_id = two_copies(client)
    flip(service.folder / "fast" / image_id)
    assert kinds(jobs.run("auditor", env={"OS_PERIODIC_AUDITOR__REPAIR": "false"})) == ["damaged"]
    assert right(client, image_id)
    assert right(client, image_id, prefer="fast"), "what is preferred is not what is known to be wrong"
    part = client.download(image_id, Range="bytes=900-1100")
    assert (part.status_code, part.content) == (206, DATA[900:1101])
    assert kinds(jobs.run("auditor")) == ["damaged", "repaired"], "a later pass mends it"


def test_the_only_copy(service: lab.Service, jobs: Jobs, client: Client) -> None:
    """A clear answer instead of bytes under a hash that is not theirs; it is good again when the operator brings it
    back."""
    image_id = str(client.create()["id"])
    assert client.upload(image_id, DATA).status_code == 204
    flip(service.folder / "fast" / image_id)
    report = jobs.run("auditor")
    assert kinds(report) == ["damaged", "lost"]
    answer = client.download(image_id)
    assert answer.status_code == 503
    assert answer.json()["error"] == "data_damaged"
    assert image_id in answer.text
    assert "Content-MD5" not in answer.headers
    assert (
        client.call(
            "POST", f"/v2/images/{image_id}/import", {"method": {"name": "copy-image"}, "stores": ["cheap"]}
        ).status_code
        == 202
    )
    end = time.monotonic() + 30
    while (task := client.call("GET", f"/v2/images/{image_id}/tasks").json()["tasks"][0])["status"] != "failure":
        assert time.monotonic() < end, client.call("GET", f"/v2/images/{image_id}/tasks").text
        time.sleep(0.1)
    assert "damaged" in task["message"]
    assert client.show(image_id)["status"] == "active"
    flip(service.folder / "fast" / image_id)
    assert kinds(jobs.run("auditor")) == ["recovered"]
    assert right(client, image_id)


def test_the_good_copy_can_not_be_dropped(service: lab.Service, jobs: Jobs, client: Client) -> None:
    image_id = two_copies(client)
    flip(service.folder / "fast" / image_id)
    jobs.run("auditor", env={"OS_PERIODIC_AUDITOR__REPAIR": "false"})
    answer = client.call("DELETE", f"/v2/stores/cheap/{image_id}")
    assert (answer.status_code, answer.json()["error"]) == (403, "last_location")
    assert client.call("DELETE", f"/v2/stores/fast/{image_id}").status_code == 204
    assert right(client, image_id)


def test_a_store_that_does_not_answer_is_no_damage(service: lab.Service, jobs: Jobs, client: Client) -> None:
    image_id = two_copies(client)
    fast = service.folder / "fast"
    (fast / image_id).rename(service.folder / "kept")
    (fast / image_id).mkdir()  # reading it fails
    try:
        report = jobs.run("auditor")
    finally:
        (fast / image_id).rmdir()
        (service.folder / "kept").rename(fast / image_id)
    assert "repaired" not in kinds(report)
    assert right(client, image_id)


def test_it_reads_no_faster_than_it_may(service: lab.Service, jobs: Jobs, client: Client) -> None:
    for _ in range(2):
        two_copies(client)
    report = jobs.run("auditor", env={"OS_PERIODIC_AUDITOR__BYTES_PER_SECOND": "4000000"})
    assert report["counts"]["bytes"] == 4 * len(DATA)
    assert report["seconds"] >= 4 * len(DATA) / 4_000_000 - 0.3


def test_it_goes_on_where_it_was_cut_off(service: lab.Service, jobs: Jobs, client: Client) -> None:
    made = sorted(two_copies(client) for _ in range(4))
    env = {**os.environ, "OS_PERIODIC_AUDITOR__BYTES_PER_SECOND": "600000"}
    running = subprocess.Popen(
        [lab.BIN / "glance-periodic", "--config-file", service.config_file, "run", "auditor", "--json"],
        env=env,
        stdout=subprocess.PIPE,
        stdin=subprocess.DEVNULL,
    )
    time.sleep(18)  # each image takes ten seconds, and what is done is remembered after five
    running.send_signal(signal.SIGTERM)
    running.communicate(timeout=30)
    assert running.returncode == 3
    flip(service.folder / "fast" / made[0])  # behind it already: the next pass finds that
    report = jobs.run("auditor")
    assert report["counts"]["passes continued"] == 1
    assert report["counts"]["images"] < 4
    assert report["findings"] == []
    assert kinds(jobs.run("auditor")) == ["damaged", "repaired"]


@pytest.mark.parametrize("step", REPAIR_STEPS)
def test_killed_while_it_repairs(service: lab.Service, jobs: Jobs, client: Client, step: str) -> None:
    image_id = two_copies(client)
    flip(service.folder / "fast" / image_id)
    killed = jobs.command("glance-periodic", "run", "auditor", env={VARIABLE: step})
    assert killed.returncode == -signal.SIGKILL
    if step != "repair.marked":
        assert right(client, image_id), "from the mark on, downloads are right"
    time.sleep(HOLD + 0.5)
    end = time.monotonic() + 30
    while (report := jobs.run("auditor"))["errors"]:  # a lease of the dead one
        assert time.monotonic() < end, report
        time.sleep(0.5)
    assert jobs.run("auditor")["findings"] == []
    assert right(client, image_id, prefer="fast")
    assert sorted(client.show(image_id)["stores"].split(",")) == ["cheap", "fast"]
    assert len(files(service)) == 2
