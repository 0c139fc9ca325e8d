"""Deleting and having back in a whole service, on each database, asked over HTTP."""

from __future__ import annotations

import contextlib
import threading
import uuid
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

import lab
import pytest
from client import HEADERS_AUTH, Client

CONFIG = lab.merged(
    HEADERS_AUTH,
    {
        "DEFAULT": {"enabled_extensions": "trash", "workers": 2, "delayed_delete": True, "scrub_time": 86400},
        "periodic": {"embedded": False},
        "ext_trash": {"cooldown_minutes": 60},
    },
)
DATA = b"what must not be lost"


@pytest.fixture(scope="module", params=["sqlite", "mariadb", "postgresql"])
def service(request: pytest.FixtureRequest) -> Iterator[lab.Service]:
    with contextlib.ExitStack() as stack:
        yield stack.enter_context(lab.service(CONFIG, database=stack.enter_context(lab.new_database(request.param))))


class Project:
    def __init__(self, url: str) -> None:
        self.name = f"p-{uuid.uuid4().hex[:8]}"
        self.owner, self.reader, self.stranger = (
            Client(url, self.name),
            Client(url, self.name, "reader"),
            Client(url, f"x-{self.name}"),
        )
        self.admin = Client(url, f"a-{self.name}", "admin,member,reader")

    def deleted(self, by: Client | None = None, **fields: object) -> str:
        image_id = str(self.owner.create(**{"name": "old", **fields})["id"])
        assert self.owner.upload(image_id, DATA).status_code == 204
        assert (by or self.owner).delete(image_id).status_code == 204
        return image_id

    def trash(self, client: Client | None = None, query: str = "") -> list[dict[str, Any]]:
        answer = (client or self.owner).call("GET", f"/trash{query}")
        assert answer.status_code == 200, answer.text
        return list(answer.json()["images"])


@pytest.fixture
def project(service: lab.Service) -> Project:
    return Project(service.url)


def test_a_deleted_image_comes_back_as_it_was(project: Project) -> None:
    image_id = str(project.owner.create(name="one", tags=["a"], colour="red", visibility="shared")["id"])
    assert project.owner.upload(image_id, DATA).status_code == 204
    assert project.owner.call("POST", f"/v2/images/{image_id}/members", {"member": "friend"}).status_code == 200
    before = project.owner.show(image_id)
    assert project.owner.delete(image_id).status_code == 204
    assert project.owner.call("GET", f"/v2/images/{image_id}").status_code == 404
    (row,) = project.trash()
    assert (row["id"], row["name"], row["size"], row["status"]) == (image_id, "one", len(DATA), "active")
    assert row["deleted_by"] == {"user": f"user-{project.name}", "project": project.name}
    assert datetime.fromisoformat(row["goes_at"]) - datetime.fromisoformat(row["deleted_at"]) == timedelta(days=1)
    assert project.owner.call("GET", f"/trash/{image_id}").json() == row
    answer = project.owner.call("POST", f"/trash/{image_id}/actions/restore")
    assert (answer.status_code, answer.json()) == (200, {"id": image_id, "status": "active"})
    assert {**project.owner.show(image_id), "updated_at": 0} == {**before, "updated_at": 0}
    assert project.owner.download(image_id).content == DATA
    assert project.owner.call("GET", f"/v2/images/{image_id}/members").json()["members"][0]["member_id"] == "friend"
    assert project.trash() == []
    assert project.owner.call("POST", f"/trash/{image_id}/actions/restore").status_code == 404


def test_a_deactivated_image_stays_deactivated(project: Project) -> None:
    image_id = str(project.owner.create()["id"])
    assert project.owner.upload(image_id, DATA).status_code == 204
    assert project.admin.call("POST", f"/v2/images/{image_id}/actions/deactivate").status_code == 204
    assert project.owner.delete(image_id).status_code == 204
    assert project.trash()[0]["status"] == "deactivated"
    assert project.owner.call("POST", f"/trash/{image_id}/actions/restore").json()["status"] == "deactivated"
    assert project.owner.download(image_id).status_code == 403


def test_pages_show_each_image_once_the_last_one_first(project: Project) -> None:
    made = [project.deleted() for _ in range(5)]
    path, seen = "/trash?limit=2", list[str]()
    while path:
        answer = project.owner.call("GET", path).json()
        assert len(answer["images"]) <= 2
        seen += [x["id"] for x in answer["images"]]
        path = answer.get("next", "")
    assert seen == made[::-1]
    assert project.owner.call("POST", f"/trash/{made[0]}/actions/restore").status_code == 200
    assert project.owner.call("GET", f"/trash?marker={made[0]}").status_code == 400
    assert project.owner.call("GET", "/trash?limit=0").status_code == 400


