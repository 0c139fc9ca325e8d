"""Limits of projects: set by an administrator, and kept wherever the default's are, over each database."""

from __future__ import annotations

import uuid
from concurrent.futures import ThreadPoolExecutor

import pytest
from api import Person

from glancecore.assembly.lifecycle import Service
from glancecore.kernel import project_quota

NAMES = ("image_size_total", "image_stage_total", "image_count_total", "image_count_uploading")
MIB = 1 << 20


@pytest.fixture(autouse=True)
def _known_at_once(monkeypatch: pytest.MonkeyPatch, service: Service) -> None:
    """The nodes of this test look at the table each time."""
    monkeypatch.setattr(project_quota.ProjectQuota, "_own", lambda quota, project: quota.table.of(project))


@pytest.fixture
def admin(service: Service) -> Person:
    return Person(service.app, "admins", "admin,member,reader")


@pytest.fixture
def owner(service: Service) -> Person:
    return Person(service.app, f"p-{uuid.uuid4().hex[:8]}")


def create(person: Person, status: int = 201) -> str:
    answer = person.call("POST", "/v2/images", {"disk_format": "raw", "container_format": "bare"})
    assert answer.status_code == status, answer.text
    return str((answer.json or {}).get("id"))


def upload(person: Person, image_id: str, size: int) -> tuple[int, str]:
    answer = person.call("PUT", f"/v2/images/{image_id}/file", b"x" * size, Content_Type="application/octet-stream")
    return answer.status_code, answer.text


def test_limits_are_set_shown_kept_and_unset(admin: Person, owner: Person) -> None:
    path = f"/v2/quotas/{owner.project}"
    assert owner.call("GET", "/v2/info/usage").json == {"usage": {}}, "nothing is limited"
    answer = admin.call("PATCH", path, {"image_count_total": 2, "image_size_total": 1})
    assert answer.status_code == 200, answer.text
    rows = {
        "image_size_total": {"usage": 0, "limit": 1},
        "image_stage_total": {"usage": 0, "limit": -1},
        "image_count_total": {"usage": 0, "limit": 2},
        "image_count_uploading": {"usage": 0, "limit": -1},
    }
    assert (
        answer.json
        == {"project_id": owner.project, "limits": {"image_size_total": 1, "image_count_total": 2}, "usage": rows}
        == admin.call("GET", path).json
    )
    assert owner.call("GET", "/v2/info/usage").json == {"usage": rows}
    first = create(owner)
    second = create(owner)
    answer = owner.call("POST", "/v2/images", {})
    assert answer.status_code == 413
    assert "image_count_total" in answer.text
    assert upload(owner, first, MIB)[0] == 204
    status, text = upload(owner, second, 1)
    assert status == 413, text
    assert "image_size_total" in text
    assert admin.call("PATCH", path, {"image_count_total": None, "image_size_total": 2}).json["limits"] == {
        "image_size_total": 2
    }
    create(owner)
    assert upload(owner, second, 1)[0] == 204
    assert admin.call("DELETE", path).status_code == 204 == admin.call("DELETE", path).status_code
    assert admin.call("GET", path).json["limits"] == {}
    assert owner.call("GET", "/v2/info/usage").json == {"usage": {}}


def test_staging_and_the_number_of_uploads_are_limited(admin: Person, owner: Person) -> None:
    image, path = create(owner), f"/v2/quotas/{owner.project}"
    for limits, name in (
        ({"image_stage_total": 0}, "image_stage_total"),
        ({"image_stage_total": None, "image_count_uploading": 0}, "image_count_uploading"),
    ):
        assert admin.call("PATCH", path, limits).status_code == 200
        answer = owner.call("PUT", f"/v2/images/{image}/stage", b"xy", Content_Type="application/octet-stream")
        assert answer.status_code == 413, answer.text
        assert name in answer.text
    assert upload(owner, image, 1)[0] == 413, "an upload counts as well"
    assert admin.call("PATCH", path, {"image_count_uploading": 1}).status_code == 200
    assert upload(owner, image, 1)[0] == 204


