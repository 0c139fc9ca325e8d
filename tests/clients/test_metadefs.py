"""Metadata definitions by the commands of python-glanceclient, over each database."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import lab
import pytest
from shell import Shell

IMAGE, FLAVOR = "OS::Glance::Image", "OS::Nova::Flavor"


@pytest.fixture(scope="module", params=["sqlite", "mariadb", "postgresql"])
def admin(request: pytest.FixtureRequest, clients: Path) -> Iterator[Shell]:
    """Everybody is an admin there."""
    with lab.new_database(request.param) as database, lab.service(database=database) as service:
        yield Shell(clients, {"OS_IMAGE_URL": service.url, "OS_AUTH_TOKEN": "none"})


def row(text: str, name: str) -> str:
    """A field of the table that a command prints."""
    found = re.search(rf"^\| {re.escape(name)} +\| (.*?) *\|$", text, re.MULTILINE)
    assert found, text
    return found[1]


def schema(**fields: object) -> str:
    return json.dumps(fields)


def test_namespaces(admin: Shell) -> None:
    glance = admin.run
    made = glance(
        "glance",
        "md-namespace-create",
        "Shop::One",
        "--display-name",
        "One",
        "--description",
        "The first",
        "--visibility",
        "public",
        "--protected",
        "True",
    )
    assert (row(made, "namespace"), row(made, "visibility"), row(made, "protected")) == ("Shop::One", "public", "True")
    glance("glance", "md-namespace-create", "Shop::Two")
    assert row(glance("glance", "md-namespace-show", "Shop::One"), "description") == "The first"
    listed = glance("glance", "md-namespace-list")
    assert "Shop::One" in listed
    assert "Shop::Two" in listed
    assert "Shop::Two" not in glance("glance", "md-namespace-list", "--visibility", "public")
    assert len(re.findall("Shop::", glance("glance", "md-namespace-list", "--page-size", "1"))) == 2
    assert "403" in glance("glance", "md-namespace-delete", "Shop::One", ok=False)
    assert (
        row(
            glance("glance", "md-namespace-update", "Shop::One", "--protected", "False", "--visibility", "public"),
            "protected",
        )
        == "False"
    )
    assert "409" in glance("glance", "md-namespace-create", "Shop::One", ok=False)
    glance("glance", "md-namespace-delete", "Shop::One")
    glance("glance", "md-namespace-delete", "Shop::Two")
    assert "404" in glance("glance", "md-namespace-show", "Shop::One", ok=False)


def test_a_namespace_from_a_file(admin: Shell, tmp_path: Path) -> None:
    file = lab.REPO / "glancecore" / "metadefs" / "libvirt.json"
    wanted = json.loads(file.read_text())
    made = admin.run("glance", "md-namespace-import", "--file", file)
    assert row(made, "namespace") == wanted["namespace"]
    shown = admin.run("glance", "md-namespace-show", wanted["namespace"])
    assert all(name in shown for name in wanted["properties"])
    assert IMAGE in admin.run("glance", "md-namespace-resource-type-list", wanted["namespace"])
    assert wanted["namespace"] in admin.run("glance", "md-namespace-list", "--resource-types", IMAGE)
    admin.run("glance", "md-namespace-update", wanted["namespace"], "--protected", "False", "--visibility", "public")
    admin.run("glance", "md-namespace-delete", wanted["namespace"])


@pytest.fixture
def namespace(admin: Shell) -> Iterator[str]:
    admin.run("glance", "md-namespace-create", "Shop")
    yield "Shop"
    admin.run("glance", "md-namespace-delete", "Shop")


def test_properties(admin: Shell, namespace: str) -> None:
    glance = admin.run
    made = glance(
        "glance",
        "md-property-create",
        namespace,
        "--name",
        "cores",
        "--title",
        "Cores",
        "--type",
        "integer",
        "--schema",
        schema(minimum=1, maximum=8, default=2),
    )
    assert (row(made, "name"), row(made, "type"), row(made, "maximum")) == ("cores", "integer", "8")
    assert row(glance("glance", "md-property-show", namespace, "cores"), "title") == "Cores"
    assert "cores" in glance("glance", "md-property-list", namespace)
    glance(
        "glance", "md-property-update", namespace, "cores", "--title", "Processors", "--schema", schema(type="integer")
    )
    assert row(glance("glance", "md-property-show", namespace, "cores"), "title") == "Processors"
    glance("glance", "md-property-delete", namespace, "cores")
    glance(
        "glance", "md-property-create", namespace, "--name", "a", "--title", "A", "--type", "string", "--schema", "{}"
    )
    glance("glance", "md-namespace-properties-delete", namespace)
    assert "404" in glance("glance", "md-property-show", namespace, "a", ok=False)


def test_objects(admin: Shell, namespace: str) -> None:
    glance = admin.run
    definition = schema(description="A disk", required=["bus"], properties={"bus": {"title": "Bus", "type": "string"}})
    assert (
        row(glance("glance", "md-object-create", namespace, "--name", "disk", "--schema", definition), "name") == "disk"
    )
    assert "bus" in glance("glance", "md-object-show", namespace, "disk")
    assert "Bus" in glance("glance", "md-object-property-show", namespace, "disk", "bus")
    assert "disk" in glance("glance", "md-object-list", namespace)
    glance("glance", "md-object-update", namespace, "disk", "--name", "drive")
    assert row(glance("glance", "md-object-show", namespace, "drive"), "name") == "drive"
    glance("glance", "md-object-delete", namespace, "drive")
    glance("glance", "md-object-create", namespace, "--name", "x", "--schema", schema(description="x"))
    glance("glance", "md-namespace-objects-delete", namespace)
    assert "404" in glance("glance", "md-object-show", namespace, "x", ok=False)


def test_resource_types(admin: Shell, namespace: str) -> None:
    glance = admin.run
    made = glance("glance", "md-resource-type-associate", namespace, "--name", FLAVOR, "--prefix", "hw:")
    assert (row(made, "name"), row(made, "prefix")) == (FLAVOR, "hw:")
    assert FLAVOR in glance("glance", "md-resource-type-list")
    assert "hw:" in glance("glance", "md-namespace-resource-type-list", namespace)
    glance(
        "glance",
        "md-property-create",
        namespace,
        "--name",
        "cores",
        "--title",
        "Cores",
        "--type",
        "integer",
        "--schema",
        "{}",
    )
    assert "hw:cores" in glance("glance", "md-namespace-show", namespace, "--resource-type", FLAVOR)
    glance("glance", "md-resource-type-deassociate", namespace, FLAVOR)
    assert FLAVOR not in glance("glance", "md-namespace-resource-type-list", namespace)


def test_tags(admin: Shell, namespace: str) -> None:
    glance = admin.run
    assert row(glance("glance", "md-tag-create", namespace, "--name", "red"), "name") == "red"
    assert "409" in glance("glance", "md-tag-create", namespace, "--name", "RED", ok=False)
    made = glance(
        "glance", "md-tag-create-multiple", namespace, "--names", "one,two"
    )  # its --append fails in the client itself
    assert "one" in made
    assert "two" in made
    assert "red" not in glance("glance", "md-tag-list", namespace)
    assert row(glance("glance", "md-tag-update", namespace, "one", "--name", "three"), "name") == "three"
    assert row(glance("glance", "md-tag-show", namespace, "three"), "name") == "three"
    glance("glance", "md-tag-delete", namespace, "three")
    glance("glance", "md-namespace-tags-delete", namespace)
    assert "two" not in glance("glance", "md-tag-list", namespace)


SDK = """
import os, openstack
conn = openstack.connect(auth_type="none", endpoint=os.environ["URL"], image_endpoint_override=os.environ["URL"])
image = conn.image
made = image.create_metadef_namespace(namespace="Sdk", display_name="By the SDK", visibility="public", is_protected=False)
assert made.display_name == "By the SDK", made
assert "Sdk" in [x.namespace for x in image.metadef_namespaces()]
assert image.update_metadef_namespace("Sdk", display_name="Changed").display_name == "Changed"
group = image.create_metadef_object("Sdk", name="disk", properties={"bus": {"title": "Bus", "type": "string"}})
assert group.name == "disk"
assert [x.name for x in image.metadef_objects("Sdk")] == ["disk"]
image.delete_metadef_object("disk", "Sdk")
image.create_metadef_property("Sdk", name="cores", title="Cores", type="integer")
assert [x.name for x in image.metadef_properties("Sdk")] == ["cores"]
assert image.get_metadef_property("cores", "Sdk").title == "Cores"
image.delete_all_metadef_properties("Sdk")
image.create_metadef_resource_type_association("Sdk", name="OS::Sdk", prefix="sdk_")
assert [x.name for x in image.metadef_resource_type_associations("Sdk")] == ["OS::Sdk"]
assert "OS::Sdk" in [x.name for x in image.metadef_resource_types()]
image.delete_metadef_resource_type_association("OS::Sdk", "Sdk")
assert "namespace" in image.get_metadef_namespace_schema().properties
image.delete_metadef_namespace("Sdk", ignore_missing=False)
print("done")
"""


def test_openstacksdk(admin: Shell) -> None:
    assert "done" in Shell(admin.bin, {"URL": admin.env["OS_IMAGE_URL"]}).python(SDK)


def test_openstackclient(admin: Shell) -> None:
    stack = Shell(admin.bin, {"OS_AUTH_TYPE": "none", "OS_ENDPOINT": admin.env["OS_IMAGE_URL"]})
    stack.run(
        "openstack", "image", "metadef", "namespace", "create", "Stack", "--display-name", "By openstack", "--public"
    )
    assert stack.json("openstack", "image", "metadef", "namespace", "show", "Stack")["display_name"] == "By openstack"
    assert "Stack" in stack.run("openstack", "image", "metadef", "namespace", "list")
    stack.run("openstack", "image", "metadef", "object", "create", "Stack", "--namespace", "Stack")
    stack.run(
        "openstack",
        "image",
        "metadef",
        "property",
        "create",
        "Stack",
        "--name",
        "cores",
        "--title",
        "Cores",
        "--type",
        "integer",
        "--schema",
        "{}",
    )
    assert "cores" in stack.run("openstack", "image", "metadef", "property", "list", "Stack")
    stack.run("openstack", "image", "metadef", "resource", "type", "association", "create", "Stack", "OS::Stack")
    assert "OS::Stack" in stack.run("openstack", "image", "metadef", "resource", "type", "list")
    stack.run("openstack", "image", "metadef", "namespace", "delete", "Stack")
