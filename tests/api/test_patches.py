"""Every row of the patch table, over every database."""

from __future__ import annotations

import uuid
from typing import Any

import pytest
from api import V20, V21, Person, people

from glancecore.assembly.lifecycle import Service


@pytest.fixture(scope="module")
def who(service: Service) -> dict[str, Person]:
    return people(service.app, f"p-{uuid.uuid4().hex[:6]}")


def _step(op: str, path: str, *value: Any) -> dict[str, Any]:
    return {"op": op, "path": path, **({"value": value[0]} if value else {})}


#: (who, the operations, status of the answer, fields of the image afterwards)
ROWS: list[tuple[str, list[Any], int, dict[str, Any]]] = [
    ("owner", [], 200, {"name": "old"}),
    ("owner", [_step("replace", "/name", "new")], 200, {"name": "new"}),
    ("owner", [_step("add", "/name", "new")], 200, {"name": "new"}),
    ("owner", [_step("replace", "/name", None)], 200, {"name": None}),
    ("owner", [_step("add", "/color", "red")], 200, {"color": "red"}),
    ("owner", [_step("add", "/kept", "other")], 200, {"kept": "other"}),
    ("owner", [_step("replace", "/kept", "other")], 200, {"kept": "other"}),
    ("owner", [_step("remove", "/kept")], 200, {"kept": ...}),
    ("owner", [_step("add", "/a~1b~0c", "x")], 200, {"a/b~c": "x"}),
    ("owner", [_step("add", "/x", "1"), _step("replace", "/x", "2"), _step("remove", "/x")], 200, {"x": ...}),
    ("owner", [_step("replace", "/tags", ["b", "a", "b"])], 200, {"tags": ["a", "b"]}),
    ("owner", [_step("replace", "/min_ram", 5), _step("replace", "/min_disk", 6)], 200, {"min_ram": 5, "min_disk": 6}),
    ("owner", [_step("replace", "/protected", True), _step("replace", "/protected", False)], 200, {"protected": False}),
    ("owner", [_step("replace", "/os_hidden", True)], 200, {"os_hidden": True}),
    ("owner", [_step("replace", "/disk_format", "qcow2")], 200, {"disk_format": "qcow2"}),
    ("owner", [_step("replace", "/visibility", "community")], 200, {"visibility": "community"}),
    ("admin", [_step("replace", "/visibility", "public")], 200, {"visibility": "public"}),
    ("admin", [_step("replace", "/owner", "elsewhere")], 200, {"owner": "elsewhere"}),
    ("owner", [_step("add", "/\U0001f600", "\U0001f600")], 200, {"\U0001f600": "\U0001f600"}),
    (
        "owner",
        [
            _step("add", "/member", "plain"),
            _step("add", "/delete", "plain"),
            _step("add", "/extra_properties", "plain"),
        ],
        200,
        {"member": "plain", "delete": "plain", "extra_properties": "plain"},
    ),
    # all or nothing
    ("owner", [_step("replace", "/name", "new"), _step("remove", "/missing")], 409, {"name": "old"}),
    # missing
    ("owner", [_step("replace", "/missing", "x")], 409, {"missing": ...}),
    ("owner", [_step("remove", "/missing")], 409, {}),
    # base fields stay
    *[
        ("owner", [_step("remove", f"/{x}")], 403, {"name": "old"})
        for x in ("name", "tags", "visibility", "min_ram", "owner")
    ],
    # read only
    *[
        ("owner", [_step(op, f"/{x}", "x")], 403, {"status": "queued"})
        for op in ("add", "replace", "remove")
        for x in (
            "created_at",
            "updated_at",
            "status",
            "checksum",
            "size",
            "virtual_size",
            "direct_url",
            "self",
            "file",
            "schema",
            "id",
            "os_hash_algo",
            "os_hash_value",
            "stores",
            "location",
            "deleted",
            "deleted_at",
            "os_glance_x",
            "os_glance_import_task",
        )
    ],
    ("owner", [_step("add", "/image_id", str(uuid.uuid4()))], 403, {}),
    ("owner", [_step("replace", "/image_id", str(uuid.uuid4()))], 403, {}),
    # owner
    ("owner", [_step("replace", "/owner", "elsewhere")], 403, {"name": "old"}),
    ("owner", [_step("add", "/owner", "elsewhere")], 403, {"name": "old"}),
    # visibility
    ("owner", [_step("replace", "/visibility", "public")], 403, {"visibility": "shared"}),
    # values
    ("owner", [_step("replace", "/visibility", "secret")], 400, {}),
    ("owner", [_step("replace", "/name", "x" * 256)], 400, {}),
    ("owner", [_step("replace", "/name", 7)], 400, {}),
    ("owner", [_step("replace", "/disk_format", "floppy")], 400, {}),
    ("owner", [_step("replace", "/min_ram", -1)], 400, {}),
    ("owner", [_step("replace", "/min_ram", 2**31)], 400, {}),
    ("owner", [_step("replace", "/protected", "yes")], 400, {}),
    ("owner", [_step("replace", "/tags", ["x" * 256])], 400, {}),
    ("owner", [_step("replace", "/tags", "a")], 400, {}),
    ("owner", [_step("add", "/color", None)], 400, {}),
    ("owner", [_step("add", "/color", 7)], 400, {}),
    ("owner", [_step("add", "/color", {"a": "b"})], 400, {}),
    ("owner", [_step("add", "/" + "x" * 256, "x")], 400, {}),
    # form of the operations
    ("owner", ["x"], 400, {}),
    ("owner", [{"path": "/name", "value": "x"}], 400, {}),
    ("owner", [{"op": "add", "value": "x"}], 400, {}),
    ("owner", [_step("add", "/name")], 400, {}),
    *[("owner", [_step(op, "/name", "x")], 400, {}) for op in ("move", "copy", "test", "put", "")],
    *[
        ("owner", [_step("add", path, "x")], 400, {})
        for path in ("name", "//name", "/name/", "/a/b", "/a~2", "/a~", "/tags/-", "", 7, None, ["name"], {})
    ],
    # quotas
    ("owner", [_step("add", f"/p{x}", "x") for x in range(128)], 413, {"p1": ...}),
    ("owner", [_step("add", f"/p{x}", "x") for x in range(127)], 200, {"p126": "x"}),
    ("owner", [_step("replace", "/tags", [str(x) for x in range(129)])], 413, {}),
    # people
    ("reader", [_step("replace", "/name", "new")], 403, {"name": "old"}),
    ("stranger", [_step("replace", "/name", "new")], 404, {"name": "old"}),
]


