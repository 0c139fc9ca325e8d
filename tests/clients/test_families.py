"""References to families of images, by clients that know nothing of them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import bcrypt
import lab
import pytest
import requests
from shell import Shell


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    users = tmp_path_factory.mktemp("basic") / "htpasswd"
    users.write_text(f"alice:{bcrypt.hashpw(b'sesame', bcrypt.gensalt(4)).decode()}\n")
    config = {
        "DEFAULT": {"auth_strategy": "basic", "enabled_extensions": "families"},
        "auth_basic": {"http_basic_auth_user_file": users, "projects": "alice:red"},
    }
    with lab.service(config) as service:
        yield service.url


@pytest.fixture(scope="module")
def alice(clients: Path, url: str) -> Shell:
    return Shell(
        clients,
        {
            "OS_AUTH_TYPE": "http_basic",
            "OS_USERNAME": "alice",
            "OS_PASSWORD": "sesame",
            "OS_ENDPOINT": f"{url}/v2",
            "URL": url,
        },
    )


def asked(url: str, method: str, path: str, body: object = None, data: bytes | None = None) -> Any:
    answer = requests.request(
        method,
        url + path,
        json=body,
        data=data,
        auth=("alice", "sesame"),
        timeout=60,
        headers={"Content-Type": "application/octet-stream"} if data else {},
    )
    assert answer.status_code < 300, answer.text
    return answer.json() if answer.content else None


@pytest.fixture(scope="module")
def images(url: str) -> list[str]:
    """debian/13 has versions 1 and 2; stable is 1."""
    family = asked(url, "POST", "/families", {"name": "debian/13"})["id"]
    made = []
    for label in "12":
        made.append(
            asked(
                url,
                "POST",
                "/v2/images",
                {"name": "Debian 13", "disk_format": "raw", "container_format": "bare", "tags": ["a", "b"]},
            )["id"]
        )
        asked(url, "PUT", f"/v2/images/{made[-1]}/file", data=b"version " + label.encode())
        asked(url, "PUT", f"/families/{family}/versions/{label}", {"image_id": made[-1]})
    asked(url, "PUT", f"/families/{family}/channels/stable", {"label": "1"})
    return made


def test_openstackclient(alice: Shell, images: list[str], tmp_path: Path) -> None:
    shown = alice.json("openstack", "image", "show", "debian/13@stable")
    assert shown["id"] == images[0]
    assert (shown["properties"]["family"], shown["properties"]["channel"]) == ("debian/13", "stable")
    assert alice.json("openstack", "image", "show", "debian/13")["id"] == images[1]
    assert alice.json("openstack", "image", "show", "debian/13:2")["id"] == images[1]
    alice.run("openstack", "image", "save", "debian/13@stable", "--file", tmp_path / "out")
    assert (tmp_path / "out").read_bytes() == b"version 1"
    assert [x["ID"] for x in alice.json("openstack", "image", "list", "--name", "debian/13@stable")] == [images[0]]
    assert "debian/13@nothing" in alice.run("openstack", "image", "show", "debian/13@nothing", ok=False)


SDK = """
import json, os, openstack
conn = openstack.connect(auth_type="http_basic", auth=dict(endpoint=os.environ["URL"], username="alice", password="sesame"),
                         image_endpoint_override=os.environ["URL"])
print(json.dumps([conn.image.find_image("debian/13@stable", ignore_missing=False).id, conn.get_image("debian/13@stable").id,
                  conn.image.get_image("debian/13").id, [x.id for x in conn.image.images(name="debian/13@stable")],
                  conn.image.find_image("debian/13@nothing")]))
"""


def test_openstacksdk(alice: Shell, images: list[str]) -> None:
    """find_image is what creates servers in openstackclient."""
    assert json.loads(alice.python(SDK)) == [images[0], images[0], images[1], [images[0]], None]


GLANCE = """
import os
from glanceclient import Client
from keystoneauth1 import session
from keystoneauth1.http_basic import HTTPBasicAuth
auth = HTTPBasicAuth(endpoint=os.environ["URL"], username="alice", password="sesame")
glance = Client("2", session=session.Session(auth=auth), endpoint_override=os.environ["URL"])
print(glance.images.get("debian/13@stable").id, b"".join(glance.images.data("debian/13@stable")), [x.id for x in glance.images.list(filters={"name": "debian/13@stable"})])
"""


def test_glanceclient(alice: Shell, images: list[str]) -> None:
    assert alice.python(GLANCE).strip() == f"{images[0]} b'version 1' {[images[0]]}"


#: What its provider asks, in its order, of all that its data sources can be told: openstack_images_image_v2 (which
#: takes the newest by itself, and looks through properties itself), openstack_images_image_ids_v2, and image_name of
#: openstack_compute_instance_v2.
TERRAFORM = {
    "a data source": "name=debian%2F13%40stable&sort=name%3Aasc&status=active",
    "with all it can be told": (
        "container_format=bare&disk_format=raw&member_status=all&name=debian%2F13%40stable&owner=red&size_max=9&size_min=9&"
        "sort=name%3Aasc%2Ccreated_at%3Adesc&status=active&tag=a&tag=b&visibility=shared"
    ),
    "an instance": "name=debian%2F13%40stable",
}


@pytest.mark.parametrize("asks", TERRAFORM)
def test_terraform(url: str, images: list[str], asks: str) -> None:
    found = asked(url, "GET", f"/v2/images?{TERRAFORM[asks]}")
    assert [(x["id"], x["name"]) for x in found["images"]] == [(images[0], "debian/13@stable")]
    assert "next" not in found, "the provider reads all pages"


@pytest.mark.parametrize(
    "told", ["os_hidden=true", "tag=c", "visibility=public", "owner=blue", "size_min=10", "disk_format=iso"]
)
def test_terraform_is_told_of_none_that_does_not_fit(url: str, images: list[str], told: str) -> None:
    assert asked(url, "GET", f"/v2/images?{TERRAFORM['a data source']}&{told}")["images"] == []
