"""Metadata definitions, what is awkward to say in YAML: odd names, parallel changes, events, and images held against
them."""

from __future__ import annotations

import logging
import threading
import uuid
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import pytest
from api import Person
from conftest import DATABASES, built
from prometheus_client import REGISTRY

from glancecore.assembly.lifecycle import Service

ALL = "/v2/metadefs/namespaces"
IMAGE = "OS::Glance::Image"
ADMIN = "admin,member,reader"


@pytest.fixture
def admin(service: Service) -> Person:
    return Person(service.app, f"p-{uuid.uuid4().hex[:6]}", ADMIN)


def make(admin: Person, **fields: object) -> str:
    """A namespace's path."""
    wanted = {"namespace": f"ns-{uuid.uuid4().hex[:8]}", **fields}
    answer = admin.call("POST", ALL, wanted)
    assert answer.status_code == 201, answer.text
    return f"{ALL}/{quote(str(wanted['namespace']))}"


@pytest.fixture
def ruled(tmp_path: Path) -> Iterator[Service]:
    """Its policy lets a member create one namespace, by its name."""
    file = tmp_path / "policy.yaml"
    file.write_text("add_metadef_namespace: \"role:admin or 'Ours':%(namespace)s\"\n")
    with built("sqlite", {"oslo_policy": {"policy_file": file}}) as made:
        yield made


def test_a_rule_may_look_at_the_name_of_what_is_created(ruled: Service) -> None:
    member = Person(ruled.app, "p-1", "member")
    assert member.call("POST", ALL, {"namespace": "Ours"}).status_code == 201
    refused = member.call("POST", ALL, {"namespace": "Theirs"})
    assert refused.status_code == 403
    assert "add_metadef_namespace" in refused.text


def names(person: Person, query: str = "") -> list[str]:
    """Names of all pages."""
    found: list[str] = []
    path = f"{ALL}?limit=3{query}"
    while path:
        answer = person.call("GET", path)
        assert answer.status_code == 200, answer.text
        page = answer.json or {}
        found += [x["namespace"] for x in page["namespaces"]]
        path = page.get("next", "")
    return found


@pytest.mark.parametrize("name", ["gr\u00fcn \U0001f600", "a b", "%2F", "a?b#c", "it's", '"', "\\", "null", "x" * 80])
def test_odd_names_are_kept_and_found(admin: Person, name: str) -> None:
    answer = admin.call(
        "POST",
        ALL,
        {
            "namespace": name,
            "visibility": "private",
            "tags": [{"name": name}],
            "objects": [{"name": name}],
            "properties": {name: {"title": name, "type": "string"}},
        },
    )
    assert answer.status_code == 201, answer.text
    path = f"{ALL}/{quote(name, '')}"
    assert (answer.json or {})["self"] == f"{ALL}/{quote(name, ':')}"
    assert answer.headers["Location"].endswith(f"/{quote(name, ':')}")
    for part in ("", "tags/", "objects/", "properties/"):
        found = admin.call("GET", f"{path}/{part}{quote(name, '')}" if part else path)
        assert found.status_code == 200
        assert (found.json or {})["name" if part else "namespace"] == name
    assert name in names(admin, "&sort_key=namespace")
    assert admin.call("DELETE", path).status_code == 204


@pytest.mark.parametrize("name", ["", "x" * 81, "a/b", ".", "..", 5, None])
def test_names_that_can_have_no_path(admin: Person, name: object) -> None:
    answer = admin.call("POST", ALL, {"namespace": name})
    assert (answer.status_code, (answer.json or {})["error"]) == (400, "invalid")
    assert (answer.json or {})["message"].startswith("namespace: ")


def test_text_that_a_database_can_not_hold_is_the_same_mistake_everywhere(admin: Person) -> None:
    for path in (f"{ALL}/%00", f"{ALL}/a%0A", f"{ALL}?marker=%00"):
        assert admin.call("GET", path).status_code == 400
    assert admin.call("GET", f"{ALL}/%FF").status_code == 404
    for wanted in (
        {"namespace": "\0"},
        {"namespace": "x", "description": "a\0"},
        {"namespace": "x", "display_name": "\0b"},
        {"namespace": "x", "owner": "\0"},
        {"namespace": "x", "resource_type_associations": [{"name": "\0"}]},
    ):
        assert admin.call("POST", ALL, wanted).status_code == 400, wanted
    assert admin.call("GET", f"{ALL}?resource_types=%00").status_code == 400
    assert admin.call("POST", "/v2/metadefs/validate", {"resource_type": "\0", "properties": {}}).status_code == 400
    assert admin.call("POST", ALL, {"namespace": "x", "tags": [{"name": "\0"}]}).status_code == 400
    assert admin.call("POST", f"{make(admin)}/tags/a%00").status_code == 400
    assert admin.call("POST", f"{make(admin)}/tags/a%0A").status_code == 404, "no such path"


