"""For a durable notifier the events of each change are in the very commit that makes it."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import pytest
from api import Person

from glancecore.assembly.lifecycle import Service
from glancecore.ports.outbox_repository import EventsRecorded

from .conftest import built

Commits = list[tuple[set[str], list[str]]]
NAMESPACES = "/v2/metadefs/namespaces"


@pytest.fixture(scope="module")
def telling() -> Iterator[Service]:
    """A service that writes events for one receiver and delivers none."""
    config = {
        "DEFAULT": {"notifiers": "webhook"},
        "notify_webhook": {"endpoints": "nobody"},
        "webhook_nobody": {"url": "http://127.0.0.1:9/"},
        "outbox": {"deliver": False},
    }
    with built("sqlite", config) as made:
        yield made


@pytest.fixture
def commits(telling: Service, monkeypatch: pytest.MonkeyPatch) -> Commits:
    """Of each commit its changes, and the events that it records."""
    seen: Commits = []
    for repository in (telling.database.images, telling.database.metadefs):

        def commit(*changes: Any, kept: Any = repository.commit) -> None:
            kept(*changes)
            seen.append(
                (
                    {type(x).__name__ for x in changes} - {"EventsRecorded"},
                    [y.type for x in changes if isinstance(x, EventsRecorded) for y in x.events],
                )
            )

        monkeypatch.setattr(repository, "commit", commit)
    return seen


@pytest.fixture
def owner(telling: Service) -> Person:
    return Person(telling.app)


def told(commits: Commits) -> Commits:
    found = [x for x in commits if x[1]]
    commits.clear()
    return found


def test_images_and_their_data(owner: Person, commits: Commits) -> None:
    image = owner.create(name="n")["id"]
    assert told(commits) == [({"ImageAdded", "WithinLimits"}, ["image.create"])]
    assert owner.upload(image).status_code == 204
    assert told(commits) == [
        ({"ImageChanged", "LeaseTaken"}, ["image.prepare"]),
        ({"ImageChanged", "LeaseEnded"}, ["image.upload", "image.activate"]),
    ]
    assert owner.patch(image, {"op": "replace", "path": "/name", "value": "m"}).status_code == 200
    assert owner.call("PUT", f"/v2/images/{image}/tags/t").status_code == 204
    assert told(commits) == [({"ImageChanged"}, ["image.update"]), ({"ImageChanged", "WithinLimits"}, ["image.update"])]
    answer = owner.call("GET", f"/v2/images/{image}/file")
    assert answer.data == b"data"
    answer.close()  # it is told when the server is done with it
    assert told(commits) == [(set(), ["image.send"])]
    assert owner.call("DELETE", f"/v2/images/{image}").status_code == 204
    assert told(commits) == [({"ImageRemoved", "LeaseEnded"}, ["image.delete"])]


def test_what_is_refused_is_not_told(owner: Person, commits: Commits, telling: Service) -> None:
    image = owner.create(name="n", protected=True)["id"]
    told(commits)
    assert owner.call("POST", "/v2/images", {"id": image}).status_code == 409
    assert owner.call("DELETE", f"/v2/images/{image}").status_code == 403
    assert owner.upload(image, b"data", x_openstack_image_size="7").status_code == 400
    before = len(telling.database.outbox.find(limit=1000))
    assert owner.upload(image, b"data", x_image_meta_store="no-such").status_code == 400
    assert len(telling.database.outbox.find(limit=1000)) == before
    assert [types for _, types in told(commits) if types != ["image.prepare"]] == []


def test_an_image_without_data_is_deleted_in_one_commit(owner: Person, commits: Commits) -> None:
    image = owner.create()["id"]
    assert owner.call("DELETE", f"/v2/images/{image}").status_code == 204
    assert told(commits)[1:] == [({"ImageChanged", "ImageRemoved"}, ["image.delete"])]


def test_members(owner: Person, commits: Commits, telling: Service) -> None:
    image, guest = owner.create()["id"], Person(telling.app, "guest")
    told(commits)
    path = f"/v2/images/{image}/members"
    assert owner.call("POST", path, {"member": "guest"}).status_code == 200
    assert guest.call("PUT", f"{path}/guest", {"status": "accepted"}).status_code == 200
    assert owner.call("DELETE", f"{path}/guest").status_code == 204
    assert told(commits) == [
        ({"MemberAdded"}, ["image.member.create"]),
        ({"MemberChanged"}, ["image.member.update"]),
        ({"MemberRemoved"}, ["image.member.delete"]),
    ]


def test_imports_and_copies(owner: Person, commits: Commits, telling: Service) -> None:
    image = owner.create(name="n")["id"]
    told(commits)
    assert (
        owner.call("PUT", f"/v2/images/{image}/stage", b"data", Content_Type="application/octet-stream").status_code
        == 204
    )
    assert told(commits) == [({"ImageChanged", "LeaseEnded"}, ["image.update"])]
    assert (
        owner.call(
            "POST", f"/v2/images/{image}/import", {"method": {"name": "glance-direct"}, "stores": ["fast", "slow"]}
        ).status_code
        == 202
    )
    end = time.monotonic() + 60
    while (owner.call("GET", f"/v2/images/{image}").json or {})["status"] != "active":
        assert time.monotonic() < end
        time.sleep(0.02)
    assert told(commits) == [
        ({"ImageChanged", "LeaseTaken", "TaskAdded"}, ["task.create"]),
        ({"TaskChanged", "LeaseChanged"}, ["task.run", "task.processing"]),
        ({"ImageChanged", "TaskChanged", "LeaseEnded"}, ["image.upload", "image.activate", "task.success"]),
    ]
    admin = Person(telling.app, "admins", "admin,member,reader")
    assert admin.call("DELETE", f"/v2/stores/slow/{image}").status_code == 204
    assert told(commits) == [({"ImageChanged", "LeaseTaken"}, ["image.update"])]


def test_metadata_definitions(commits: Commits, telling: Service) -> None:
    admin = Person(telling.app, "admins", "admin,member,reader")
    for method, path, body, status in [
        ("POST", "", {"namespace": "ns"}, 201),
        ("PUT", "/ns", {"namespace": "ns2"}, 200),
        ("POST", "/ns2/tags/blue", None, 201),
        ("POST", "/ns2/objects", {"name": "o"}, 201),
        ("DELETE", "/ns2/objects/o", None, 204),
        ("DELETE", "/ns2/tags", None, 204),
        ("DELETE", "/ns2", None, 204),
    ]:
        assert admin.call(method, f"{NAMESPACES}{path}", body, Content_Type="application/json").status_code == status, (
            path
        )
    changed = {"NamespaceChanged"}
    assert told(commits) == [
        ({"NamespaceAdded"}, ["metadef_namespace.create"]),
        (changed, ["metadef_namespace.update"]),
        (changed, ["metadef_tag.create"]),
        (changed, ["metadef_object.create"]),
        (changed, ["metadef_object.delete"]),
        (changed, ["metadef_namespace.delete_tags"]),
        ({"NamespaceRemoved"}, ["metadef_namespace.delete"]),
    ]


def test_who_did_it(owner: Person, telling: Service) -> None:
    """By a request, from its beginning to the download's end; and an import's events name who asked for it."""
    image = owner.create(name="n")["id"]
    assert owner.upload(image).status_code == 204
    owner.call("GET", f"/v2/images/{image}/file", X_OpenStack_Request_Id="req-mine").close()
    found = [x.event for x in telling.database.outbox.find(limit=1000) if x.event.subject == image]
    assert [x.type for x in found] == ["image.create", "image.prepare", "image.upload", "image.activate", "image.send"]
    for event in found:
        assert event.initiator is not None
        assert (event.initiator.user, event.initiator.project, event.initiator.address) == (
            f"user-{owner.project}",
            owner.project,
            "127.0.0.1",
        )
        assert event.initiator.roles == ("member", "reader")
    data = f"/v2/images/{image}/file"
    assert [x.initiator.request for x in found if x.initiator] == [
        "POST /v2/images",
        *[f"PUT {data}"] * 3,
        f"GET {data}",
    ]
    assert found[-1].initiator is not None
    assert found[-1].initiator.request_id == "req-mine"
    assert len({x.initiator.request_id for x in found if x.initiator}) == 3

    image = owner.create(name="m")["id"]
    owner.call("PUT", f"/v2/images/{image}/stage", b"data", Content_Type="application/octet-stream")
    asked = owner.call(
        "POST", f"/v2/images/{image}/import", {"method": {"name": "glance-direct"}}, X_OpenStack_Request_Id="req-import"
    )
    assert asked.status_code == 202
    end = time.monotonic() + 30
    while (owner.call("GET", f"/v2/images/{image}").json or {})["status"] != "active":
        assert time.monotonic() < end
        time.sleep(0.05)
    imported = [
        x.event
        for x in telling.database.outbox.find(limit=1000)
        if x.event.type in ("task.success", "image.activate") and x.event.subject == image
    ]
    assert len(imported) == 2
    assert {(x.initiator.user, x.initiator.project, x.initiator.request_id) for x in imported if x.initiator} == {
        (f"user-{owner.project}", owner.project, "req-import")
    }
