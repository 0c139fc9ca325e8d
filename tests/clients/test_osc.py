"""glancecore's own commands in the real openstackclient."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path

import bcrypt
import lab
import pytest
from shell import Shell

VERSIONS = (
    "python-openstackclient==10.5.0",
    "openstacksdk==4.22.0",
    "-e",
    str(lab.REPO / "clients" / "osc_glancecore"),
)


@pytest.fixture(scope="module")
def commands() -> Path:
    return lab.venv("osc", *VERSIONS) / "bin"


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    users = tmp_path_factory.mktemp("basic") / "htpasswd"
    users.write_text(
        "".join(f"{x}:{bcrypt.hashpw(b'sesame', bcrypt.gensalt(4)).decode()}\n" for x in ("alice", "carol"))
    )
    config = {
        "DEFAULT": {
            "auth_strategy": "basic",
            "enabled_extensions": "families, lifecycle, trash, tus",
            "delayed_delete": True,
            "scrub_time": 86400,
        },
        "auth_basic": {"http_basic_auth_user_file": users, "projects": "alice:red", "admins": "carol"},
    }
    with lab.service(config) as service:
        yield service.url


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("home")


def somebody(commands: Path, url: str, home: Path, name: str) -> Shell:
    return Shell(
        commands,
        {
            "OS_AUTH_TYPE": "http_basic",
            "OS_USERNAME": name,
            "OS_PASSWORD": "sesame",
            "OS_ENDPOINT": f"{url}/v2",
            "XDG_STATE_HOME": str(home),
        },
    )


@pytest.fixture(scope="module")
def alice(commands: Path, url: str, home: Path) -> Shell:
    return somebody(commands, url, home, "alice")


def test_a_year_in_short(alice: Shell, tmp_path: Path) -> None:
    """Publish twice, roll back, deprecate, plan, delete, have back."""
    image, labels = [], ("20260101", "20260201")
    for label in labels:
        disk = tmp_path / f"{label}.raw"
        disk.write_bytes(os.urandom(3_000_000))
        shown = alice.json(
            "openstack",
            "image",
            "publish",
            disk,
            "--family",
            "debian/13",
            "--create-family",
            "--label",
            label,
            "--channel",
            "stable",
            "--reason",
            "tests passed",
            "--property",
            "os_distro=debian",
            "--piece-size",
            "1",
        )
        assert (shown["reference"], shown["size"]) == ("debian/13@stable", 3_000_000)
        image.append(shown["id"])
    assert [x["Name"] for x in alice.json("openstack", "image", "family", "list")] == ["debian/13"]
    assert [(x["Label"], x["Image"]) for x in alice.json("openstack", "image", "version", "list", "debian/13")] == [
        *zip(labels, image, strict=True)
    ][::-1]
    assert alice.json("openstack", "image", "show", "debian/13@stable")["name"] == "debian/13 20260201"
    assert (
        alice.json("openstack", "image", "channel", "rollback", "debian/13", "stable", "--reason", "no network")[
            "label"
        ]
        == "20260101"
    )
    assert alice.json("openstack", "image", "show", "debian/13@stable")["id"] == image[0]
    history = alice.json("openstack", "image", "channel", "history", "debian/13", "stable")
    assert [(x["Action"], x["To"], x["Reason"]) for x in history] == [
        ("rollback", "20260101", "no network"),
        ("promote", "20260201", "tests passed"),
        ("promote", "20260101", "tests passed"),
    ]
    refused = alice.run(
        "openstack",
        "image",
        "channel",
        "promote",
        "debian/13",
        "stable",
        "20260201",
        "--expected-revision",
        "1",
        ok=False,
    )
    assert "is at revision 3, not 1" in refused
    assert "or force it" in alice.run("openstack", "image", "version", "deprecate", "debian/13", "20260101", ok=False)
    alice.run(
        "openstack",
        "image",
        "version",
        "deprecate",
        "debian/13",
        "20260201",
        "--ends-at",
        "2020-01-01T00:00:00Z",
        "--deprecated-at",
        "2019-01-01T00:00:00Z",
        "--replacement",
        "debian/13@stable",
    )
    policy = tmp_path / "policy.json"
    policy.write_text(
        json.dumps(
            {
                "name": "tidy",
                "selector": {"families": ["debian/13"]},
                "steps": [{"action": "delete", "past": "ends_at", "days": 30}],
            }
        )
    )
    alice.run("openstack", "image", "lifecycle", "policy", "create", policy)
    (entry,) = alice.json("openstack", "image", "lifecycle", "plan", "create", "tidy")
    assert (entry["Image"], entry["Action"]) == (image[1], "delete")
    (done,) = alice.json("openstack", "image", "lifecycle", "plan", "apply", entry["Plan"])
    assert done["Done"] is True
    plan = alice.run("openstack", "image", "lifecycle", "plan", "create", "tidy", errors=True)
    assert f"plan {alice.json('openstack', 'image', 'lifecycle', 'plan', 'list', 'tidy')[0]['ID']}: no image" in plan
    (gone,) = alice.json("openstack", "image", "trash", "list")
    assert (gone["ID"], gone["By"]["project"]) == (image[1], "red")
    assert "project='red', user='alice'" in alice.run("openstack", "image", "trash", "list")
    assert alice.json("openstack", "image", "trash", "restore", image[1])["status"] == "active"
    assert alice.json("openstack", "image", "show", image[1])["status"] == "active"


def test_the_help_tells_what_an_image_is_called(alice: Shell) -> None:
    assert "family and label" in " ".join(alice.run("openstack", "image", "publish", "--help").split())


def test_without_a_cloud_it_is_told_how_one_is_named(commands: Path, tmp_path: Path) -> None:
    said = Shell(commands, {"XDG_STATE_HOME": str(tmp_path)}).run("glance-upload", "disk.raw", ok=False)
    assert all(x in said for x in ("auth_url", "--os-cloud", "OS_CLOUD", "clouds.yaml")), said


def test_refusals_are_the_services_own(alice: Shell, tmp_path: Path) -> None:
    assert "no family nothing" in alice.run("openstack", "image", "family", "show", "nothing", ok=False)
    assert "say --disk-format" in alice.run(
        "openstack", "image", "publish", "/etc/hostname", "--family", "debian/13", "--label", "1", ok=False
    )
    assert "is no JSON" in alice.run("openstack", "image", "lifecycle", "policy", "create", "/etc/hostname", ok=False)
    assert alice.run(
        "openstack", "image", "publish", tmp_path / "missing.raw", "--family", "debian/13", "--label", "1", ok=False
    ).startswith(f"{tmp_path / 'missing.raw'}: No such file")
    disk = tmp_path / "disk.raw"
    disk.write_bytes(b"another disk")
    assert "no family nothing; --create-family makes it" in alice.run(
        "openstack", "image", "publish", disk, "--family", "nothing", "--label", "1", ok=False
    )
    assert "take another label" in alice.run(
        "openstack", "image", "publish", disk, "--family", "debian/13", "--label", "20260101", ok=False
    )


def test_what_was_broken_off_is_gone_on_with(alice: Shell, tmp_path: Path) -> None:
    """The promotion is refused at first: the second run makes no second image."""
    disk = tmp_path / "disk.raw"
    disk.write_bytes(os.urandom(1_000_000))
    alice.run("openstack", "image", "channel", "pin", "debian/13", "stable")
    words = (
        "openstack",
        "image",
        "publish",
        disk,
        "--family",
        "debian/13",
        "--label",
        "20260301",
        "--channel",
        "stable",
    )
    assert "pinned" in alice.run(*words, ok=False)
    made = alice.json("openstack", "image", "version", "show", "debian/13", "20260301")["image_id"]
    alice.run("openstack", "image", "channel", "unpin", "debian/13", "stable")
    assert alice.json(*words)["id"] == made
    assert alice.json("openstack", "image", "channel", "show", "debian/13", "stable")["image_id"] == made