def test_pages_show_each_namespace_once(admin: Person) -> None:
    made = [make(admin, resource_type_associations=[{"name": f"T-{admin.project}"}]) for _ in range(8)]
    newest_first = [x.rpartition("/")[2] for x in reversed(made)]
    member = Person(admin.app, admin.project)
    assert names(member, f"&resource_types=T-{admin.project}") == newest_first
    assert names(admin, f"&resource_types=T-{admin.project},never&sort_key=namespace&sort_dir=asc") == sorted(
        newest_first
    )
    assert names(Person(admin.app, "strangers"), f"&resource_types=T-{admin.project}") == []


def test_parallel_changes_of_one_namespace_are_all_made(admin: Person) -> None:
    path = make(admin)
    codes: list[int] = []
    threads = [
        threading.Thread(
            target=lambda n=n: codes.append(  # type: ignore[misc]
                admin.call("POST", f"{path}/tags/t{n}").status_code
            )
        )
        for n in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert codes == [201] * 8
    assert len((admin.call("GET", f"{path}/tags").json or {})["tags"]) == 8


def test_too_many_parts(admin: Person) -> None:
    path = make(admin, tags=[{"name": str(n)} for n in range(5000)])
    answer = admin.call("POST", f"{path}/tags/more")
    assert (answer.status_code, (answer.json or {})["error"]) == (413, "limit_exceeded")
    assert admin.call("DELETE", path).status_code == 204


def test_a_namespace_may_be_deleted_by_anybody_the_policy_lets(admin: Person) -> None:
    """Cascades: what was in it is gone, and the name can be used again."""
    path = make(admin, namespace="again-" + admin.project, tags=[{"name": "t"}])
    assert admin.call("DELETE", path).status_code == 204
    for part in ("", "/tags", "/tags/t", "/objects", "/properties", "/resource_types"):
        assert (admin.call("GET", path + part).json or {})["error"] == "namespace_not_found"
    assert admin.call("GET", f"{make(admin, namespace='again-' + admin.project)}/tags").json == {
        "tags": [],
        "first": f"{path}/tags",
    }


# -- events ----------------------------------------------------------------------------------------
@pytest.fixture(scope="module")
def loud() -> Iterator[Service]:
    with built("sqlite", {"DEFAULT": {"notifiers": "log"}}) as made:
        yield made


def test_events(loud: Service, caplog: pytest.LogCaptureFixture) -> None:
    admin = Person(loud.app, "p", ADMIN)
    caplog.set_level(logging.INFO, "glancecore.events")
    prop = {"name": "p", "title": "P", "type": "string"}
    one = f"{ALL}/n"
    for method, path, wanted in (
        ("POST", ALL, {"namespace": "n"}),
        ("PUT", one, {"namespace": "n", "visibility": "public"}),
        ("POST", f"{one}/objects", {"name": "o"}),
        ("PUT", f"{one}/objects/o", {"name": "o"}),
        ("DELETE", f"{one}/objects/o", None),
        ("POST", f"{one}/properties", prop),
        ("PUT", f"{one}/properties/p", prop),
        ("DELETE", f"{one}/properties/p", None),
        ("POST", f"{one}/tags/t", None),
        ("PUT", f"{one}/tags/t", {"name": "u"}),
        ("DELETE", f"{one}/tags/u", None),
        ("POST", f"{one}/tags", {"tags": [{"name": "x"}, {"name": "y"}]}),
        ("POST", f"{one}/resource_types", {"name": "T"}),
        ("DELETE", f"{one}/resource_types/T", None),
        ("DELETE", f"{one}/objects", None),
        ("DELETE", f"{one}/properties", None),
        ("DELETE", f"{one}/tags", None),
        ("DELETE", one, None),
    ):
        assert admin.call(method, path, wanted).status_code < 300, (method, path)
    assert admin.call("DELETE", one).status_code == 404
    assert [x.getMessage().split()[0] for x in caplog.records if x.name == "glancecore.events"] == [
        "metadef_namespace.create",
        "metadef_namespace.update",
        "metadef_object.create",
        "metadef_object.update",
        "metadef_object.delete",
        "metadef_property.create",
        "metadef_property.update",
        "metadef_property.delete",
        "metadef_tag.create",
        "metadef_tag.update",
        "metadef_tag.delete",
        "metadef_tag.create",
        "metadef_tag.create",
        "metadef_resource_type.create",
        "metadef_resource_type.delete",
        "metadef_namespace.delete_objects",
        "metadef_namespace.delete_properties",
        "metadef_namespace.delete_tags",
        "metadef_namespace.delete",
    ]


# -- images held against the definitions -----------------------------------------------------------
DEFINITIONS = {
    "namespace": "Rules",
    "visibility": "public",
    "resource_type_associations": [{"name": IMAGE, "prefix": "r_"}],
    "properties": {
        "bus": {"title": "Bus", "type": "string", "enum": ["virtio", "ide"]},
        "cores": {"title": "Cores", "type": "integer", "minimum": 1},
    },
}


def counted(outcome: str) -> float:
    return (
        REGISTRY.get_sample_value(
            "glance_metadef_violations_total", {"namespace": "Rules", "property": "r_bus", "outcome": outcome}
        )
        or 0.0
    )


@pytest.fixture(scope="module", params=DATABASES)
def enforcing(request: pytest.FixtureRequest) -> Iterator[Service]:
    with built(request.param, {"metadefs": {"image_properties": "enforce"}}) as made:
        admin = Person(made.app, "admins", ADMIN)
        assert admin.call("POST", ALL, DEFINITIONS).status_code == 201
        private = {
            **DEFINITIONS,
            "namespace": "Private",
            "visibility": "private",
            "owner": "ours",
            "properties": {"own": {"title": "Own", "type": "boolean"}},
        }
        assert admin.call("POST", ALL, private).status_code == 201
        yield made


def test_enforced_on_create_and_patch(enforcing: Service) -> None:
    me, before = Person(enforcing.app, "me"), counted("refused")
    answer = me.call("POST", "/v2/images", {"r_bus": "floppy", "r_cores": "0"})
    assert (answer.status_code, (answer.json or {})["error"]) == (400, "properties_invalid")
    message = (answer.json or {})["message"]
    for said in ("r_bus", "rule enum", "Rules", "virtio, ide", "r_cores", "rule minimum"):
        assert said in message
    assert me.ids() == set()
    image_id = me.create(r_bus="ide", r_cores="4", bus="floppy", other="x")["id"]
    for step in (
        {"op": "replace", "path": "/r_bus", "value": "floppy"},
        {"op": "add", "path": "/r_cores", "value": "many"},
    ):
        answer = me.patch(image_id, {"op": "add", "path": "/colour", "value": "red"}, step)
        assert (answer.status_code, (answer.json or {})["error"]) == (400, "properties_invalid")
    shown = me.call("GET", f"/v2/images/{image_id}").json or {}
    assert (shown["r_bus"], shown["r_cores"], "colour" in shown) == ("ide", "4", False)
    assert me.patch(image_id, {"op": "replace", "path": "/r_bus", "value": "virtio"}).status_code == 200
    assert me.patch(image_id, {"op": "remove", "path": "/r_bus"}).status_code == 200
    assert counted("refused") == before + 2


def test_private_definitions_bind_images_of_their_owner(enforcing: Service) -> None:
    wanted = {"r_own": "perhaps"}
    assert Person(enforcing.app, "ours").call("POST", "/v2/images", wanted).status_code == 400
    assert Person(enforcing.app, "theirs").call("POST", "/v2/images", wanted).status_code == 201
    assert (
        Person(enforcing.app, "admins", ADMIN).call("POST", "/v2/images", {**wanted, "owner": "ours"}).status_code
        == 400
    )


def test_what_is_wrong_already_does_not_stop_other_changes() -> None:
    with built("sqlite", {"metadefs": {"image_properties": "report"}}) as made:
        me = Person(made.app, "me")
        image_id = me.create(r_bus="floppy")["id"]
        assert Person(made.app, "admins", ADMIN).call("POST", ALL, DEFINITIONS).status_code == 201
        before = counted("reported")
        assert me.patch(image_id, {"op": "add", "path": "/colour", "value": "red"}).status_code == 200
        assert counted("reported") == before, "r_bus has not changed"


def test_only_reported(caplog: pytest.LogCaptureFixture) -> None:
    with built("sqlite", {"metadefs": {"image_properties": "report"}}) as made:
        assert Person(made.app, "admins", ADMIN).call("POST", ALL, DEFINITIONS).status_code == 201
        before = counted("reported")
        image_id = Person(made.app, "me").create(r_bus="floppy")["id"]
        [said] = [x.getMessage() for x in caplog.records if x.name == "glancecore.features.metadefs.image_properties"]
        assert all(x in said for x in (image_id, "r_bus", "enum", "Rules"))
        assert counted("reported") == before + 1


def test_off_asks_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    with built("sqlite") as made:
        monkeypatch.setattr(type(made.database.metadefs), "find_whole", None)
        assert Person(made.app, "me").create(r_bus="floppy")["r_bus"] == "floppy"
