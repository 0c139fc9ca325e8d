"""What is awkward to say in YAML: tags in UTF-8, long tags, property protection, quotas, OpenAPI."""

from __future__ import annotations

import os
import threading
import uuid
from collections.abc import Iterator
from typing import Any

import pytest
from api import Person
from conftest import DATABASES, built

from glancecore.assembly.lifecycle import Service

pytestmark = pytest.mark.long


@pytest.fixture
def owner(service: Service) -> Person:
    return Person(service.app, f"p-{uuid.uuid4().hex[:6]}")


def test_tags_in_a_path_are_utf8(owner: Person) -> None:
    path = f"/v2/images/{owner.create()['id']}"
    for method, status in (("PUT", 204), ("PUT", 204), ("GET", 0), ("DELETE", 204), ("DELETE", 404)):
        if method == "GET":
            assert (owner.call("GET", path).json or {})["tags"] == ["gr\u00fcn \U0001f600"]
        else:
            assert owner.call(method, f"{path}/tags/gr%C3%BCn%20%F0%9F%98%80").status_code == status
    assert owner.call("PUT", f"{path}/tags/%FF").status_code == 400
    assert owner.call("PUT", f"{path}/tags/{'x' * 256}").status_code == 400
    assert owner.call("PUT", f"{path}/tags/{'x' * 255}").status_code == 204


def test_a_tag_too_many(owner: Person) -> None:
    image_id = owner.create(tags=[str(x) for x in range(128)])["id"]
    assert owner.call("PUT", f"/v2/images/{image_id}/tags/x").status_code == 413
    assert owner.call("PUT", f"/v2/images/{image_id}/tags/5").status_code == 204


def test_a_member_too_many(owner: Person) -> None:
    image_id = owner.create()["id"]
    answers = [
        owner.call("POST", f"/v2/images/{image_id}/members", {"member": f"m{x}"}).status_code for x in range(129)
    ]
    assert answers == [200] * 128 + [413]


# -- property protection ---------------------------------------------------------------------------
RULES = """
[^x_owner_.*]
create = admin,member
read = admin,member
update = admin,member
delete = admin,member
[^x_secret$]
create = admin
read = admin
update = admin
delete = admin
[^x_fixed$]
create = @
read = @
update = !
delete = !
[^x_.*]
create = @
read = @
update = @
delete = @
"""


