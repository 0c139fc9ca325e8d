"""Rows of the contract for staging, imports and tasks, over each database (8.3, 9, 10.6, 12)."""

from __future__ import annotations

import hashlib
import os
import threading
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from api import Person, people
from conftest import DATABASES, built
from import_calls import DATA, DIRECT, begin, ended, show, stage, tasks

from glancecore.assembly.lifecycle import Service
from glancecore.domain import errors
from glancecore.domain.context import Context
from glancecore.domain.image import Location
from glancecore.features.imports.extension import ImportsExtension
from glancecore.features.imports.use_cases import ImportRequest
from glancecore.kernel.transfer.store_facade import StoreFacade
from glancecore.ports.store import CHUNK

pytestmark = pytest.mark.long

WEB = {"method": {"name": "web-download", "uri": "http://192.0.2.1/x"}}
COPY = {"method": {"name": "copy-image"}, "stores": ["slow"]}


@pytest.fixture
def owner(service: Service) -> Person:
    return Person(service.app, f"p-{uuid.uuid4().hex[:6]}")


@pytest.fixture
def admin(service: Service) -> Person:
    return Person(service.app, "admins", "admin,member,reader")


def staged(person: Person, **fields: object) -> str:
    image_id = str(person.create(**fields)["id"])
    assert stage(person, image_id).status_code == 204
    return image_id


# -- staging ---------------------------------------------------------------------------------------
def test_staging(owner: Person) -> None:
    image_id = staged(owner)
    image = show(owner, image_id)
    assert (image["status"], image["size"], image["checksum"]) == ("uploading", len(DATA), None)
    assert not [x for x in image if x.startswith("os_glance")]
    assert stage(owner, image_id).status_code == 409
    assert owner.upload(image_id).status_code == 409
    assert owner.call("GET", f"/v2/images/{image_id}/file").status_code == 204


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Content_Type": "text/plain"}, 415),
        ({"x_openstack_image_size": "5"}, 400),
        ({"x_openstack_image_size": "x"}, 400),
    ],
)
def test_staging_refused(owner: Person, headers: dict[str, str], status: int) -> None:
    image_id = owner.create()["id"]
    assert stage(owner, image_id, **headers).status_code == status
    assert show(owner, image_id)["status"] == "queued"
    assert stage(owner, image_id).status_code == 204


def test_staging_needs_formats_and_a_member(owner: Person) -> None:
    assert stage(owner, owner.create(disk_format=None)["id"]).status_code == 400
    image_id = owner.create()["id"]
    assert stage(Person(owner.app, owner.project, "reader"), image_id).status_code == 403
    assert stage(Person(owner.app, "other"), image_id).status_code == 404


def test_staged_data_of_the_wrong_format_is_refused_at_once(owner: Person) -> None:
    image_id = owner.create(disk_format="qcow2")["id"]
    assert stage(owner, image_id).status_code == 415
    assert (show(owner, image_id)["status"], show(owner, image_id)["size"]) == ("queued", None)


def test_a_staged_image_can_be_deleted(owner: Person) -> None:
    image_id = staged(owner)
    assert owner.call("DELETE", f"/v2/images/{image_id}").status_code == 204
    assert owner.call("GET", f"/v2/images/{image_id}").status_code == 404


# -- the body of an import -------------------------------------------------------------------------
@pytest.mark.parametrize(
    "body",
    [
        [],
        {},
        "x",
        {"method": "glance-direct"},
        {"method": {}},
        {"method": {"name": "ftp"}},
        {"method": {"name": 5}},
        {**DIRECT, "all_stores": "yes"},
        {**DIRECT, "all_stores_must_succeed": 1},
        {**DIRECT, "stores": "fast"},
        {**DIRECT, "stores": []},
        {**DIRECT, "stores": ["fast", "fast"]},
        {**DIRECT, "all_stores": True, "stores": ["fast"]},
        {"method": {"name": "web-download"}},
        {"method": {"name": "web-download", "uri": 5}},
        {"method": {"name": "web-download", "uri": ""}},
        {"method": {"name": "glance-direct", "expected": {"crc32": "00000000"}}},
        {"method": {"name": "glance-direct", "expected": {"sha256": "zz"}}},
        {"method": {"name": "glance-direct", "expected": []}},
    ],
)
def test_a_wrong_body(owner: Person, body: object) -> None:
    image_id = staged(owner)
    answer = begin(owner, image_id, body)
    assert answer.status_code == 400, answer.text
    assert show(owner, image_id)["status"] == "uploading"
    assert tasks(owner, image_id) == []


