"""glance-periodic: one leader of all processes, and another when it is gone."""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import re
import signal
import sqlite3
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import lab
import pytest
from stores import frozen
from waiting import until

TTL = 2.0
_TOLD = re.compile(r"^(\S+ \S+) .*\] (leading|no longer leading) the periodic jobs", re.MULTILINE)


def _coordinator(name: str) -> str:
    if name == "file":
        return ""
    url = lab.backend(name).url
    if name == "etcd":
        return url.replace("etcd://", "etcd3+http://")
    return url.replace("mysql+pymysql://", "mysql://").replace("postgresql+psycopg://", "postgresql://")


@dataclass
class Node:
    """One glance-periodic, as on a machine of its own: with its own folder for the candidates' lock."""

    process: lab.Process
    log: Path
    killed: datetime | None = None

    def leads(self) -> bool:
        told = _TOLD.findall(self.log.read_text())
        return bool(told) and told[-1][1] == "leading"

    def reigns(self) -> list[tuple[datetime, datetime]]:
        """From when to when it led."""
        found, since = [], None
        for at, what in _TOLD.findall(self.log.read_text()):
            when = datetime.strptime(at, "%Y-%m-%d %H:%M:%S.%f")
            if what == "leading":
                since = when
            elif since is not None:
                found.append((since, when))
                since = None
        return [*found, (since, self.killed or datetime.now())] if since else found

    def kill(self, how: signal.Signals = signal.SIGKILL) -> None:
        self.killed = datetime.now()
        self.process.send_signal(how)
        if how is not signal.SIGSTOP:
            self.process.wait(20)


@dataclass
class Cloud:
    service: lab.Service
    nodes: list[Node] = field(default_factory=list)

    def start(self) -> Node:
        number = len(self.nodes)
        log = self.service.folder / f"periodic-{number}.log"
        env = dict(os.environ)
        if self.service.config["periodic"].get("coordination_url"):
            env["OS_PERIODIC__LOCK_PATH"] = str(self.service.folder / f"node-{number}")
        with log.open("ab") as out:
            process = lab.launch(
                "glance-periodic", "--config-file", self.service.config_file, cwd=self.service.folder, env=env, log=out
            )
        self.nodes.append(Node(process, log))
        return self.nodes[-1]

    def run(self, *args: str) -> subprocess.CompletedProcess[str]:
        return lab.command("glance-periodic", "--config-file", self.service.config_file, *args)

    def leader(self) -> Node:
        until(
            lambda: any(x.leads() and x.killed is None for x in self.nodes),
            "nobody leads: " + "".join(x.log.read_text()[-2000:] for x in self.nodes),
        )
        [found] = [x for x in self.nodes if x.leads() and x.killed is None]
        return found

    def never_two(self) -> None:
        reigns = sorted(y for x in self.nodes for y in x.reigns())
        for (_, ended), (began, _) in itertools.pairwise(reigns):
            assert ended <= began + timedelta(milliseconds=1), reigns


@pytest.fixture
def coordinator(request: pytest.FixtureRequest) -> str:
    return _coordinator(getattr(request, "param", "file"))


@pytest.fixture
def cloud(coordinator: str) -> Iterator[Cloud]:
    periodic = {"leader_ttl": TTL, "embedded": False, **({"coordination_url": coordinator} if coordinator else {})}
    with lab.service({"periodic": periodic, "periodic_reaper": {"interval": 1}}, start=False) as service:
        made = Cloud(service)
        yield made
        for node in made.nodes:
            if node.process.poll() is None:
                node.process.kill()
                node.process.wait()