@pytest.mark.parametrize("row", ROWS, ids=lambda x: str(x[:3])[:100])
def test_row(who: dict[str, Person], row: tuple[str, list[Any], int, dict[str, Any]]) -> None:
    name, steps, status, after = row
    image_id = who["owner"].create(name="old", kept="kept")["id"]
    answer = who[name].patch(image_id, *steps)
    assert answer.status_code == status, answer.text
    image = who["admin"].call("GET", f"/v2/images/{image_id}").json or {}
    for field, value in after.items():
        assert image.get(field, ...) == value
    if status == 200:
        assert answer.json == image
    else:
        error = answer.json or {}
        assert error["error"] not in ("", "internal_error")
        assert error["message"]


OLD: list[tuple[list[Any], int]] = [
    ([{"add": "/color", "value": "red"}], 200),
    ([{"replace": "/name", "value": "new"}], 200),
    ([{"remove": "/kept"}], 200),
    ([{"add": "/kept", "value": "x"}], 409),
    ([{"add": "/name", "value": "x"}], 409),
    ([{"replace": "/missing", "value": "x"}], 409),
    ([{"move": "/name", "value": "x"}], 400),
    ([{"add": "/color"}], 400),
]


@pytest.mark.parametrize(("steps", "status"), OLD, ids=str)
def test_the_old_dialect(who: dict[str, Person], steps: list[Any], status: int) -> None:
    image_id = who["owner"].create(name="old", kept="kept")["id"]
    assert who["owner"].patch(image_id, *steps, dialect=V20).status_code == status


@pytest.mark.parametrize(
    "content_type", ["application/json", "application/openstack-images-v2.2-json-patch", "", "text/plain"]
)
def test_other_content_types_are_refused_with_those_that_are_taken(who: dict[str, Person], content_type: str) -> None:
    image_id = who["owner"].create()["id"]
    answer = who["owner"].call("PATCH", f"/v2/images/{image_id}", [], Content_Type=content_type)
    assert answer.status_code == 415
    assert V20 in answer.headers["Accept-Patch"]
    assert V21 in answer.headers["Accept-Patch"]


@pytest.mark.parametrize("body", [b"", b"{", b"7", b'"x"', b"{}", b"null"])
def test_a_body_that_is_no_list_is_refused(who: dict[str, Person], body: bytes) -> None:
    image_id = who["owner"].create()["id"]
    assert who["owner"].call("PATCH", f"/v2/images/{image_id}", body, Content_Type=V21).status_code == 400


def test_formats_are_fixed_once_there_is_data(who: dict[str, Person]) -> None:
    image_id = who["owner"].create()["id"]
    assert who["owner"].upload(image_id).status_code == 204
    assert who["owner"].patch(image_id, _step("replace", "/disk_format", "iso")).status_code == 403
    assert who["owner"].patch(image_id, _step("replace", "/name", "new")).status_code == 200


def test_an_image_above_its_quota_stays_editable(service: Service, who: dict[str, Person]) -> None:
    image_id = who["owner"].create(**{f"p{x}": "x" for x in range(128)})["id"]
    repository = service.database.images
    before = repository.get_any(image_id)
    from dataclasses import replace

    from glancecore.ports.repository import ImageChanged

    after = replace(before, properties={**before.properties, "p128": "x"}, version=before.version + 1)
    repository.commit(ImageChanged(before, after))
    assert who["owner"].patch(image_id, _step("replace", "/p1", "y")).status_code == 200
    assert who["owner"].patch(image_id, _step("remove", "/p1")).status_code == 200
    assert who["owner"].patch(image_id, _step("add", "/q", "y")).status_code == 413
