"""python-glanceclient, openstackclient and openstacksdk, with a real Keystone."""

from __future__ import annotations

import hashlib
from pathlib import Path

from shell import ISO, Shell


def test_openstackclient_from_upload_to_delete(people: dict[str, Shell], tmp_path: Path) -> None:
    demo = people["demo"]
    made = demo.json(
        "openstack",
        "image",
        "create",
        "ipxe",
        "--file",
        ISO,
        "--disk-format",
        "iso",
        "--container-format",
        "bare",
        "--property",
        "os_distro=ipxe",
        "--tag",
        "boot",
        "--progress",
        "--min-ram",
        "16",
    )
    image = demo.json("openstack", "image", "show", made["id"])
    assert (image["status"], image["size"], image["min_ram"], image["tags"]) == (
        "active",
        ISO.stat().st_size,
        16,
        ["boot"],
    )
    assert image["properties"]["os_distro"] == "ipxe"
    assert image["properties"]["os_hash_value"] == hashlib.sha512(ISO.read_bytes()).hexdigest()
    assert [x["ID"] for x in demo.json("openstack", "image", "list", "--tag", "boot", "--name", "ipxe")] == [made["id"]]
    assert demo.json("openstack", "image", "list", "--property", "os_distro=other") == []
    demo.run(
        "openstack",
        "image",
        "set",
        made["id"],
        "--name",
        "renamed",
        "--property",
        "a=b",
        "--tag",
        "extra",
        "--protected",
    )
    assert "protected" in demo.run("openstack", "image", "delete", made["id"], ok=False)
    demo.run("openstack", "image", "set", made["id"], "--unprotected", "--deactivate")
    assert demo.json("openstack", "image", "show", made["id"])["status"] == "deactivated"
    demo.run("openstack", "image", "save", made["id"], "--file", tmp_path / "no", ok=False)
    demo.run("openstack", "image", "set", made["id"], "--activate")
    demo.run("openstack", "image", "unset", made["id"], "--property", "a", "--tag", "extra")
    assert demo.json("openstack", "image", "show", "renamed")["tags"] == ["boot"]
    demo.run("openstack", "image", "save", made["id"], "--file", tmp_path / "out.iso")
    assert (tmp_path / "out.iso").read_bytes() == ISO.read_bytes()
    demo.run("openstack", "image", "delete", made["id"])
    assert made["id"] not in demo.run("openstack", "image", "list")


def test_glanceclient_from_upload_to_delete(people: dict[str, Shell], tmp_path: Path) -> None:
    demo = people["demo"]
    demo.run(
        "glance",
        "image-create",
        "--name",
        "by-glance",
        "--file",
        ISO,
        "--disk-format",
        "iso",
        "--container-format",
        "bare",
        "--progress",
        "--property",
        "os_version=1",
    )
    listed = demo.run("glance", "image-list")
    image_id = next(line.split("|")[1].strip() for line in listed.splitlines() if "by-glance" in line)
    assert "active" in demo.run("glance", "image-show", image_id)
    demo.run("glance", "image-update", image_id, "--property", "os_version=2", "--name", "renamed")
    demo.run("glance", "image-update", image_id, "--remove-property", "os_version")
    demo.run("glance", "image-tag-update", image_id, "green")
    assert "green" in demo.run("glance", "image-show", image_id)
    demo.run("glance", "image-tag-delete", image_id, "green")
    demo.run("glance", "image-deactivate", image_id)
    demo.run("glance", "image-reactivate", image_id)
    demo.run("glance", "image-download", image_id, "--file", tmp_path / "out", "--progress")
    assert (tmp_path / "out").read_bytes() == ISO.read_bytes()
    assert "file" in demo.run("glance", "stores-info")
    demo.run("glance", "image-delete", image_id)
    demo.run("glance", "image-show", image_id, ok=False)


def test_sharing(people: dict[str, Shell], tmp_path: Path) -> None:
    demo, other = people["demo"], people["alt_demo"]
    image_id = demo.json("openstack", "image", "create", "shared", "--shared", "--file", ISO, "--disk-format", "iso")[
        "id"
    ]
    project = other.json("openstack", "token", "issue")["project_id"]
    other.run("openstack", "image", "show", image_id, ok=False)
    demo.run("openstack", "image", "add", "project", image_id, project)
    assert image_id not in other.run("openstack", "image", "list")
    other.run("openstack", "image", "set", image_id, "--accept")
    assert image_id in other.run("openstack", "image", "list", "--shared")
    other.run("openstack", "image", "save", image_id, "--file", tmp_path / "out")
    assert (tmp_path / "out").read_bytes() == ISO.read_bytes()
    members = demo.json("openstack", "image", "member", "list", image_id)
    assert [(x["Member ID"], x["Status"]) for x in members] == [(project, "accepted")]
    demo.run("openstack", "image", "remove", "project", image_id, project)
    other.run("openstack", "image", "show", image_id, ok=False)
    demo.run("openstack", "image", "delete", image_id)


def test_roles(people: dict[str, Shell], tmp_path: Path) -> None:
    demo, reader, admin = people["demo"], people["reader"], people["admin"]
    image_id = demo.json("openstack", "image", "create", "roles", "--file", ISO, "--disk-format", "iso")["id"]
    assert image_id in reader.run("openstack", "image", "list")
    reader.run("openstack", "image", "show", image_id)
    reader.run("openstack", "image", "save", image_id, "--file", tmp_path / "x", ok=False)
    for words in (("create", "x"), ("delete", image_id), ("set", image_id, "--name", "x")):
        assert "403" in reader.run("openstack", "image", *words, ok=False)
    assert "403" in demo.run("openstack", "image", "set", image_id, "--public", ok=False)
    admin.run("openstack", "image", "set", image_id, "--public")
    assert image_id in people["alt_demo"].run("openstack", "image", "list", "--public")
    admin.run("openstack", "image", "delete", image_id)


SDK = f"""
import hashlib, openstack
conn = openstack.connect()
image = conn.create_image("by-sdk", filename="{ISO}", disk_format="iso", container_format="bare", wait=True, validate_checksum=True,
                          tags=["sdk"], os_distro="ipxe")
assert image.status == "active", image
data = open("{ISO}", "rb").read()
assert image.hash_value == hashlib.sha512(data).hexdigest()
assert [x.id for x in conn.image.images(tag="sdk", name="by-sdk")] == [image.id]
assert len(list(conn.image.images(limit=1))) >= 1
assert conn.image.find_image("by-sdk").id == image.id
seen = hashlib.sha512()
for piece in conn.image.download_image(image, stream=True, chunk_size=65536).iter_content(65536):
    seen.update(piece)
assert seen.hexdigest() == image.hash_value
conn.image.update_image(image, name="renamed", os_version="2")
assert conn.image.get_image(image.id).name == "renamed"
conn.image.add_tag(image, "more")
conn.image.remove_tag(image, "more")
conn.image.deactivate_image(image)
conn.image.reactivate_image(image)
conn.image.add_member(image, member_id="0" * 32)
assert [x.member_id for x in conn.image.members(image)] == ["0" * 32]
conn.image.remove_member("0" * 32, image)
assert [x.id for x in conn.image.stores()] == ["file", "fast", "slow"]
assert conn.image.get_import_info().import_methods["value"] == ["glance-direct", "web-download", "copy-image"]
assert conn.image.get_images_schema().properties
conn.image.delete_image(image)
assert conn.image.find_image(image.id) is None
print("done")
"""


def test_openstacksdk(people: dict[str, Shell]) -> None:
    assert "done" in people["demo"].python(SDK)