@pytest.mark.parametrize("coordinator", ["file", "redis", "etcd", "zookeeper", "mariadb", "postgresql"], indirect=True)
def test_one_leads_and_another_takes_over_when_it_is_killed(cloud: Cloud) -> None:
    for _ in range(3):
        cloud.start()
    first = cloud.leader()
    time.sleep(2 * TTL)
    assert cloud.leader() is first, "it goes on leading"
    first.kill()
    second = cloud.leader()
    second.kill(signal.SIGTERM)
    third = cloud.leader()
    cloud.start()
    time.sleep(TTL)
    assert cloud.leader() is third
    cloud.never_two()
    listed = json.loads(cloud.run("list", "--json").stdout)
    assert f":{third.process.pid}:" in listed["leader"]
    [reaper] = [x for x in listed["jobs"] if x["job"] == "reaper"]
    assert reaper["outcome"] == "done"


@pytest.mark.parametrize("coordinator", ["file", "redis"], indirect=True)
def test_a_leader_that_hangs_leads_no_more_when_it_wakes(cloud: Cloud) -> None:
    """It believes to lead while it sleeps; the other's time begins when its own is over."""
    first = cloud.start()
    cloud.leader()
    second = cloud.start()
    until(lambda: "ready as" in second.log.read_text())
    _stop_outside_of_a_transaction(cloud, first)
    slept = datetime.now()
    try:
        if cloud.service.config["periodic"].get("coordination_url"):  # a file lock is the sleeper's until it dies
            until(second.leads, "the second does not lead")
    finally:
        time.sleep(TTL)
        lab.thaw(first.process.pid)
    time.sleep(TTL)
    cloud.leader()
    for began, ended in second.reigns():
        for since, until_then in first.reigns():
            assert until_then <= began or since >= ended or since <= slept <= began


def _stop_outside_of_a_transaction(cloud: Cloud, node: Node) -> None:
    """One that stops in a transaction keeps SQLite locked for everybody, as no other machine could."""
    while True:
        lab.freeze(node.process.pid)
        try:
            with contextlib.closing(sqlite3.connect(cloud.service.folder / "glance.sqlite", timeout=0.2)) as database:
                database.execute("BEGIN IMMEDIATE")
                database.rollback()
        except sqlite3.OperationalError:
            lab.thaw(node.process.pid)
            time.sleep(0.1)
        else:
            return


@pytest.mark.parametrize("coordinator", ["redis"], indirect=True)
def test_the_coordinator_goes_away(cloud: Cloud) -> None:
    """Who led leads no more, the jobs stop; when it is back, one of them leads again."""
    cloud.start()
    cloud.start()
    first = cloud.leader()
    with frozen("redis/*.pid"):
        until(lambda: not first.leads(), "it still leads")
        time.sleep(2 * TTL)
        assert not any(x.leads() for x in cloud.nodes)
    cloud.leader()
    cloud.never_two()


def test_one_shot(cloud: Cloud) -> None:
    done = cloud.run("run", "reaper")
    assert (done.returncode, done.stdout.splitlines()[0].split(" in ")[0]) == (0, "reaper: done")
    dry: dict[str, Any] = json.loads(cloud.run("run", "reaper", "--dry-run", "--json").stdout)
    assert (dry["dry_run"], dry["outcome"]) == (True, "done")
    kept = json.loads(cloud.run("report", "reaper", "--json").stdout)
    assert not kept["dry_run"]
    unknown = cloud.run("run", "reeper")
    assert unknown.returncode == 1
    assert "Did you mean 'reaper'" in unknown.stderr
    assert unknown.stderr.count("\n") == 1


def test_glance_api_runs_the_jobs_in_one_of_its_workers() -> None:
    config = {"DEFAULT": {"workers": 3}, "periodic": {"leader_ttl": TTL}, "periodic_reaper": {"interval": 1}}
    with lab.service(config) as service:
        cloud = Cloud(service)
        until(lambda: json.loads(cloud.run("list", "--json").stdout)["leader"], service.tail())
        leader = int(json.loads(cloud.run("list", "--json").stdout)["leader"].split(":")[1])
        os.kill(leader, signal.SIGKILL)
        until(
            lambda: f":{leader}:" not in (json.loads(cloud.run("list", "--json").stdout)["leader"] or f":{leader}:"),
            service.tail(),
        )
        log = service.log.read_text()
        assert len(re.findall(r"\] leading the periodic jobs as", log)) == 2