@pytest.mark.parametrize("more", [{"all_stores": True}, {"stores": ["fast"]}])
def test_the_store_header_goes_with_nothing_else(owner: Person, more: dict[str, object]) -> None:
    assert begin(owner, staged(owner), {**DIRECT, **more}, x_image_meta_store="fast").status_code == 400


@pytest.mark.parametrize(
    "uri",
    [
        "ftp://192.0.2.1/x",
        "file:///etc/passwd",
        "http://127.0.0.1/x",
        "http://localhost/x",
        "http://0.0.0.0/x",
        "http://[::]/x",
        "http://[::1]/x",
        "http://[::ffff:127.0.0.1]/x",
        "http://[64:ff9b::7f00:1]/x",
        "http://2130706433/x",
        "http://0177.0.0.1/x",
        "http://127.1/x",
        "http://169.254.169.254/x",
        "http://10.0.0.1/x",
        "http://8.8.8.8:22/x",
        "http://user:secret@8.8.8.8/x",
        "http:///x",
        "x",
        "http://8.8.8.8\r\nx",
    ],
)
def test_a_refused_uri(owner: Person, uri: str) -> None:
    image_id = owner.create()["id"]
    answer = begin(owner, image_id, {"method": {"name": "web-download", "uri": uri}})
    assert answer.status_code == 400, answer.text
    assert "secret" not in answer.text
    assert show(owner, image_id)["status"] == "queued"


# -- who and when ----------------------------------------------------------------------------------
def test_who_may_import(owner: Person, service: Service) -> None:
    image_id = staged(owner, visibility="shared")
    who = people(service.app, owner.project)
    assert begin(who["reader"], image_id, DIRECT).status_code == 403
    assert begin(who["stranger"], image_id, DIRECT).status_code == 404
    assert begin(owner, str(uuid.uuid4()), DIRECT).status_code == 404
    assert begin(who["admin"], image_id, DIRECT).status_code == 202
    assert ended(owner, image_id)["status"] == "success"


@pytest.mark.parametrize(
    ("status", "body"),
    [
        ("queued", DIRECT),
        ("active", DIRECT),
        ("uploading", WEB),
        ("active", WEB),
        ("queued", COPY),
        ("uploading", COPY),
    ],
)
def test_the_wrong_status(owner: Person, admin: Person, status: str, body: dict[str, Any]) -> None:
    body = {**body, "method": {**body["method"], "uri": "http://8.8.8.8/x"}} if "uri" in body["method"] else body
    image_id = staged(owner) if status == "uploading" else owner.create()["id"]
    if status == "active":
        assert owner.upload(image_id, DATA).status_code == 204
    answer = begin(admin, image_id, body)
    assert answer.status_code == 409, answer.text
    assert show(owner, image_id)["status"] == status


def test_formats_must_be_set(owner: Person) -> None:
    image_id = owner.create(disk_format=None, container_format=None)["id"]
    assert begin(owner, image_id, {"method": {"name": "web-download", "uri": "http://8.8.8.8/x"}}).status_code == 409


def test_an_unknown_store(owner: Person) -> None:
    for wanted in ({"stores": ["nowhere"]}, {"stores": ["os_glance_staging_store"]}):
        answer = begin(owner, staged(owner), {**DIRECT, **wanted})
        assert answer.status_code == 409, answer.text
        assert (answer.json or {})["error"] == "unknown_store"
    assert begin(owner, staged(owner), DIRECT, x_image_meta_store="nowhere").status_code == 409


# -- what it does ----------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("wanted", "stores"),
    [
        ({}, "fast"),
        ({"stores": ["slow"]}, "slow"),
        ({"stores": ["slow", "fast"]}, "fast,slow"),
        ({"all_stores": True}, "fast,slow"),
        ({"header": "slow"}, "slow"),
    ],
)
def test_into_the_asked_stores(owner: Person, wanted: dict[str, Any], stores: str) -> None:
    image_id = staged(owner)
    header = {"x_image_meta_store": wanted["header"]} if "header" in wanted else {}
    answer = begin(owner, image_id, {**DIRECT, **{k: v for k, v in wanted.items() if k != "header"}}, **header)
    assert (answer.status_code, answer.data, answer.headers.get("Location")) == (202, b"", None)
    task = ended(owner, image_id)
    assert (task["status"], task["type"], task["image_id"]) == ("success", "api_image_import", image_id)
    assert task["result"] == {"image_id": image_id}
    image = show(owner, image_id)
    assert (image["status"], image["stores"]) == ("active", stores)
    assert image["os_hash_value"] == hashlib.sha512(DATA).hexdigest()
    assert (image["os_glance_importing_to_stores"], image["os_glance_failed_import"]) == ("", "")
    assert owner.call("GET", f"/v2/images/{image_id}/file").data == DATA