def test_other_projects_and_others_than_admins_have_nothing_of_it(
    admin: Person, owner: Person, service: Service
) -> None:
    assert admin.call("PATCH", f"/v2/quotas/{owner.project}", {"image_count_total": 0}).status_code == 200
    create(Person(service.app, f"{owner.project}x"))
    create(owner, 413)
    for method, path, body in (
        ("GET", "/v2/quotas", None),
        ("GET", f"/v2/quotas/{owner.project}", None),
        ("PATCH", f"/v2/quotas/{owner.project}", {"image_count_total": 5}),
        ("DELETE", f"/v2/quotas/{owner.project}", None),
    ):
        assert owner.call(method, path, body).status_code == 403, (method, path)
    create(owner, 413)


@pytest.mark.parametrize(
    "body",
    [
        {},
        [],
        None,
        {"image_count_total": "5"},
        {"image_count_total": 1.5},
        {"image_count_total": True},
        {"image_count_total": -2},
        {"images": 5},
        {"image_count_total": 1 << 63},
        {"image_size_total": (1 << 42) + 1},
        {"image_count_total": [1]},
        {"image_count_total": 1, "x": 2},
    ],
    ids=repr,
)
def test_what_is_no_limit_is_refused_and_nothing_is_set(admin: Person, owner: Person, body: object) -> None:
    path = f"/v2/quotas/{owner.project}"
    answer = admin.call("PATCH", path, body)
    assert answer.status_code == 400, answer.text
    assert admin.call("GET", path).json["limits"] == {}


@pytest.mark.parametrize("project", ["x" * 256, "a%0Ab", "%00", "%C2%85"])
def test_what_is_no_project_is_refused(admin: Person, project: str) -> None:
    for method, body in (("GET", None), ("PATCH", {"image_count_total": 5}), ("DELETE", None)):
        assert admin.call(method, f"/v2/quotas/{project}", body).status_code in (400, 404), method


@pytest.mark.parametrize(
    "project", ["a b", "a/b", "%27%20OR%201=1%20--", "%F0%9F%98%80", "x" * 255, "%25", "A", "a", "a%20"]
)
def test_projects_of_any_name_are_kept_apart(admin: Person, project: str) -> None:
    path = f"/v2/quotas/{project}"
    assert admin.call("GET", path).json["limits"] == {}
    assert admin.call("PATCH", path, {"image_count_total": len(project)}).json["limits"] == {
        "image_count_total": len(project)
    }
    assert admin.call("GET", path).json["limits"] == {"image_count_total": len(project)}
    assert admin.call("DELETE", path).status_code == 204


def test_the_highest_limits_are_kept_exactly(admin: Person, owner: Person) -> None:
    highest = {
        "image_size_total": 1 << 42,
        "image_stage_total": 1 << 42,
        "image_count_total": 1 << 62,
        "image_count_uploading": 1 << 62,
    }
    assert admin.call("PATCH", f"/v2/quotas/{owner.project}", highest).json["limits"] == highest
    assert upload(owner, create(owner), 1)[0] == 204
    assert {x: y["limit"] for x, y in owner.call("GET", "/v2/info/usage").json["usage"].items()} == highest


def test_many_writers_at_once_lose_nothing(service: Service, owner: Person) -> None:
    """Each sets a resource of its own, on one row that none of them has seen."""
    path = f"/v2/quotas/{owner.project}"
    for turn in range(5):
        wanted = {name: 10 * turn + number for number, name in enumerate(NAMES)}
        with ThreadPoolExecutor(len(NAMES)) as pool:
            people = [Person(service.app, "admins", "admin,member,reader") for _ in NAMES]
            answers = [
                x.result()
                for x in [
                    pool.submit(person.call, "PATCH", path, {name: value})
                    for person, (name, value) in zip(people, wanted.items(), strict=True)
                ]
            ]
        assert [x.status_code for x in answers] == [200] * len(NAMES), [x.text for x in answers]
        assert people[0].call("GET", path).json["limits"] == wanted
        if turn % 2:
            assert people[0].call("DELETE", path).status_code == 204


def test_the_list_has_pages(admin: Person) -> None:
    mine = f"q-{uuid.uuid4().hex[:8]}-"
    for number in range(5):
        assert admin.call("PATCH", f"/v2/quotas/{mine}{number}", {"image_count_total": number}).status_code == 200
    path, found = f"/v2/quotas?limit=2&marker={mine}", []
    while path:
        page = admin.call("GET", path).json
        assert len(page["quotas"]) <= 2
        found += [x for x in page["quotas"] if x["project_id"].startswith(mine)]
        path = page.get("next", "")
    assert found == [{"project_id": f"{mine}{x}", "limits": {"image_count_total": x}} for x in range(5)]
