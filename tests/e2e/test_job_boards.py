"""Imports by glance-worker processes on each of TaskFlow's job boards: redis, etcd, zookeeper. Workers are killed with
-9 at every named step, and at random: every import arrives, and nothing is left in staging, stores, tables or on the
board."""

from __future__ import annotations

import contextlib
import hashlib
import os
import signal
import sqlite3
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import lab
import pytest
from client import BROKEN_OFF, HEADERS_AUTH, Client
from importing import stage, start, tasks, two_stores
from killed_imports import PLAIN, files, until_settled

from glancecore.features.imports.dispatch.board import Board
from glancecore.sdk.checkpoints import FAIL_STEPS, POST_STEPS, SLEEP_VARIABLE, VARIABLE

DATA = os.urandom(2_500_000)
#: Seconds after which a dead worker's claim and lease are free.
TTL = 2


@dataclass
class Cloud:
    """An API, a board, and as many workers as a test starts."""

    service: lab.Service
    board: str
    name: str
    workers: list[lab.Process]

    def worker(self, **at: str) -> lab.Process:
        """``kill_at``, ``sleep_at``: the step at which it dies, or falls asleep."""
        env = {
            **os.environ,
            **{{"kill_at": VARIABLE, "sleep_at": SLEEP_VARIABLE}[how]: step for how, step in at.items()},
        }
        with (self.service.folder / "glance-worker.log").open("ab") as log:
            process = lab.launch(
                "glance-worker", "--config-file", self.service.config_file, cwd=self.service.folder, env=env, log=log
            )
        self.workers.append(process)
        return process

    def writable(self) -> bool:
        """Nobody holds the lock of its database."""
        with contextlib.closing(
            sqlite3.connect(self.service.folder / "glance.sqlite", timeout=0.5, isolation_level=None)
        ) as connection:
            try:
                connection.execute("BEGIN IMMEDIATE")
            except sqlite3.OperationalError:
                return False
            return True

    def jobs(self) -> list[str]:
        board = Board(self.board, self.name, TTL)
        try:
            return [x.name for x in board._board().iterjobs(ensure_fresh=True)]
        finally:
            board.close()


BOARDS = ("redis", "etcd", "zookeeper")


@pytest.fixture(scope="module", params=BOARDS)
def cloud(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cloud]:
    folder = tmp_path_factory.mktemp("stores")
    url, name = lab.backend(request.param).url, f"test-{uuid.uuid4().hex[:8]}"
    (Path(lab.nginx().settings["NGINX_ROOT"]) / "board.raw").write_bytes(DATA)
    config = lab.merged(
        HEADERS_AUTH,
        two_stores(folder),
        {
            "lease": {"ttl": TTL, "reap_interval": 0.2},
            # more takeovers than a test kills workers: each may hit the one that has just taken over
            "imports": {"retry_pause": 0.1, "attempts": 2, "max_takeovers": 10},
            "jobboard": {"url": url, "name": name, "claim_ttl": TTL},
            "import_filtering_opts": {"allowed_ports": "[]", "trusted_networks": "[127.0.0.1]"},
        },
    )
    with lab.service(config, folder=folder) as service:
        yield Cloud(service, url, name, [])


@pytest.fixture(autouse=True)
def no_workers_left(cloud: Cloud) -> Iterator[None]:
    yield
    for worker in cloud.workers:
        worker.kill()
        worker.wait()
    cloud.workers.clear()


@pytest.fixture
def client(cloud: Cloud) -> Client:
    return Client(cloud.service.url, roles="admin,member,reader")


def begin(client: Client, method: str) -> str:
    image_id = str(client.create(name=method)["id"])
    uri = f"{lab.nginx().url}/board.raw"
    if method == "glance-direct":
        assert stage(client, image_id, DATA).status_code == 204
        assert start(client, image_id, all_stores=True).status_code == 202
    elif method == "copy-image":
        assert client.upload(image_id, DATA).status_code == 204
        assert start(client, image_id, "copy-image", stores=["slow"]).status_code == 202
    else:
        digest = hashlib.sha256(DATA).hexdigest() if method == "web-download" else "0" * 64
        assert (
            start(
                client, image_id, "web-download", method={"uri": uri, "expected": {"sha256": digest}}, all_stores=True
            ).status_code
            == 202
        )
    return image_id


