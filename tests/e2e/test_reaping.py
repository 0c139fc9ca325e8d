"""Delayed deletion with its undoing, and what belongs to nobody."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import lab
import pytest
import requests
from client import Client
from periodic import Jobs, config, copied, kinds

from glancecore.sdk.checkpoints import VARIABLE

DATA = os.urandom(2_000_000)


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[lab.Service]:
    folder = tmp_path_factory.mktemp("reap")
    with lab.service(
        config(folder, {"DEFAULT": {"delayed_delete": True, "scrub_time": 3600}, "periodic_orphans": {"grace": 1}}),
        folder=folder,
    ) as made:
        yield made


@pytest.fixture
def jobs(service: lab.Service) -> Jobs:
    return Jobs(service)


@pytest.fixture
def client(service: lab.Service, jobs: Jobs) -> Iterator[Client]:
    made = Client(service.url, roles="admin,member,reader")
    yield made
    for image in made.call("GET", "/v2/images?limit=1000").json()["images"]:
        assert made.delete(image["id"]).status_code == 204
    jobs.run("reaper", env=AT_ONCE)
    assert files(service) == []
    assert used(service) == 0
    made.session.close()


AT_ONCE = {"OS_DEFAULT__SCRUB_TIME": "0"}


def files(service: lab.Service) -> list[str]:
    return sorted(
        x.name
        for name in ("fast", "cheap")
        for x in (service.folder / name).iterdir()
        if x.is_file() and not x.name.startswith(".")
    )


def used(service: lab.Service) -> int:
    with sqlite3.connect(service.folder / "glance.sqlite") as database:
        [(found,)] = database.execute("select sum(bytes) from project_usage").fetchall()
    return int(found)


def status(service: lab.Service, image_id: str) -> str:
    with sqlite3.connect(service.folder / "glance.sqlite") as database:
        [(found,)] = database.execute("select status from images where id = ?", (image_id,)).fetchall()
    return str(found)


def uploaded(client: Client, **fields: object) -> str:
    image_id = str(client.create(**fields)["id"])
    assert client.upload(image_id, DATA).status_code == 204
    return image_id


def restore(jobs: Jobs, image_id: str) -> subprocess.CompletedProcess[str]:
    return jobs.command("glance-scrubber", "--restore", image_id, "--json")


@pytest.mark.parametrize("was", ["active", "deactivated"])
def test_deleted_and_restored(service: lab.Service, jobs: Jobs, client: Client, was: str) -> None:
    image_id = uploaded(client, name="x", tags=["a"], key="value", visibility="shared")
    copied(client, image_id, "cheap")
    assert client.call("POST", f"/v2/images/{image_id}/members", {"member": "friends"}).status_code == 200
    if was == "deactivated":
        assert client.call("POST", f"/v2/images/{image_id}/actions/deactivate").status_code == 204
    before = client.show(image_id)
    assert client.delete(image_id).status_code == 204
    assert status(service, image_id) == "pending_delete"
    for answer in (
        client.call("GET", f"/v2/images/{image_id}"),
        client.download(image_id),
        client.delete(image_id),
        client.patch(image_id, {"op": "replace", "path": "/name", "value": "y"}),
    ):
        assert answer.status_code == 404
    assert image_id not in client.call("GET", "/v2/images").text
    assert client.call("POST", "/v2/images", {"id": image_id}).status_code == 409
    assert files(service) == sorted([image_id, f"{image_id}.2"]), "the bytes are there"
    assert used(service) == 2 * len(DATA)
    assert kinds(jobs.run("reaper")) == [], "its time is not over"

    done = restore(jobs, image_id)
    assert (done.returncode, json.loads(done.stdout)["status"]) == (0, was)
    after = client.show(image_id)
    assert {**after, "updated_at": ""} == {**before, "updated_at": ""}
    assert client.download(image_id).content == DATA
    assert len(client.call("GET", f"/v2/images/{image_id}/members").json()["members"]) == 1


@pytest.mark.parametrize("command", ["reaper", "scrubber"])
def test_deleted_and_scrubbed(service: lab.Service, jobs: Jobs, client: Client, command: str) -> None:
    image_id, kept = uploaded(client), uploaded(client)
    copied(client, image_id, "cheap")
    assert client.delete(image_id).status_code == 204

    def scrub(*more: str) -> dict[str, Any]:
        if command == "reaper":
            return jobs.run("reaper", *more, env=AT_ONCE)
        return dict(json.loads(jobs.command("glance-scrubber", "--json", *more, env=AT_ONCE).stdout))

    assert kinds(scrub("--dry-run")) == ["scrubbable"]
    assert status(service, image_id) == "pending_delete"
    report = scrub()
    assert (kinds(report), report["errors"]) == (["scrubbed"], [])
    assert files(service) == [kept], "the bytes are gone"
    assert used(service) == len(DATA)
    gone = restore(jobs, image_id)
    assert gone.returncode == 1
    assert image_id in gone.stderr
    assert client.download(kept).content == DATA


def test_an_image_without_data_is_deleted_at_once(service: lab.Service, jobs: Jobs, client: Client) -> None:
    image_id = str(client.create()["id"])
    assert client.delete(image_id).status_code == 204
    assert restore(jobs, image_id).returncode == 1


def test_only_a_deleted_image_is_restored(jobs: Jobs, client: Client) -> None:
    image_id = uploaded(client)
    done = restore(jobs, image_id)
    assert done.returncode == 1
    assert "is active" in done.stderr
    assert restore(jobs, str(uuid.uuid4())).returncode == 1


def test_a_protected_image_is_not_deleted(client: Client) -> None:
    image_id = uploaded(client, protected=True)
    assert client.delete(image_id).status_code == 403
    assert client.patch(image_id, {"op": "replace", "path": "/protected", "value": False}).status_code == 200


@pytest.mark.parametrize("then", ["restored", "scrubbed"])
def test_deleted_while_it_is_copied(service: lab.Service, jobs: Jobs, client: Client, then: str) -> None:
    """The copy is finished as if nothing were, and shares the image's fate."""
    image_id, size = str(client.create()["id"]), 200 << 20
    assert client.upload(image_id, (bytes(1 << 20) for _ in range(200))).status_code == 204
    body = {"method": {"name": "copy-image"}, "stores": ["cheap"]}
    assert client.call("POST", f"/v2/images/{image_id}/import", body).status_code == 202
    assert client.delete(image_id).status_code == 204
    if then == "restored":
        assert restore(jobs, image_id).returncode == 0
        end = time.monotonic() + 60
        while client.show(image_id).get("stores") != "fast,cheap":
            assert time.monotonic() < end, client.call("GET", f"/v2/images/{image_id}/tasks").text
            time.sleep(0.2)
        assert used(service) == 2 * size
    else:
        jobs.run("reaper", env=AT_ONCE)
    end = time.monotonic() + 60
    while rows(service, "select image_id from leases") or (then == "scrubbed" and files(service)):
        assert time.monotonic() < end, rows(service, "select * from leases")
        time.sleep(0.2)


