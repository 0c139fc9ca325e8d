"""The drill: a backup while the service works, work after it, and back: what came later is found, and nothing of it is
deleted. On each database."""

from __future__ import annotations

import json
import os
import shutil
import stat
import subprocess
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import lab
import pytest
from client import HEADERS_AUTH, Client
from periodic import ALONE, Jobs
from waiting import until

DATA = {x: f"{x} ".encode() * 5000 for x in ("kept", "deleted", "later", "flying", "new", "staged", "again")}


@dataclass
class Copier:
    """Makes a backup and brings it back, as docs/backup.md says."""

    service: lab.Service
    kind: str
    file: Path

    def _tool(self, *words: str, **files: object) -> None:
        url = urlsplit(str(self.service.config["database"]["connection"]))
        where = [
            "-h",
            str(url.hostname),
            "-P" if self.kind == "mariadb" else "-p",
            str(url.port),
            "-u" if self.kind == "mariadb" else "-U",
            str(url.username),
        ]
        secret = {"MYSQL_PWD" if self.kind == "mariadb" else "PGPASSWORD": str(url.password)}
        name, *rest = words
        subprocess.run(
            [name, *(["--no-defaults"] if self.kind == "mariadb" else []), *where, *rest],
            check=True,
            env={**os.environ, **secret},
            **files,
        )  # type: ignore[call-overload]

    @property
    def _database(self) -> str:
        return urlsplit(str(self.service.config["database"]["connection"])).path.strip("/")

    def backup(self) -> None:
        if self.kind == "sqlite":
            self.service.manage("db", "backup", str(self.file))
        elif self.kind == "mariadb":
            self._tool("mariadb-dump", "--single-transaction", "--result-file", str(self.file), self._database)
        else:
            self._tool("pg_dump", "--format=custom", "--file", str(self.file), self._database)

    def bring_back(self) -> None:
        if self.kind == "sqlite":
            database = self.service.folder / "glance.sqlite"
            for each in self.service.folder.glob("glance.sqlite*"):
                each.unlink()
            shutil.copy(self.file, database)
        elif self.kind == "mariadb":
            self._tool(
                "mariadb",
                "-e",
                f"drop database {self._database}; create database {self._database} character set utf8mb4",
            )
            with self.file.open("rb") as dump:
                self._tool("mariadb", self._database, stdin=dump)
        else:
            self._tool("psql", "-d", "postgres", "-qc", f"drop database {self._database} with (force)")
            self._tool("psql", "-d", "postgres", "-qc", f"create database {self._database}")
            self._tool("pg_restore", "--dbname", self._database, str(self.file))


@pytest.fixture(params=["sqlite", "mariadb", "postgresql"])
def copier(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Copier]:
    if request.param == "mariadb":
        lab.need("mariadb-client")
    config = lab.merged(
        HEADERS_AUTH,
        ALONE,
        {
            "DEFAULT": {"node_staging_uri": f"file://{tmp_path}/staging", "enabled_import_methods": "glance-direct"},
            "periodic_orphans": {"grace": 0},
            "periodic_auditor": {"bytes_per_second": 0},
        },
    )
    if request.param == "sqlite":
        with lab.service(config, folder=tmp_path) as made:
            yield Copier(made, request.param, tmp_path / "backup")
        return
    with lab.new_database(request.param) as database, lab.service(config, database=database, folder=tmp_path) as made:
        yield Copier(made, request.param, tmp_path / "backup")


def stored(folder: Path) -> dict[str, bytes]:
    """What lies in the stores, staging included, by its path."""
    return {
        str(x.relative_to(folder)): x.read_bytes()
        for name in ("images", "staging")
        for x in (folder / name).rglob("*")
        if x.is_file() and not any(part.startswith(".") for part in x.relative_to(folder).parts)
    }