def test_an_expected_digest(owner: Person) -> None:
    image_id = staged(owner)
    good = {"md5": hashlib.md5(DATA).hexdigest().upper(), "sha256": hashlib.sha256(DATA).hexdigest()}
    assert (
        begin(
            owner, image_id, {"method": {"name": "glance-direct", "expected": {**good, "sha1": "0" * 40}}}
        ).status_code
        == 202
    )
    task = ended(owner, image_id)
    assert (task["status"], task["error"]) == ("failure", "hash_mismatch")
    assert hashlib.sha1(DATA).hexdigest() in task["message"]
    assert "0" * 40 in task["message"]
    image = show(owner, image_id)
    assert (image["status"], image["size"], image["os_glance_last_error"]) == ("queued", None, task["message"])
    assert stage(owner, image_id).status_code == 204
    assert begin(owner, image_id, {"method": {"name": "glance-direct", "expected": good}}).status_code == 202
    assert ended(owner, image_id)["status"] == "success"


def test_copy_image(owner: Person, admin: Person) -> None:
    image_id = owner.create()["id"]
    assert owner.upload(image_id, DATA).status_code == 204
    assert begin(owner, image_id, COPY).status_code == 403
    assert begin(admin, image_id, {**COPY, "stores": ["fast"]}).status_code == 400
    assert begin(admin, image_id, COPY).status_code == 202
    assert ended(owner, image_id)["status"] == "success"
    image = show(owner, image_id)
    assert (image["status"], image["stores"]) == ("active", "fast,slow")
    assert begin(admin, image_id, {"method": {"name": "copy-image"}, "all_stores": True}).status_code == 202
    assert len(tasks(owner, image_id)) == 1


# -- tasks -----------------------------------------------------------------------------------------
def test_what_others_see_of_a_task(owner: Person, service: Service) -> None:
    image_id = owner.create(visibility="community")["id"]
    assert stage(owner, image_id).status_code == 204
    body = {"method": {"name": "glance-direct", "uri": "https://user:secret@example.org/path?token=hidden"}}
    ctx = Context(user=f"user-{owner.project}", project=owner.project, roles=frozenset({"member", "reader"}))
    service.of(ImportsExtension).use_cases.start(
        ctx, image_id, lambda: ImportRequest({"name": "glance-direct"}, body=body)
    )  # a client's is not kept where it means nothing
    mine = ended(owner, image_id)
    assert mine["user_id"] == f"user-{owner.project}"
    assert mine["input"]["import_req"] == body
    [theirs] = tasks(Person(service.app, "other"), image_id)
    assert (theirs["user_id"], theirs["owner"], theirs["status"]) == (None, None, "success")
    assert "secret" not in str(theirs)
    assert "hidden" not in str(theirs)
    assert owner.call("GET", f"/v2/images/{uuid.uuid4()}/tasks").status_code == 404
    assert owner.call("POST", f"/v2/images/{image_id}/tasks").status_code == 405


def test_the_tasks_api(owner: Person, admin: Person) -> None:
    image_id = staged(owner)
    assert begin(owner, image_id, DIRECT).status_code == 202
    task_id = ended(owner, image_id)["id"]
    assert owner.call("GET", "/v2/tasks").status_code == 403
    assert owner.call("GET", f"/v2/tasks/{task_id}").status_code == 403
    one = admin.call("GET", f"/v2/tasks/{task_id}").json or {}
    assert one["schema"] == "/v2/schemas/task"
    assert one["expires_at"] is not None
    assert admin.call("GET", f"/v2/tasks/{uuid.uuid4()}").status_code == 404
    page = admin.call("GET", "/v2/tasks?limit=1").json or {}
    assert page["tasks"][0]["id"] == task_id
    assert page["next"].startswith("/v2/tasks?limit=1&marker=")
    assert (admin.call("GET", "/v2/tasks?status=failure&limit=1000").json or {})["schema"] == "/v2/schemas/tasks"
    assert task_id not in str(admin.call("GET", "/v2/tasks?status=pending&limit=1000").json)
    answer = admin.call("DELETE", f"/v2/tasks/{task_id}")
    assert answer.status_code == 405
    assert "GET" in answer.headers["Allow"]


@pytest.mark.parametrize(
    "query", ["status=x", "type=api_image_import", "limit=x", "limit=-1", "sort_key=x", "sort_dir=x", "marker=x"]
)
def test_a_wrong_question_for_tasks(admin: Person, query: str) -> None:
    assert admin.call("GET", f"/v2/tasks?{query}").status_code == 400


