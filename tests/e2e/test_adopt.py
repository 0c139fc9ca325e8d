"""A real Glance 33 with images in every status, taken over in place by ``glance-manage adopt``."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import lab
import pytest
from client import HEADERS_AUTH, Client
from peer.deployment import BY_HAND, Peer, dead, sql

#: Of an image's answer: what the two services say in their own ways.
OWN = {"self", "file", "schema", "stores", "direct_url", "locations"}


@pytest.fixture(scope="module", params=["mariadb", "postgresql"])
def peer(request: pytest.FixtureRequest) -> Iterator[Peer]:
    with dead(request.param) as made:
        yield made


@pytest.fixture
def ours(peer: Peer) -> Iterator[lab.Service]:
    config = lab.merged(
        HEADERS_AUTH,
        {
            "DEFAULT": {"enabled_backends": "fast:file, quick:file"},
            "glance_store": {"default_backend": "fast"},
            "fast": {"filesystem_store_datadir": peer.folder / "fast"},
            "quick": {"filesystem_store_datadir": peer.folder / "slow"},
        },
    )
    with lab.service(config) as service:
        yield service


def _adopt(service: lab.Service, peer: Peer, *args: str) -> dict[str, Any]:
    """Exit code and report must agree."""
    done = lab.command(
        "glance-manage",
        "--config-file",
        service.config_file,
        "--json",
        "adopt",
        "--store",
        "slow=quick",
        *args,
        env={**os.environ, "GLANCE_DATABASE": peer.database},
    )
    assert done.returncode in (0, 1), done.stderr
    report = json.loads(done.stdout)
    assert done.returncode == (1 if report["findings"] else 0)
    return dict(report)


def _comparable(answer: dict[str, Any]) -> dict[str, Any]:
    """Without what the services say in their own ways; of sets, the order says nothing."""
    return {
        key: sorted(value, key=str) if isinstance(value, list) else value
        for key, value in answer.items()
        if key not in OWN and not key.startswith("os_glance_")
    }


COUNTS = {"active": 8, "deactivated": 1, "pending_delete": 1, "killed": 1, "queued": 5, "refused": 1}


def test_a_deployment_is_taken_over_in_place(peer: Peer, ours: lab.Service) -> None:
    admin, client = Client(ours.url, "admin", "admin,member,reader"), Client(ours.url)
    files = {
        x: x.stat().st_mtime_ns for name in ("fast", "slow") for x in (peer.folder / name).iterdir() if x.is_file()
    }
    before = _adopt(ours, peer, "--dry-run")
    assert before["dry_run"]
    assert client.call("GET", "/v2/images").json()["images"] == []

    report = _adopt(ours, peer, "--check", "hash")
    assert report["images"] == before["images"] == COUNTS
    assert report["namespaces"] == {"taken over": 1}
    troubles = {(x["trouble"], x["about"]) for x in report["findings"]}
    expected = {("unfinished", peer.ids[name]) for name in ("saving", "uploading", "importing", "queued with data")} | {
        ("refused", peer.ids["of no status"]),
        ("missing data", peer.ids["its file is lost"]),
        ("different data", peer.ids["its file is longer"]),
    }
    assert {(x["trouble"], x["about"]) for x in before["findings"]} == expected
    assert troubles == expected | {("different data", peer.ids["its file has other bytes"])}

    for name, theirs in peer.shown.items():
        if name in (*BY_HAND, "saving", "uploading"):
            continue
        found = client.show(peer.ids[name])
        assert _comparable(found) == _comparable(theirs), name
        assert found.get("stores", "").replace("quick", "slow") == theirs.get("stores", "")
    assert client.call("GET", f"/v2/images/{peer.ids['shared']}/members").json()["members"] == peer.members
    hidden = {peer.ids["killed"], peer.ids["of no status"]}
    listed = [x["id"] for x in client.call("GET", "/v2/images?limit=100&sort=name:asc").json()["images"]]
    assert listed == [x for x in peer.listed if x not in hidden]
    assert _comparable(admin.call("GET", "/v2/metadefs/namespaces/Adopt::Me").json()) == _comparable(peer.namespace)
    for name, data in peer.data.items():
        if name.startswith("its") or name in (*BY_HAND, "saving", "pending_delete", "deactivated"):
            continue
        assert client.download(peer.ids[name]).content == data, name
    assert client.download(peer.ids["in two stores"], Range="bytes=10-19").content == peer.data["in two stores"][10:20]
    assert {x: x.stat().st_mtime_ns for x in files} == files, "data was touched"

    again = _adopt(ours, peer)
    assert again["images"] == {"already here": sum(COUNTS.values()) - 1, "refused": 1}
    assert again["namespaces"] == {"already here": 1}
    assert [x["about"] for x in again["findings"]] == [peer.ids["of no status"]]

    # what waited for its deletion can be had back
    pending = peer.ids["pending_delete"]
    assert client.call("GET", f"/v2/images/{pending}").status_code == 404
    assert lab.command("glance-scrubber", "--config-file", ours.config_file, "--restore", pending).returncode == 0
    image = client.show(pending)
    assert (image["status"], image["tags"], image["colour"]) == ("active", ["still"], "blue")
    assert client.download(pending).content == peer.data["pending_delete"]

    # and it goes on living
    for name in ("queued", "saving", "uploading", "importing"):
        image = client.show(peer.ids[name])
        assert image["status"] == "queued"
        assert ("os_glance_last_error" in image) is (name != "queued")
        assert client.upload(image["id"], b"new data").status_code == 204
        assert client.download(image["id"]).content == b"new data"
    copies = [peer.folder / store / peer.ids["in two stores"] for store in ("fast", "slow")]
    assert all(x.exists() for x in copies)
    assert client.delete(peer.ids["in two stores"]).status_code == 204
    assert not any(x.exists() for x in copies)


def test_an_id_that_was_used_is_not_used_again(peer: Peer, ours: lab.Service) -> None:
    text = "UPDATE images SET status = 'deleted', deleted = true, deleted_at = updated_at WHERE id = :id"
    sql(peer, text, id=peer.ids["killed"])
    report = _adopt(ours, peer)
    assert report["images"]["deleted"] == 1
    again = Client(ours.url).call("POST", "/v2/images", {"id": peer.ids["killed"]})
    assert again.status_code == 409


@pytest.mark.parametrize(
    ("args", "url", "said"),
    [
        ([], "", "--from, or GLANCE_DATABASE"),
        (["--from", "sqlite:////proc/nowhere/x.sqlite"], "", "fix --from: there is no file /proc/nowhere/x.sqlite"),
        (["--from", "mysql://user:secret@127.0.0.1:1/glance"], "", "fix --from: the database does not answer"),
        (["--from", "nonsense"], "", "fix --from: it is no database URL"),
        (["--store", "slow"], "sqlite://", "--store: write OLD=NEW"),
        ([], "sqlite://", "fix GLANCE_DATABASE: this is no database of Glance"),
    ],
)
def test_mistakes_are_told_in_one_line(args: list[str], url: str, said: str, tmp_path: Path) -> None:
    with lab.service(folder=tmp_path, start=False) as service:
        env = {name: value for name, value in os.environ.items() if name != "GLANCE_DATABASE"} | (
            {"GLANCE_DATABASE": url} if url else {}
        )
        done = lab.command("glance-manage", "--config-file", service.config_file, "adopt", *args, env=env)
        assert done.returncode == 1
        assert said in done.stderr
        assert len(done.stderr.splitlines()) == 1