def ended(client: Client, image_id: str, seconds: float = 60) -> dict[str, Any]:
    end = time.monotonic() + seconds
    while (found := tasks(client, image_id)[0])["status"] not in ("success", "failure"):
        assert time.monotonic() < end, found
        time.sleep(0.1)
    return found


def check(client: Client, image_id: str, method: str) -> None:
    task, image = ended(client, image_id), client.show(image_id)
    if method == "failing":
        assert (task["error"], image["status"]) == ("hash_mismatch", "queued")
        return
    assert task["status"] == "success", task
    assert (image["status"], image["stores"]) == ("active", "fast,slow")
    for store in ("fast", "slow"):
        data = client.call("GET", f"/v2/images/{image_id}/file?prefer={store}").content
        assert hashlib.sha512(data).hexdigest() == image["os_hash_value"] == hashlib.sha512(DATA).hexdigest()


def nothing_left(cloud: Cloud, client: Client) -> None:
    until_settled(cloud.service)
    for image in client.call("GET", "/v2/images?limit=1000").json()["images"]:
        assert client.delete(image["id"]).status_code == 204
    until_settled(cloud.service)
    assert files(cloud.service) == []
    end = time.monotonic() + 20
    while left := cloud.jobs():
        assert time.monotonic() < end, left
        time.sleep(0.2)


def test_a_worker_does_what_the_board_has(cloud: Cloud, client: Client) -> None:
    image_ids = [begin(client, x) for x in ("glance-direct", "web-download", "failing")]
    time.sleep(TTL + 1)
    assert {x["status"] for image_id in image_ids for x in tasks(client, image_id)} == {"pending"}, (
        "nobody works before there is a worker"
    )
    assert len(cloud.jobs()) == 3
    cloud.worker()
    for image_id, method in zip(image_ids, ("glance-direct", "web-download", "failing"), strict=True):
        check(client, image_id, method)
    image_id = begin(client, "copy-image")
    check(client, image_id, "copy-image")
    nothing_left(cloud, client)


CASES = [
    *[("web-download", x) for x in PLAIN if x not in ("import.before_intent", "import.after_intent")],
    *[("failing", x) for x in FAIL_STEPS],
]


@pytest.mark.parametrize("each", range(0, len(CASES), len(BOARDS)))
def test_a_worker_killed_at(cloud: Cloud, client: Client, each: int) -> None:
    """Each step on one of the boards: what it leaves behind is in the database and the stores."""
    method, step = CASES[(each + [cloud.board.startswith(x) for x in BOARDS].index(True)) % len(CASES)]
    dying = cloud.worker(kill_at=step)
    image_id = begin(client, method)
    assert dying.wait(30) == -signal.SIGKILL, "the step was passed"
    cloud.worker()
    check(client, image_id, method)
    nothing_left(cloud, client)


def test_a_node_that_has_posted_stops_when_it_is_told_to(cloud: Cloud) -> None:
    """Nothing waits for threads of the board's library."""
    config = lab.merged(
        cloud.service.config, {"DEFAULT": {"bind_port": lab.free_port()}, "server": {"graceful_timeout": 600}}
    )
    file = cloud.service.folder / "other.conf"
    file.write_text(lab.config_text(config))
    port = int(str(config["DEFAULT"]["bind_port"]))
    with (cloud.service.folder / "other.log").open("ab") as log:
        other = lab.launch("glance-api", "--config-file", file, cwd=cloud.service.folder, log=log)
    assert lab.answers(port, 30, other)
    client = Client(f"http://127.0.0.1:{port}", roles="admin,member,reader")
    image_id = begin(client, "web-download")
    lab.end(other, signal.SIGTERM)
    assert other.returncode == 0, "it was killed"
    cloud.worker()
    check(Client(cloud.service.url, roles="admin,member,reader"), image_id, "web-download")


def until_asleep(worker: lab.Process) -> None:
    """Each of its threads: one that has just begun a transaction must be seen in it."""
    end = time.monotonic() + 30
    while not lab.frozen(worker.pid):
        assert worker.poll() is None
        assert time.monotonic() < end, "the step was not passed"
        time.sleep(0.02)


def asleep(cloud: Cloud, client: Client, step: str) -> tuple[lab.Process, str]:
    """A worker that sleeps at the step of an import, and the image."""
    while True:
        worker = cloud.worker(sleep_at=step)
        image_id = begin(client, "web-download")
        until_asleep(worker)
        if cloud.writable():
            return worker, image_id
        worker.kill()  # another thread of it sleeps within a transaction, for which SQLite makes everybody wait
        worker.wait()
        other = cloud.worker()
        check(client, image_id, "web-download")
        other.kill()
        other.wait()