def test_cancel_and_retry_of_an_ended_task(owner: Person) -> None:
    image_id = staged(owner)
    assert begin(owner, image_id, DIRECT).status_code == 202
    path = f"/v2/images/{image_id}/tasks/{ended(owner, image_id)['id']}/actions"
    assert owner.call("POST", f"{path}/cancel").status_code == 409
    assert owner.call("POST", f"{path}/retry").status_code == 409
    assert owner.call("POST", f"/v2/images/{image_id}/tasks/{uuid.uuid4()}/actions/cancel").status_code == 404
    assert Person(owner.app, owner.project, "reader").call("POST", f"{path}/cancel").status_code == 403


# -- limits ----------------------------------------------------------------------------------------
@pytest.fixture(scope="module", params=DATABASES)
def small(request: pytest.FixtureRequest) -> Iterator[Service]:
    with built(request.param, {"DEFAULT": {"user_storage_quota": "1MB", "image_size_cap": 900_000}}) as made:
        yield made


def test_quotas(small: Service) -> None:
    owner = Person(small.app, f"q-{uuid.uuid4().hex[:6]}")
    assert stage(owner, owner.create()["id"], bytes(900_001)).status_code == 413
    image_id = owner.create()["id"]
    assert stage(owner, image_id, bytes(600_000)).status_code == 204
    assert begin(owner, image_id, {**DIRECT, "all_stores": True}).status_code == 413, "two copies would be too much"
    assert show(owner, image_id)["status"] == "uploading"
    assert begin(owner, image_id, DIRECT).status_code == 202
    assert ended(owner, image_id)["status"] == "success"
    assert stage(owner, owner.create()["id"], bytes(600_000)).status_code == 413


def test_a_body_that_is_too_large_is_told_its_own_bound(owner: Person) -> None:
    answer = begin(owner, staged(owner), {**DIRECT, "more": "x" * (128 << 10)})
    assert answer.status_code == 413
    assert "at most 131072 are taken here" in answer.text


@pytest.fixture(scope="module")
def without() -> Iterator[Service]:
    with built("sqlite", {"DEFAULT": {"enabled_import_methods": "[]"}}) as made:
        yield made


def test_imports_switched_off(without: Service) -> None:
    owner = Person(without.app)
    answer = owner.call("POST", "/v2/images", {"disk_format": "raw", "container_format": "bare"})
    assert "OpenStack-image-import-methods" not in answer.headers
    image_id = (answer.json or {})["id"]
    assert stage(owner, image_id).status_code == 404
    assert begin(owner, image_id, DIRECT).status_code == 400
    assert (owner.call("GET", "/v2/info/import").json or {})["import-methods"]["value"] == []


def test_when_one_store_has_failed_the_others_stop(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[int] = []
    begun, put = threading.Event(), StoreFacade.put

    def slowed(
        self: StoreFacade, key: str, chunks: Iterator[bytes], size: int | None = None, *, owner: str | None = None
    ) -> Location:
        """``slow`` has no room; ``fast`` takes its second piece only when the import knows of that."""
        if self.id == "slow":
            assert begun.wait(10)
            raise errors.StoreReadOnly("store slow takes nothing", "slow", "put")

        def noted() -> Iterator[bytes]:
            for number, piece in enumerate(chunks):
                seen.append(number)
                yield piece
                begun.set()
                end = time.monotonic() + 10
                while number == 0 and tasks(person, image_id)[0]["error"] is None:
                    assert time.monotonic() < end, "the failure is not written down while another store is written to"
                    time.sleep(0.01)
                time.sleep(0.05)  # what is written down is known to this thread a moment later

        return put(self, key, noted() if self.id == "fast" else chunks, size, owner=owner)

    def nothing_to_adopt(_store: StoreFacade, _key: str, _path: Path) -> Location:
        raise errors.Unsupported("no links", "", "adopt")

    with built("sqlite", {"imports": {"max_parallel_stores": 2}}) as made:
        person = Person(made.app)
        image_id = str(person.create()["id"])
        assert stage(person, image_id, os.urandom(4 * CHUNK)).status_code == 204
        monkeypatch.setattr(StoreFacade, "put", slowed)
        monkeypatch.setattr(StoreFacade, "adopt", nothing_to_adopt)
        assert begin(person, image_id, {**DIRECT, "stores": ["fast", "slow"]}).status_code == 202
        task = ended(person, image_id)
        assert (task["status"], task["error"], task["message"]) == (
            "failure",
            "store_read_only",
            "store slow takes nothing",
        )
        assert seen == [0]
