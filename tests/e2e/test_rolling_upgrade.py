"""Nodes of two releases, each with a schema of its own, on one database and under load: no request fails, on each
database. And the way back."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import lab
import pytest
import requests
from client import HEADERS_AUTH, Client
from glancecore_db_sql.schema import REVISIONS
from waiting import until

RUN = Path(__file__).parent / "next_release" / "run.py"
#: Of requests, on each node, between two steps of the upgrade.
SOME = 6


class Load:
    """Somebody who works on a node; what did not succeed is kept."""

    def __init__(self, url: str) -> None:
        self.client = Client(url, roles="admin,member,reader")
        self.done, self.wrong = 0, list[str]()
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._work)

    def __enter__(self) -> Load:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join(120)

    def _work(self) -> None:
        while not self._ended.wait(0.05):  # the commands of the upgrade run on the same processors
            try:
                self._one()
            except (AssertionError, requests.RequestException) as exc:
                self.wrong.append(f"{type(exc).__name__}: {exc}")

    def _one(self) -> None:
        image_id = str(self.client.create(name="rolling", tags=["a"])["id"])
        assert self.client.upload(image_id, b"data" * 1000).status_code == 204
        assert self.client.patch(image_id, {"op": "add", "path": "/p", "value": "v"}).status_code == 200
        assert self.client.show(image_id)["status"] == "active"
        assert self.client.call("GET", "/v2/images?name=rolling&tag=a").status_code == 200
        assert self.client.download(image_id).content == b"data" * 1000
        assert self.client.call("GET", "/healthcheck/ready").status_code == 200
        assert self.client.delete(image_id).status_code == 204
        self.done += 1


class Upgrade:
    """``service`` is a node of this release; the next one is run by the same configuration, on another port."""

    def __init__(self, service: lab.Service) -> None:
        self.service, self.port = service, lab.free_port()
        self.file = service.folder / "next.conf"
        self.file.write_text(lab.config_text(lab.merged(service.config, {"DEFAULT": {"bind_port": self.port}})))

    def run(self, program: str, *words: str) -> subprocess.CompletedProcess[str]:
        """A command of the next release."""
        return subprocess.run(
            [sys.executable, RUN, program, "--config-file", self.file, *words],
            capture_output=True,
            text=True,
            check=False,
        )

    def manage(self, *words: str) -> str:
        done = self.run("manage", *words)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def told(self, *, newer: bool) -> tuple[int, str]:
        """What glance-status says of the schema."""
        done = (
            self.run("status", "--json", "upgrade", "check")
            if newer
            else lab.command("glance-status", "--config-file", self.service.config_file, "--json", "upgrade", "check")
        )
        return done.returncode, str(json.loads(done.stdout)[0]["details"])

    @contextmanager
    def node(self) -> Iterator[str]:
        log = self.service.folder / "next.log"
        with log.open("ab") as out:
            process = subprocess.Popen(
                [sys.executable, RUN, "api", "--config-file", self.file],
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
                env={x: y for x, y in os.environ.items() if x != "PROMETHEUS_MULTIPROC_DIR"},
            )
        try:
            assert lab.answers(self.port, 90, process), log.read_text()[-3000:]
            yield f"http://127.0.0.1:{self.port}"
        finally:
            process.terminate()
            process.wait(60)


@pytest.fixture(params=["sqlite", "mariadb", "postgresql"])
def upgrade(request: pytest.FixtureRequest) -> Iterator[Upgrade]:
    config = lab.merged(HEADERS_AUTH, {"DEFAULT": {"enabled_import_methods": ""}, "periodic": {"embedded": False}})
    with ExitStack() as stack:
        database = "" if request.param == "sqlite" else stack.enter_context(lab.new_database(request.param))
        yield Upgrade(stack.enter_context(lab.service(config, database=database)))


def go_on(*loads: Load) -> None:
    """Each gets on with its work, and nothing has failed."""
    before = [x.done for x in loads]
    until(
        lambda: any(x.wrong for x in loads) or all(x.done >= y + SOME for x, y in zip(loads, before, strict=True)),
        lambda: str([(x.done, x.wrong) for x in loads]),
        300,
    )
    assert [x.wrong for x in loads] == [[]] * len(loads)


def test_no_request_fails(upgrade: Upgrade) -> None:
    service, head = upgrade.service, REVISIONS[-1]
    assert upgrade.told(newer=False) == (0, f"at {head}")
    code, said = upgrade.told(newer=True)
    assert (code, "run glance-manage db expand; nodes of the release before may serve meanwhile" in said) == (1, True)
    done = upgrade.run("manage", "db", "contract")
    assert (done.returncode, "run glance-manage db expand" in done.stderr) == (1, True)
    with Load(service.url) as old, ExitStack() as stack:
        go_on(old)
        # a node of the next release, before anything is done to the schema
        new = stack.enter_context(Load(stack.enter_context(upgrade.node())))
        go_on(old, new)
        assert upgrade.run("manage", "db", "check").returncode == 3
        assert f"schema {head} -> 9001" in upgrade.manage("db", "expand")
        go_on(old, new)
        assert "schema 9001 -> 9001" in upgrade.manage("db", "expand"), "again without harm"
        assert upgrade.run("manage", "db", "check").returncode == 5
        code, said = upgrade.told(newer=True)
        assert (code, "when all nodes are of this release, run glance-manage db contract" in said) == (1, True)
        # the release before knows where it is, and touches nothing
        code, said = upgrade.told(newer=False)
        assert (code, "it is of the next release, and this one serves on it" in said) == (1, True)
        for words in (("db", "sync"), ("db", "expand")):
            done = lab.command("glance-manage", "--config-file", service.config_file, *words)
            assert (done.returncode, "of a newer release" in done.stderr) == (1, True), done.stderr
        assert lab.command("glance-manage", "--config-file", service.config_file, "db", "check").returncode == 0
        go_on(old, new)
    # the way back, while it is open: the node of the next release is gone, and one of the release before starts
    service.stop()
    service.start()
    with Load(service.url) as old:
        go_on(old)
    service.stop()
    with upgrade.node() as url, Load(url) as new:
        go_on(new)
        assert "The schema is at 9002; nodes of the release before do not start any more." in upgrade.manage(
            "db", "contract"
        )
        go_on(new)
        assert upgrade.run("manage", "db", "check").returncode == 0
        assert upgrade.told(newer=True) == (0, "at 9002")
        upgrade.manage("db", "contract")
    with pytest.raises(RuntimeError, match="9002, which this version does not know"):
        service.start()
