"""Declared copies on a running service, and what the updater fills in."""

from __future__ import annotations

import hashlib
import os
import sqlite3
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import lab
import pytest
from client import Client
from periodic import Jobs, config, kinds

DATA = os.urandom(1_500_000)


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[lab.Service]:
    folder = tmp_path_factory.mktemp("copies")
    web = {
        "DEFAULT": {
            "enabled_backends": "fast:file, cheap:file, web:http",
            "do_secure_hash": False,
            "show_multiple_locations": True,
        },
        "web": {"http_store_allowed_hosts": "127.0.0.1"},
    }
    with lab.service(config(folder, web), folder=folder) as made:
        yield made


@pytest.fixture
def client(service: lab.Service) -> Iterator[Client]:
    made = Client(service.url, roles="admin,member,reader,service")
    yield made
    for image in made.call("GET", "/v2/images?limit=1000").json()["images"]:
        assert made.delete(image["id"]).status_code == 204
    made.session.close()


@pytest.fixture
def jobs(service: lab.Service) -> Jobs:
    return Jobs(service)


def uploaded(client: Client, **fields: object) -> str:
    image_id = str(client.create(**fields)["id"])
    assert client.upload(image_id, DATA).status_code == 204
    return image_id


def ruled(rule: str) -> dict[str, str]:
    return {"OS_PERIODIC_REPLICATOR__RULES": rule}


def test_a_rule_by_tag(service: lab.Service, jobs: Jobs, client: Client) -> None:
    golden, plain = uploaded(client, tags=["golden"]), uploaded(client)
    rule = ruled("tag=golden -> 2 stores")
    plan = jobs.run("replicator", "--dry-run", env=rule)
    assert [(x["kind"], x["subject"]) for x in plan["findings"]] == [("planned", golden)]
    assert "to store cheap" in plan["findings"][0]["text"]
    assert client.show(golden)["stores"] == "fast"
    report = jobs.run("replicator", env=rule)
    assert (kinds(report), report["errors"]) == (["copied"], [])
    assert sorted(client.show(golden)["stores"].split(",")) == ["cheap", "fast"]
    assert client.show(plain)["stores"] == "fast"
    assert client.call("GET", f"/v2/images/{golden}/file?prefer=cheap").content == DATA
    assert jobs.run("replicator", env=rule)["findings"] == []
    assert len(list((service.folder / "cheap").glob("[!.]*-*"))) == 1


def test_rules_of_the_configuration_file(service: lab.Service, jobs: Jobs, client: Client) -> None:
    """Several, by property, naming stores; a deactivated image is copied as well."""
    debian, other = uploaded(client, os_distro="debian"), uploaded(client, os_distro="other")
    assert client.call("POST", f"/v2/images/{debian}/actions/deactivate").status_code == 204
    before = service.config_file.read_text()
    service.config_file.write_text(
        before
        + "[periodic_replicator]\nrules = property os_distro=debian -> fast,cheap\n    visibility=public -> cheap\n"
    )
    try:
        report = jobs.run("replicator")
    finally:
        service.config_file.write_text(before)
    assert [x["subject"] for x in report["findings"]] == [debian]
    image = client.show(debian)
    assert (image["status"], sorted(image["stores"].split(","))) == ("deactivated", ["cheap", "fast"])
    assert client.show(other)["stores"] == "fast"


@pytest.mark.parametrize("enforced", [True, False])
def test_what_can_not_be_done(service: lab.Service, jobs: Jobs, client: Client, enforced: bool) -> None:
    image_id = uploaded(client, tags=["x"])
    rule = ruled("tag=x -> 3 stores" + ("" if enforced else " (best effort)"))
    report = jobs.run("replicator", env=rule)
    assert kinds(report) == ["copied", "unmet"]
    assert bool(report["errors"]) is enforced
    assert jobs.command("glance-periodic", "run", "replicator", env=rule).returncode == int(enforced)
    assert sorted(client.show(image_id)["stores"].split(",")) == ["cheap", "fast"]


def test_a_wrong_rule_stops_the_start(jobs: Jobs) -> None:
    done = jobs.command("glance-periodic", "run", "replicator", env=ruled("tag=golden -> slow"))
    assert done.returncode == 1
    assert done.stderr.startswith(
        "error: [periodic_replicator] rules: 'tag=golden -> slow': no store 'slow'; there are: fast, cheap, web"
    )