def rows(service: lab.Service, statement: str) -> list[tuple[Any, ...]]:
    with sqlite3.connect(service.folder / "glance.sqlite") as database:
        return database.execute(statement).fetchall()


@pytest.mark.parametrize("step", ["delete.after_intent", "delete.after_bytes", "delete.before_row"])
def test_killed_while_it_scrubs(service: lab.Service, jobs: Jobs, client: Client, step: str) -> None:
    image_id = uploaded(client)
    assert client.delete(image_id).status_code == 204
    killed = jobs.free("glance-scrubber", env={**AT_ONCE, VARIABLE: step})
    assert killed.returncode == -signal.SIGKILL
    end = time.monotonic() + 30
    while files(service) or used(service):  # the service's own reaper finishes it
        assert time.monotonic() < end
        time.sleep(0.2)


def test_the_scrubbers_daemon(service: lab.Service, client: Client) -> None:
    image_id = uploaded(client)
    env = {**os.environ, **AT_ONCE, "OS_DEFAULT__WAKEUP_TIME": "1"}
    daemon = subprocess.Popen(
        [lab.BIN / "glance-scrubber", "--config-file", service.config_file, "--daemon"],
        env=env,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        assert client.delete(image_id).status_code == 204
        end = time.monotonic() + 30
        while files(service):
            assert time.monotonic() < end
            time.sleep(0.2)
        daemon.terminate()
        assert daemon.wait(20) == 0
    finally:
        daemon.kill()
        daemon.wait()


# -- orphans ---------------------------------------------------------------------------------------
def age(path: Path) -> None:
    old = time.time() - 3600
    os.utime(path, (old, old))


def test_orphans_are_reported_and_removed_only_when_told(service: lab.Service, jobs: Jobs, client: Client) -> None:
    image_id = uploaded(client)
    copied(client, image_id, "cheap")
    deleted = uploaded(client)
    assert client.delete(deleted).status_code == 204  # it may be wanted back
    fast = service.folder / "fast"
    orphan, attempt, young = str(uuid.uuid4()), f"{image_id}.9", str(uuid.uuid4())
    for name in (orphan, attempt, young, "somebody-elses.iso"):
        (fast / name).write_bytes(b"12345")
    for path in fast.iterdir():
        if path.is_file() and path.name != young:
            age(path)
    young_until = {"OS_PERIODIC_ORPHANS__GRACE": "600"}
    expected = sorted([f"fast/{orphan}", f"fast/{attempt}"])
    for more in (("--dry-run",), ()):
        report = jobs.run("orphans", *more, env=young_until)
        assert sorted(x["subject"] for x in report["findings"]) == expected
        assert (report["counts"]["orphan"], report["counts"]["orphan bytes"], report["counts"]["foreign"]) == (2, 10, 1)
    told = {**young_until, "OS_PERIODIC_ORPHANS__DELETE": "true"}
    assert sorted(x["subject"] for x in jobs.run("orphans", "--dry-run", env=told)["findings"]) == expected
    assert set(files(service)) >= {orphan, attempt}
    report = jobs.run("orphans", env=told)
    assert (report["counts"]["deleted"], report["errors"]) == (2, [])
    assert files(service) == sorted([image_id, f"{image_id}.2", deleted, young, "somebody-elses.iso"])
    assert client.download(image_id).content == DATA
    assert restore(jobs, deleted).returncode == 0
    assert client.download(deleted).content == DATA
    for name in (young, "somebody-elses.iso"):
        (fast / name).unlink()


def test_what_is_being_written_is_no_orphan(service: lab.Service, jobs: Jobs, client: Client) -> None:
    """Not even when it is older than the grace: a lease names it."""
    image_id = str(client.create()["id"])
    seen: list[dict[str, Any]] = []

    def source() -> Iterator[bytes]:
        yield DATA
        time.sleep(1)
        seen.append(jobs.run("orphans", env={"OS_PERIODIC_ORPHANS__DELETE": "true", "OS_PERIODIC_ORPHANS__GRACE": "0"}))
        yield DATA

    assert client.upload(image_id, source()).status_code == 204
    assert seen[0]["findings"] == []
    assert client.download(image_id).content == DATA + DATA


def test_staged_leftovers(service: lab.Service, jobs: Jobs, client: Client) -> None:
    image_id = str(client.create()["id"])
    answer = client.session.put(
        f"{client.url}/v2/images/{image_id}/stage", data=DATA, headers={"Content-Type": "application/octet-stream"}
    )
    assert answer.status_code == 204
    staging = service.folder / "fast" / ".staging"
    left = staging / f"{uuid.uuid4()}.0123456789abcdef"
    left.write_bytes(b"left")
    for path in staging.iterdir():
        if path.is_file():
            age(path)
    assert kinds(jobs.run("orphans", "--dry-run")) == ["leftover"]
    assert left.exists()
    assert kinds(jobs.run("orphans")) == ["leftover"]
    assert not left.exists()
    assert (
        client.call("POST", f"/v2/images/{image_id}/import", {"method": {"name": "glance-direct"}}).status_code == 202
    )
    end = time.monotonic() + 30
    while client.show(image_id)["status"] != "active":
        assert time.monotonic() < end
        time.sleep(0.1)
    assert client.download(image_id).content == DATA


def test_a_dead_uploader_is_taken_over(
    service: lab.Service, jobs: Jobs, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By the job, when no service is there to do it."""
    service.stop()
    monkeypatch.setenv(VARIABLE, "upload.before_finish")
    service.start()
    image_id = str(client.create()["id"])
    with pytest.raises(requests.ConnectionError):
        client.upload(image_id, DATA)
    service.stop(signal.SIGKILL)
    assert files(service) == [image_id]
    monkeypatch.delenv(VARIABLE)
    end = time.monotonic() + 30
    while not jobs.run("reaper")["counts"]["taken over"]:
        assert time.monotonic() < end
    assert files(service) == []
    assert status(service, image_id) == "queued"
    service.start()
