"""References to families in the tools that publish images and deploy from them: openstack-image-manager, and the
modules of Ansible's collection openstack.cloud."""

from __future__ import annotations

import json
import subprocess
import tempfile
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import lab
import pytest
import requests
from shell import Shell

#: The last ones that Python 3.11 can have. The collection does not start with the openstacksdk of today.
MANAGER = "openstack-image-manager==0.20260722.0"
ANSIBLE = ("ansible-core==2.19.14", "openstacksdk==4.5.0")
#: The package that has the collection; unpacked whole it is 200 MB.
COLLECTIONS = "ansible==12.3.0"
OPENSTACK = "ansible_collections/openstack/cloud/"


@pytest.fixture(scope="module")
def ansible() -> Path:
    """Its environment, and the collection in it."""
    folder = lab.venv("ansible", *ANSIBLE)
    if not (folder / "collections").is_dir():
        with tempfile.TemporaryDirectory(dir=folder) as made:
            subprocess.run(
                [
                    folder / "bin" / "pip",
                    "download",
                    "-q",
                    "--no-deps",
                    "--disable-pip-version-check",
                    "-d",
                    made,
                    COLLECTIONS,
                ],
                check=True,
            )
            [wheel] = Path(made).glob("*.whl")
            with zipfile.ZipFile(wheel) as parts:
                parts.extractall(Path(made, "collections"), [x for x in parts.namelist() if x.startswith(OPENSTACK)])
            Path(made, "collections").rename(folder / "collections")
    return folder


@pytest.fixture(scope="module")
def admin(clients: Path) -> Iterator[Shell]:
    """Of the stock clients, before a service that asks a real Keystone."""
    port = lab.free_port()
    config = lab.merged(
        lab.keystone_config("DeployersRegion", f"http://127.0.0.1:{port}"),
        {"DEFAULT": {"enabled_extensions": "families"}},
    )
    with lab.service(config, port=port) as service:
        yield Shell(
            clients,
            {
                "OS_AUTH_URL": str(config["keystone_authtoken"]["auth_url"]),
                "OS_USERNAME": "admin",
                "OS_PASSWORD": "secret",
                "OS_PROJECT_NAME": "admin",
                "OS_USER_DOMAIN_ID": "default",
                "OS_PROJECT_DOMAIN_ID": "default",
                "OS_REGION_NAME": "DeployersRegion",
                "OS_IDENTITY_API_VERSION": "3",
                "URL": service.url,
            },
        )


def called(admin: Shell, method: str, path: str, body: object) -> Any:
    answer = requests.request(
        method,
        admin.env["URL"] + path,
        json=body,
        timeout=60,
        headers={"X-Auth-Token": admin.run("openstack", "token", "issue", "-f", "value", "-c", "id").strip()},
    )
    assert answer.status_code < 300, answer.text
    return answer.json()


@pytest.fixture(scope="module")
def definition(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One image of one version, as openstack-image-manager wants it told."""
    folder = tmp_path_factory.mktemp("definition")
    (folder / "disk.raw").write_bytes(b"a disk" * 1000)
    said = {
        "images": [
            {
                "name": "Debian 13",
                "enable": True,
                "format": "raw",
                "login": "debian",
                "min_disk": 1,
                "min_ram": 512,
                "status": "active",
                "visibility": "shared",
                "multi": True,
                "tags": ["shop"],
                "versions": [{"version": "20260101", "url": f"file://{folder}/disk.raw", "build_date": "2026-01-01"}],
                "meta": {
                    "architecture": "x86_64",
                    "hw_disk_bus": "virtio",
                    "hypervisor_type": "qemu",
                    "os_distro": "debian",
                    "os_version": "13",
                    "os_purpose": "generic",
                    "replace_frequency": "monthly",
                    "uuid_validity": "last-3",
                    "provided_until": "none",
                },
            }
        ]
    }
    (folder / "images.yml").write_text(json.dumps(said).replace('"2026-01-01"', "2026-01-01"))
    return folder / "images.yml"


@pytest.fixture(scope="module")
def manager(admin: Shell) -> Shell:
    return Shell(lab.venv("image-manager", MANAGER) / "bin", admin.env)


@pytest.fixture(scope="module")
def managed(admin: Shell, manager: Shell, definition: Path) -> str:
    """The id of the image that the manager has made; it is the version that debian/13@stable leads to."""
    said = manager.run("openstack-image-manager", "--images", definition, "--import-timeout", "60", errors=True)
    assert "Import of 'Debian 13 (20260101)' successfully completed" in said
    image_id = str(admin.json("openstack", "image", "show", "Debian 13")["id"])
    family = called(admin, "POST", "/families", {"name": "debian/13"})["id"]
    called(admin, "PUT", f"/families/{family}/versions/20260101", {"image_id": image_id})
    called(admin, "PUT", f"/families/{family}/channels/stable", {"label": "20260101"})
    return image_id


def test_image_manager(admin: Shell, manager: Shell, managed: str, definition: Path) -> None:
    """A version of a family is to it the image that it was; what it looks up by name can be a reference."""
    shown = admin.json("openstack", "image", "show", "debian/13@stable")
    assert (shown["id"], shown["properties"]["internal_version"], shown["properties"]["family_version"]) == (
        managed,
        "20260101",
        "20260101",
    )
    again = manager.run("openstack-image-manager", "--images", definition, errors=True)
    assert "Importing" not in again
    manager.run("openstack-image-manager", "--share-image", "debian/13@stable", "--share-target", "alt_demo")
    [member] = admin.json("openstack", "image", "member", "list", "debian/13@stable")
    assert member["Status"] == "accepted"


PLAY = [
    {
        "hosts": "localhost",
        "gather_facts": False,
        "tasks": [
            {
                "openstack.cloud.resources": {
                    "service": "image",
                    "type": "image",
                    "parameters": {"name": "debian/13@stable"},
                },
                "register": "asked",
            },
            {"openstack.cloud.image_info": {"image": "debian/13@stable"}, "register": "listed"},
            {
                "openstack.cloud.image": {
                    "name": "booted with",
                    "filename": "{{ folder }}/disk.raw",
                    "disk_format": "raw",
                    "kernel": "debian/13@stable",
                },
                "register": "made",
            },
            {
                "ansible.builtin.copy": {
                    "dest": "{{ folder }}/found.json",
                    "content": "{{ [asked.resources, listed.images, [made.image]] | to_json }}",
                }
            },
        ],
    }
]


def test_ansible(admin: Shell, ansible: Path, managed: str, definition: Path, tmp_path: Path) -> None:
    """Its modules resources, volume, server_action and image (for a kernel) ask for a name. image_info and server list
    all images and look through them themselves: no service can tell them, and the guide says so."""
    (tmp_path / "play.yml").write_text(json.dumps(PLAY))
    (tmp_path / "disk.raw").write_bytes(definition.with_name("disk.raw").read_bytes())
    shell = Shell(
        ansible / "bin",
        {**admin.env, "ANSIBLE_HOME": str(tmp_path / "home"), "ANSIBLE_COLLECTIONS_PATH": str(ansible / "collections")},
    )
    shell.run("ansible-playbook", tmp_path / "play.yml", "-e", f"folder={tmp_path}")
    named, listed, [made] = json.loads((tmp_path / "found.json").read_text())
    assert ([x["id"] for x in named], listed, made["kernel_id"]) == ([managed], [], managed)