def test_what_is_of_others_is_not_there(project: Project) -> None:
    image_id = project.deleted(visibility="shared")
    for client in (project.stranger, Client(project.owner.url, project.name, "")):
        for method, path in (("GET", ""), ("POST", "/actions/restore"), ("DELETE", "")):
            answer = client.call(method, f"/trash/{image_id}{path}")
            assert (answer.status_code, image_id in answer.text) == (404, True), answer.text
    assert project.trash(project.stranger) == []
    assert project.stranger.call("GET", f"/trash?project={project.name}").status_code == 403
    assert project.stranger.call("GET", f"/trash?marker={image_id}").status_code == 400
    assert [x["id"] for x in project.trash(project.admin, f"?project={project.name}")] == [image_id]
    assert [x["id"] for x in project.trash(project.reader)] == [image_id]
    assert project.reader.call("POST", f"/trash/{image_id}/actions/restore").status_code == 403
    assert project.owner.call("DELETE", f"/trash/{image_id}").status_code == 403
    assert project.trash()[0]["id"] == image_id


def test_an_admin_purges(service: lab.Service, project: Project) -> None:
    image_id = project.deleted()
    stored = service.folder / "images"
    assert [x for x in stored.rglob(f"*{image_id}*") if x.is_file()]
    assert project.admin.call("DELETE", f"/trash/{image_id}").status_code == 204
    assert not [x for x in stored.rglob(f"*{image_id}*") if x.is_file()]
    assert project.admin.call("DELETE", f"/trash/{image_id}").status_code == 404
    assert project.trash() == []
    assert project.owner.call("POST", f"/trash/{image_id}/actions/restore").status_code == 404


def test_what_an_admin_of_another_project_has_deleted_is_restored_by_admins(project: Project) -> None:
    image_id = project.deleted(project.admin)
    assert project.trash()[0]["deleted_by"]["project"] == f"a-{project.name}"
    answer = project.owner.call("POST", f"/trash/{image_id}/actions/restore")
    assert (answer.status_code, "admin" in answer.text) == (403, True)
    assert (
        project.owner.call("DELETE", f"/v2/images/{image_id}").status_code == 404
    )  # which would make it the project's own deletion
    assert project.owner.call("POST", f"/trash/{image_id}/actions/restore").status_code == 403
    assert project.admin.call("POST", f"/trash/{image_id}/actions/restore").status_code == 200
    assert project.owner.delete(image_id).status_code == 204
    assert project.owner.call("POST", f"/trash/{image_id}/actions/restore").status_code == 200


def test_many_restore_and_delete_at_once(project: Project) -> None:
    """Whatever comes of it, the image is there or in the trash, whole."""
    image_id, codes = project.deleted(), set[int]()

    def go(method: str, path: str) -> None:
        client = Client(project.owner.url, project.name)
        for _ in range(10):
            codes.add(client.call(method, path).status_code)

    threads = [
        threading.Thread(target=go, args=x)
        for x in (("POST", f"/trash/{image_id}/actions/restore"), ("DELETE", f"/v2/images/{image_id}")) * 2
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert codes <= {200, 204, 404, 409}
    if project.trash():
        assert project.owner.call("POST", f"/trash/{image_id}/actions/restore").status_code == 200
    assert project.owner.download(image_id).content == DATA


def test_an_image_without_data_goes_at_once(project: Project) -> None:
    image_id = str(project.owner.create()["id"])
    assert project.owner.delete(image_id).status_code == 204
    assert project.trash() == []


# -- what was protected ----------------------------------------------------------------------------
def test_what_was_protected_is_not_deleted_at_once(project: Project) -> None:
    image_id = str(project.owner.create(protected=True)["id"])
    assert "deletable_at" not in project.owner.show(image_id)
    assert project.owner.delete(image_id).status_code == 403
    assert project.owner.patch(image_id, {"op": "replace", "path": "/protected", "value": False}).status_code == 200
    until = project.owner.show(image_id)["deletable_at"]
    for client in (project.owner, project.admin):
        answer = client.delete(image_id)
        assert (answer.status_code, until in answer.text) == (409, True), answer.text
    assert project.admin.show(image_id)["deletable_at"] == until
    assert (
        project.owner.patch(image_id, {"op": "replace", "path": "/visibility", "value": "community"}).status_code == 200
    )
    assert "deletable_at" not in project.stranger.show(image_id)
    assert project.owner.call("GET", "/v2/images").json()["images"][0]["deletable_at"] == until
    assert (
        project.owner.patch(
            image_id, {"op": "add", "path": "/deletable_at", "value": "2000-01-01T00:00:00Z"}
        ).status_code
        == 403
    )