# -- the updater -----------------------------------------------------------------------------------
def test_missing_hashes_are_filled_in(service: lab.Service, jobs: Jobs, client: Client) -> None:
    image_id = uploaded(client)
    without_hash(service, image_id)
    assert client.show(image_id)["os_hash_value"] is None
    assert "incomplete" not in kinds(jobs.run("updater")), "the operator wants no hashes"
    wanted = {"OS_DEFAULT__DO_SECURE_HASH": "true"}
    assert kinds(jobs.run("updater", "--dry-run", env=wanted)) == ["incomplete"]
    assert client.show(image_id)["os_hash_value"] is None
    report = jobs.run("updater", env=wanted)
    assert (kinds(report), report["errors"]) == (["hashed", "incomplete"], [])
    assert_whole(client.show(image_id))
    assert jobs.run("updater", env=wanted)["findings"] == []


def test_what_others_may_change_is_hashed_whatever_the_operator_wants(
    service: lab.Service, jobs: Jobs, client: Client
) -> None:
    nginx = lab.nginx()
    file = Path(nginx.settings["NGINX_ROOT"], f"updater-{uuid.uuid4().hex}")
    file.write_bytes(DATA)
    image_id = str(client.create()["id"])
    assert (
        client.call("POST", f"/v2/images/{image_id}/locations", {"url": f"{nginx.url}/{file.name}"}).status_code == 202
    )
    end = time.monotonic() + 30
    while not client.show(image_id)["os_hash_value"]:
        assert time.monotonic() < end
        time.sleep(0.05)
    without_hash(service, image_id)
    assert client.download(image_id).status_code == 503
    assert kinds(jobs.run("updater")) == ["hashed", "incomplete"]
    assert_whole(client.show(image_id))
    assert client.download(image_id).content == DATA
    file.unlink()


def without_hash(service: lab.Service, image_id: str) -> None:
    change(service, "update images set checksum = null, hash_algo = null, hash_value = null where id = ?", image_id)
    change(service, "delete from image_facets where image_id = ?", image_id)


def assert_whole(image: dict[str, Any]) -> None:
    assert (image["status"], image["size"], image["virtual_size"]) == ("active", len(DATA), len(DATA))
    assert image["os_hash_value"] == hashlib.sha512(DATA).hexdigest()
    assert image["checksum"] == hashlib.md5(DATA).hexdigest()


def test_locations_are_noted_as_their_stores_name_them(service: lab.Service, jobs: Jobs, client: Client) -> None:
    image_id = uploaded(client)
    [(written,)] = looked(service, "select locations from images where id = ?", image_id)
    change(
        service, "update images set locations = replace(locations, 'file:///', 'filesystem:///') where id = ?", image_id
    )
    change(service, "delete from image_locations where image_id = ?", image_id)
    assert kinds(jobs.run("updater", "--dry-run")) == ["renamed"]
    assert kinds(jobs.run("updater")) == ["renamed"]
    assert looked(service, "select locations from images where id = ?", image_id) == [(written,)]
    assert jobs.run("updater")["findings"] == []
    assert client.download(image_id).content == DATA


def test_a_missing_virtual_size_is_filled_in(service: lab.Service, jobs: Jobs, client: Client) -> None:
    image_id = uploaded(client)
    change(service, "update images set virtual_size = null where id = ?", image_id)
    assert kinds(jobs.run("updater", "--dry-run")) == ["measured"]
    assert client.show(image_id)["virtual_size"] is None
    assert kinds(jobs.run("updater")) == ["measured"]
    assert client.show(image_id)["virtual_size"] == len(DATA)


def test_a_wrong_usage_is_mended(service: lab.Service, jobs: Jobs, client: Client) -> None:
    uploaded(client)
    change(service, "update project_usage set bytes = bytes + 5, images = 9 where project = ?", "demo")
    assert kinds(jobs.run("updater", "--dry-run")) == ["miscounted"]
    assert used(service) == (len(DATA) + 5, 9)
    assert kinds(jobs.run("updater")) == ["miscounted"]
    assert used(service) == (len(DATA), 1)
    assert jobs.run("updater")["findings"] == []


def change(service: lab.Service, statement: str, *values: str) -> None:
    with sqlite3.connect(service.folder / "glance.sqlite", timeout=10) as database:
        database.execute(statement, values)
    time.sleep(0.01)


def looked(service: lab.Service, statement: str, *values: str) -> list[Any]:
    with sqlite3.connect(service.folder / "glance.sqlite") as database:
        return database.execute(statement, values).fetchall()


def used(service: lab.Service) -> tuple[int, int]:
    with sqlite3.connect(service.folder / "glance.sqlite") as database:
        [found] = database.execute("select bytes, images from project_usage where project = 'demo'").fetchall()
    return int(found[0]), int(found[1])
