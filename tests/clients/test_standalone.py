"""The same clients without Keystone: HTTP basic authentication, and none at all."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import bcrypt
import lab
import pytest
from shell import ISO, Shell


@pytest.fixture(scope="module")
def basic(clients: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Shell]]:
    users = tmp_path_factory.mktemp("basic") / "htpasswd"
    users.write_text(
        "".join(f"{x}:{bcrypt.hashpw(b'sesame', bcrypt.gensalt(4)).decode()}\n" for x in ("alice", "bob", "carol"))
    )
    config = {
        "DEFAULT": {"auth_strategy": "basic"},
        "auth_basic": {"http_basic_auth_user_file": users, "admins": "carol", "projects": "alice:red,bob:red"},
    }
    with lab.service(config) as service:
        yield {
            name: Shell(
                clients,
                {
                    "OS_AUTH_TYPE": "http_basic",
                    "OS_USERNAME": name,
                    "OS_PASSWORD": "sesame",
                    "OS_ENDPOINT": f"{service.url}/v2",
                    "URL": service.url,
                },
            )
            for name in ("alice", "bob", "carol")
        }


def test_openstackclient_with_http_basic(basic: dict[str, Shell], tmp_path: Path) -> None:
    alice = basic["alice"]
    image_id = alice.json("openstack", "image", "create", "ipxe", "--file", ISO, "--disk-format", "iso")["id"]
    assert alice.json("openstack", "image", "show", image_id)["owner"] == "red"
    assert image_id in basic["bob"].run("openstack", "image", "list"), "of the same project"
    basic["bob"].run("openstack", "image", "save", image_id, "--file", tmp_path / "out")
    assert (tmp_path / "out").read_bytes() == ISO.read_bytes()
    assert "403" in alice.run("openstack", "image", "set", image_id, "--public", ok=False)
    basic["carol"].run("openstack", "image", "set", image_id, "--public")
    wrong = Shell(alice.bin, {**alice.env, "OS_PASSWORD": "open"})
    assert "401" in wrong.run("openstack", "image", "list", ok=False)
    alice.run("openstack", "image", "delete", image_id)


SDK = f"""
import os, openstack
conn = openstack.connect(auth_type="http_basic", auth=dict(endpoint=os.environ["URL"], username="alice", password="sesame"),
                         image_endpoint_override=os.environ["URL"])
image = conn.create_image("by-sdk", filename="{ISO}", disk_format="iso", container_format="bare", wait=True)
assert image.status == "active"
assert conn.image.download_image(image).content == open("{ISO}", "rb").read()
conn.image.delete_image(image)
print("done")
"""


def test_openstacksdk_with_http_basic(basic: dict[str, Shell]) -> None:
    assert "done" in basic["alice"].python(SDK)


GLANCE = f"""
import os
from glanceclient import Client
from keystoneauth1 import session
from keystoneauth1.http_basic import HTTPBasicAuth
auth = HTTPBasicAuth(endpoint=os.environ["URL"], username="alice", password="sesame")
glance = Client("2", session=session.Session(auth=auth), endpoint_override=os.environ["URL"])
image = glance.images.create(name="by-glance", disk_format="iso", container_format="bare", os_distro="ipxe")
glance.images.upload(image.id, open("{ISO}", "rb"))
assert b"".join(glance.images.data(image.id)) == open("{ISO}", "rb").read()
assert glance.images.get(image.id).os_distro == "ipxe"
glance.images.delete(image.id)
print("done")
"""


def test_glanceclient_with_http_basic(basic: dict[str, Shell]) -> None:
    assert "done" in basic["alice"].python(GLANCE)


def test_openstackclient_without_any_login(clients: Path) -> None:
    with lab.service() as service:
        anybody = Shell(clients, {"OS_AUTH_TYPE": "none", "OS_ENDPOINT": service.url})
        image_id = anybody.json(
            "openstack", "image", "create", "ipxe", "--file", ISO, "--disk-format", "iso", "--progress"
        )["id"]
        assert image_id in anybody.run("openstack", "image", "list")
        anybody.run("openstack", "image", "delete", image_id)