#: Steps of a download at which a worker may fall asleep.
SLEEPS = [x for x in PLAIN if not x.startswith("import.") and x != "finish.recorded"]


@pytest.mark.parametrize("cloud", ["redis"], indirect=True)
@pytest.mark.parametrize(
    ("step", "seen"),
    [
        *[(x, "import.begun") for x in SLEEPS],
        ("fetch.all_pieces", "fetch.first_piece"),
        ("write.first_piece", "finish.begun"),
    ],
)
def test_a_worker_that_wakes_up_when_another_has_taken_over(cloud: Cloud, client: Client, step: str, seen: str) -> None:
    """What it goes on with, and fails at, is not the import's failure, neither for the one that has come to ``seen``
    nor for another."""
    first, image_id = asleep(cloud, client, step)
    second = cloud.worker(sleep_at=seen)
    until_asleep(second)
    first.send_signal(signal.SIGCONT)
    time.sleep(TTL / 2)
    if seen == "import.begun":
        second.send_signal(signal.SIGCONT)
    else:
        second.kill()
        second.wait()
    check(client, image_id, "web-download")
    nothing_left(cloud, client)


@pytest.mark.parametrize("step", POST_STEPS)
def test_an_api_killed_while_it_posts(cloud: Cloud, client: Client, step: str, monkeypatch: pytest.MonkeyPatch) -> None:
    cloud.service.stop(signal.SIGKILL)
    monkeypatch.setenv(VARIABLE, step)
    cloud.service.start()
    image_id = str(client.create(name="x")["id"])
    uri = f"{lab.nginx().url}/board.raw"
    with contextlib.suppress(*BROKEN_OFF):
        start(client, image_id, "web-download", method={"uri": uri}, all_stores=True)
    cloud.service.stop(signal.SIGKILL)
    monkeypatch.delenv(VARIABLE)
    cloud.service.start()
    cloud.worker()
    check(client, image_id, "web-download")
    nothing_left(cloud, client)


def test_a_stopped_worker_hands_over_at_once(cloud: Cloud, client: Client) -> None:
    www = Path(lab.nginx().settings["NGINX_ROOT"])
    (www / "hand.raw").write_bytes(bytes(4 << 20))
    first = cloud.worker()
    image_id = str(client.create()["id"])
    assert (
        start(
            client, image_id, "web-download", method={"uri": f"{lab.nginx().url}/slow/hand.raw"}, all_stores=True
        ).status_code
        == 202
    )
    end = time.monotonic() + 20
    while tasks(client, image_id)[0]["progress"]["bytes"] == 0:
        assert time.monotonic() < end
        time.sleep(0.05)
    first.terminate()
    assert first.wait(20) == 0
    cloud.worker()
    task = ended(client, image_id)
    assert task["status"] == "success", task
    assert client.show(image_id)["status"] == "active"
    nothing_left(cloud, client)


def test_ten_imports_arrive_although_a_worker_dies_every_few_seconds(cloud: Cloud, client: Client) -> None:
    www = Path(lab.nginx().settings["NGINX_ROOT"])
    data = os.urandom(3 << 20)
    (www / "ten.raw").write_bytes(data)
    pair = [cloud.worker(), cloud.worker()]
    image_ids = [str(client.create(name=f"{n}")["id"]) for n in range(10)]
    for image_id in image_ids:
        assert (
            start(
                client, image_id, "web-download", method={"uri": f"{lab.nginx().url}/slow/ten.raw"}, all_stores=True
            ).status_code
            == 202
        )
    killed = 0
    end = time.monotonic() + 180
    while any(tasks(client, x)[0]["status"] not in ("success", "failure") for x in image_ids):
        assert time.monotonic() < end, [tasks(client, x)[0] for x in image_ids]
        time.sleep(3)
        if killed < 6:
            pair[killed % 2].kill()
            pair[killed % 2].wait()
            pair[killed % 2] = cloud.worker()
            killed += 1
    assert killed >= 2
    for image_id in image_ids:
        task = tasks(client, image_id)[0]
        assert task["status"] == "success", task["message"]
        assert client.show(image_id)["os_hash_value"] == hashlib.sha512(data).hexdigest()
    nothing_left(cloud, client)