def test_the_drill(copier: Copier) -> None:
    service, client = copier.service, Client(copier.service.url, roles="admin,member,reader")
    images = {x: str(client.create(name=x)["id"]) for x in ("kept", "deleted", "later", "flying")}
    for name in ("kept", "deleted"):
        assert client.upload(images[name], DATA[name]).status_code == 204
    # an upload is under way while the backup is made, and ends well
    half, goes_on = threading.Event(), threading.Event()

    def pieces() -> Iterator[bytes]:
        yield DATA["flying"][:1000]
        half.set()
        assert goes_on.wait(120)
        yield DATA["flying"][1000:]

    answers: list[int] = []
    upload = threading.Thread(
        target=lambda: answers.append(
            Client(service.url, roles="admin,member,reader").upload(images["flying"], pieces()).status_code
        )
    )
    upload.start()
    assert half.wait(60)
    until(lambda: client.show(images["flying"])["status"] == "saving")
    copier.backup()
    goes_on.set()
    upload.join(60)
    assert answers == [204]
    # work goes on
    assert client.upload(images["later"], DATA["later"]).status_code == 204
    for name in ("new", "staged"):
        images[name] = str(client.create(name=name)["id"])
    assert client.upload(images["new"], DATA["new"]).status_code == 204
    answer = client.session.put(
        f"{service.url}/v2/images/{images['staged']}/stage",
        data=DATA["staged"],
        timeout=60,
        headers={"Content-Type": "application/octet-stream"},
    )
    assert answer.status_code == 204
    assert client.delete(images["deleted"]).status_code == 204
    before = stored(service.folder)
    assert sorted(before.values()) == sorted(DATA[x] for x in ("kept", "later", "flying", "new", "staged"))
    service.stop()
    # back
    copier.bring_back()
    told = json.loads(service.manage("--json", "db", "restored"))
    assert told == {"operations": 1, "images": 2}, "the upload that was under way; it and the image without data"
    service.start()
    client = Client(service.url, roles="admin,member,reader")
    until(lambda: client.show(images["flying"])["status"] == "queued")
    assert {x["name"]: x["status"] for x in client.call("GET", "/v2/images").json()["images"]} == {
        "kept": "active",
        "deleted": "active",
        "later": "queued",
        "flying": "queued",
    }
    jobs = Jobs(service)
    for _ in range(2):
        findings = jobs.run("orphans")["findings"]
        assert sorted(x["kind"] for x in findings) == ["leftover", "orphan", "orphan", "orphan"], findings
        assert all("is left where it is" in str(x) for x in findings)
        assert {y for x in findings for y, image_id in images.items() if image_id in str(x)} == {
            "later",
            "flying",
            "new",
            "staged",
        }
    audited = jobs.run("auditor")["findings"]
    assert {(x["kind"], y) for x in audited for y, image_id in images.items() if image_id in str(x)} == {
        ("missing", "deleted"),
        ("lost", "deleted"),
    }
    assert client.download(images["kept"]).content == DATA["kept"]
    assert client.download(images["deleted"]).status_code >= 400
    # new data of an image goes beside what it had got after the backup
    assert client.upload(images["later"], DATA["again"]).status_code == 204
    assert client.download(images["later"]).content == DATA["again"]
    after = stored(service.folder)
    assert before.items() <= after.items(), "nothing newer than the backup is gone or another"
    assert len(after) == len(before) + 1


def test_a_backup_of_sqlite_is_whole_private_and_in_nobodys_way(tmp_path: Path) -> None:
    with lab.service(HEADERS_AUTH, folder=tmp_path) as service:
        client, file, ended = Client(service.url), tmp_path / "backup", threading.Event()
        made: list[str] = []

        def work() -> None:
            own = Client(service.url)
            while not ended.is_set():
                made.append(str(own.create()["id"]))

        worker = threading.Thread(target=work)
        worker.start()
        try:
            until(lambda: len(made) > 20)
            known = set(made)
            told = json.loads(service.manage("--json", "db", "backup", str(file)))
            count = len(made)
            until(lambda: len(made) > count + 5)
        finally:
            ended.set()
            worker.join()
        assert told == {"file": str(file), "bytes": file.stat().st_size}
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
        assert sorted(x.name for x in tmp_path.glob("*backup*")) == ["backup"], "nothing beside it"
        content = file.read_bytes()
        for there in (file, tmp_path / "images"):
            done = lab.command("glance-manage", "--config-file", service.config_file, "db", "backup", str(there))
            assert (done.returncode, "is there already, and is left as it is" in done.stderr) == (1, True), done.stderr
        done = lab.command(
            "glance-manage", "--config-file", service.config_file, "db", "backup", str(tmp_path / "nowhere" / "x")
        )
        assert (done.returncode, "FILE: nothing can be written to" in done.stderr) == (1, True), done.stderr
        assert file.read_bytes() == content
        del client
    other = tmp_path / "other"
    other.mkdir()
    shutil.copy(file, other / "glance.sqlite")
    with lab.service(HEADERS_AUTH, folder=other) as service:
        found = {x["id"] for x in Client(service.url).call("GET", "/v2/images?limit=1000").json()["images"]}
        assert known <= found