@pytest.fixture(scope="module", params=DATABASES)
def protected(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    file = tmp_path_factory.mktemp("protection") / "rules.conf"
    file.write_text(RULES)
    with built(request.param, {"DEFAULT": {"property_protection_file": file}}) as made:
        yield made


def test_property_protection(protected: Service) -> None:
    member, admin = Person(protected.app), Person(protected.app, "admins", "admin,member,reader")
    reader = Person(protected.app, roles="reader")
    for name, status in (("x_secret", 403), ("unmatched", 403), ("x_any", 201), ("x_fixed", 201), ("x_owner_a", 201)):
        wanted = {"disk_format": "raw", "container_format": "bare", name: "v"}
        assert member.call("POST", "/v2/images", wanted).status_code == status, name
    image_id = member.create(x_any="v", x_fixed="v", x_owner_a="v")["id"]
    path = f"/v2/images/{image_id}"
    secret = {"op": "add", "path": "/x_secret", "value": "sesame"}
    assert member.patch(image_id, secret).status_code == 403
    assert admin.patch(image_id, secret).status_code == 200
    assert "x_secret" not in (member.call("GET", path).json or {})
    assert (admin.call("GET", path).json or {})["x_secret"] == "sesame"
    assert "x_owner_a" not in (reader.call("GET", path).json or {}), "not matched roles read nothing"
    for op in ("replace", "remove"):
        assert member.patch(image_id, {**secret, "op": op}).status_code == 409, "what can't be read is not there"
        assert member.patch(image_id, {"op": op, "path": "/x_fixed", "value": "w"}).status_code == 403
    assert admin.ids("x_secret=sesame") == {image_id}
    assert member.ids("x_secret=sesame") == set(), "a filter must not tell what can't be read"
    assert member.ids("x_any=v") >= {image_id}


# -- quotas ----------------------------------------------------------------------------------------
@pytest.fixture(scope="module", params=DATABASES)
def limited(request: pytest.FixtureRequest) -> Iterator[Service]:
    config = {"DEFAULT": {"user_storage_quota": "1MB", "project_image_quota": 6, "image_size_cap": 3 << 20}}
    with built(request.param, config) as made:
        yield made


def _limited_owner(service: Service) -> Person:
    return Person(service.app, f"p-{uuid.uuid4().hex[:6]}")


def test_the_size_cap(limited: Service) -> None:
    owner = _limited_owner(limited)
    image_id = owner.create()["id"]
    answer = owner.upload(image_id, bytes((3 << 20) + 1))
    assert answer.status_code == 413
    assert "image_size_cap" in (answer.json or {})["message"]
    assert owner.upload(image_id, b"small").status_code == 204


def test_the_storage_quota(limited: Service) -> None:
    owner = _limited_owner(limited)
    first, second = owner.create()["id"], owner.create()["id"]
    assert owner.upload(first, bytes(700_000)).status_code == 204
    answer = owner.upload(second, bytes(400_000))
    assert (answer.status_code, (answer.json or {})["error"]) == (413, "quota_exceeded")
    assert (owner.call("GET", f"/v2/images/{second}").json or {})["status"] == "queued"
    assert owner.upload(second, bytes(300_000)).status_code == 204
    assert owner.call("DELETE", f"/v2/images/{first}").status_code == 204
    third = owner.create()["id"]
    assert owner.upload(third, bytes(700_000)).status_code == 204


def test_the_number_of_images(limited: Service) -> None:
    owner = _limited_owner(limited)
    made = [owner.call("POST", "/v2/images", {}) for _ in range(7)]
    assert [x.status_code for x in made] == [201] * 6 + [413]
    assert owner.call("DELETE", f"/v2/images/{(made[0].json or {})['id']}").status_code == 204
    assert owner.call("POST", "/v2/images", {}).status_code == 201


def test_parallel_uploads_and_creates_never_overshoot(limited: Service) -> None:
    """Reserved, not just checked."""
    owner = _limited_owner(limited)
    ids = [owner.create()["id"] for _ in range(5)]
    answers: list[int] = []

    def upload(image_id: str) -> None:
        answers.append(owner.upload(image_id, bytes(300_000)).status_code)

    _together([threading.Thread(target=upload, args=(x,)) for x in ids])
    assert sorted(answers) == [204, 204, 204, 413, 413]
    codes: list[int] = []
    _together(
        [
            threading.Thread(target=lambda: codes.append(owner.call("POST", "/v2/images", {}).status_code))
            for _ in range(8)
        ]
    )
    assert sorted(codes) == [201] + [413] * 7


def _together(threads: list[threading.Thread]) -> None:
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


# -- the document ----------------------------------------------------------------------------------
def test_every_route_is_described(service: Service) -> None:
    document = (Person(service.app).call("GET", "/openapi.json").json or {})["paths"]
    for rule in service.app.url_map.iter_rules():
        path = rule.rule.replace("<path:", "{").replace("<", "{").replace(">", "}")
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}:
            if path != "/openapi.json":
                assert method.lower() in document[path], (method, path)


def test_data_survives_odd_names(owner: Person) -> None:
    names: list[Any] = ["", " ", "/", "\\", "'", '"', "%", "a" * 255]
    for name in names:
        image = owner.create(name=name, tags=[name], **{f"p{os.urandom(2).hex()}": f"{name}\n\t"})
        assert image["name"] == name
        assert image["tags"] == [name]
    assert owner.create(name="\u202e", description="\u202e")["name"] == "\u202e"
