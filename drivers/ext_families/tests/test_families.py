"""Families, versions and channels in a whole service, on each database, asked over HTTP."""

from __future__ import annotations

import contextlib
import itertools
import json
import threading
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import quote

import lab
import pytest
from client import HEADERS_AUTH, Client
from registries import registry
from waiting import until

CONFIG = lab.merged(
    HEADERS_AUTH,
    {
        "DEFAULT": {"enabled_extensions": "families", "workers": 2, "notifiers": "log"},
        "periodic": {"embedded": False},
        "healthcheck": {"ready_cache_seconds": 0},
    },
)


@pytest.fixture(scope="module", params=["sqlite", "mariadb", "postgresql", "registry"])
def service(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[lab.Service]:
    with contextlib.ExitStack() as stack:
        database = stack.enter_context(lab.new_database("mariadb" if request.param == "registry" else request.param))
        if request.param == "registry":
            made = lab.Service(tmp_path_factory.mktemp("node"), lab.free_port(), {})
            served = stack.enter_context(registry(database))
            made.config = lab.merged(
                {
                    "DEFAULT": {"bind_port": made.port, "enabled_backends": "file:file"},
                    "database": served.client,
                    "file": {"filesystem_store_datadir": made.folder / "images"},
                },
                CONFIG,
            )
            made.config_file.write_text(lab.config_text(made.config))
            made.start()
            stack.callback(made.stop)
            yield made
        else:
            yield stack.enter_context(lab.service(CONFIG, database=database))


class People:
    """Of one test: a project of its own, a stranger and an admin."""

    def __init__(self, url: str) -> None:
        self.project = f"p-{uuid.uuid4().hex[:8]}"
        self.owner, self.reader = Client(url, self.project), Client(url, self.project, "reader")
        self.stranger, self.admin = (
            Client(url, f"stranger-{self.project}"),
            Client(url, self.project, "admin,member,reader"),
        )

    def image(self, client: Client | None = None, **fields: object) -> str:
        who = client or self.owner
        image_id = str(who.create(**fields)["id"])
        assert who.upload(image_id, image_id.encode()).status_code == 204
        return image_id

    def family(self, name: str | None = None, *labels: str, client: Client | None = None, **fields: object) -> Family:
        answer = (client or self.owner).call(
            "POST", "/families", {"name": name or f"debian/{uuid.uuid4().hex[:8]}", **fields}
        )
        assert answer.status_code == 201, answer.text
        made = Family(self, answer.json())
        for label in labels:
            made.add(label)
        return made


class Family:
    def __init__(self, people: People, shown: dict[str, Any]) -> None:
        self.people, self.shown = people, shown
        self.name, self.path = shown["name"], f"/families/{shown['id']}"
        self.images: dict[str, str] = {}

    def call(self, method: str, path: str, body: object = None, client: Client | None = None) -> Any:
        return (client or self.people.owner).call(method, f"{self.path}{path}", body)

    def add(self, label: str, image_id: str | None = None, **more: object) -> Any:
        self.images[label] = image_id or self.people.image()
        answer = self.call("PUT", f"/versions/{label}", {"image_id": self.images[label], **more})
        assert answer.status_code == 201, answer.text
        return answer.json()

    def promote(self, channel: str, label: str, client: Client | None = None, **more: object) -> Any:
        return self.call("PUT", f"/channels/{channel}", {"label": label, **more}, client)


@pytest.fixture
def people(service: lab.Service) -> People:
    return People(service.url)


def meant(client: Client, reference: str) -> Any:
    """The id that a reference leads to, or the answer that says why not."""
    answer = client.call("GET", f"/v2/images/{reference}")
    return answer.json()["id"] if answer.status_code == 200 else answer


# -- references ------------------------------------------------------------------------------------
def test_references(people: People) -> None:
    family = people.family(None, "1", "2", "3")
    assert family.promote("stable", "2").status_code == 200
    one, two, three = (family.images[x] for x in "123")
    for spelt in (f"{family.name}@stable", quote(f"{family.name}@stable", safe="")):
        assert meant(people.owner, spelt) == meant(people.reader, spelt) == two
        assert people.owner.download(spelt).content == two.encode()
        assert people.owner.call("GET", f"/v2/images/{spelt}/members").json()["members"] == []
    assert meant(people.owner, f"{family.name}:1") == one
    assert meant(people.owner, f"{family.name}@latest") == meant(people.owner, family.name) == three
    shown = people.owner.show(f"{family.name}@stable")
    assert (shown["family"], shown["family_version"], shown["channel"]) == (family.name, "2", "stable")
    assert "channel" not in people.owner.show(three)
    assert family.call("PATCH", "", {"default": "stable"}).json()["default"] == "stable"
    assert meant(people.owner, family.name) == two
    assert family.call("PATCH", "", {"default": "nothing"}).status_code == 400


def test_what_changes_an_image_names_it_by_its_id(people: People) -> None:
    family = people.family(None, "1")
    for method, path, body in (
        ("PATCH", "", []),
        ("DELETE", "", None),
        ("POST", "/actions/deactivate", None),
        ("PUT", "/tags/x", None),
    ):
        answer = people.owner.call(
            method,
            f"/v2/images/{family.name}@latest{path}",
            body,
            headers={"Content-Type": "application/openstack-images-v2.1-json-patch"},
        )
        assert answer.status_code in (404, 405), answer.text
    assert "by its id" in people.owner.call("DELETE", f"/v2/images/{family.name}@latest").text
    assert meant(people.owner, family.name) == family.images["1"]


def test_what_leads_to_no_image(people: People) -> None:
    family = people.family(None, "1")
    for reference, said in (
        (f"{family.name}@nothing", "no channel nothing"),
        (f"{family.name}:9", "no version 9"),
        ("no/such@stable", "no family no/such"),
        ("no/such/family/x", "no image"),
        (f"{family.name}@", "no image"),
        (f"{family.name}:1:2", "no image"),
    ):
        answer = meant(people.owner, reference)
        assert answer.status_code == 404, answer.text
        assert said in answer.text
    assert meant(people.owner, people.family().name).status_code == 404


def test_latest_is_what_can_be_used(people: People) -> None:
    family = people.family(None, "1", "2", "3", "4", "5")
    family.add("6", people.image(), latest=False)
    assert meant(people.owner, family.name) == family.images["5"]
    assert people.owner.call("POST", f"/v2/images/{family.images['5']}/actions/deactivate").status_code in (204, 403)
    assert people.admin.call("POST", f"/v2/images/{family.images['5']}/actions/deactivate").status_code == 204
    assert meant(people.owner, family.name) == family.images["4"]
    assert people.owner.delete(family.images["4"]).status_code == 204
    assert meant(people.owner, family.name) == family.images["3"]
    assert (
        people.owner.patch(family.images["3"], {"op": "replace", "path": "/os_hidden", "value": True}).status_code
        == 200
    )
    assert meant(people.owner, family.name) == family.images["2"]
    assert family.call("POST", "/versions/2/actions/deprecate", {}).status_code == 200
    assert meant(people.owner, family.name) == family.images["1"]
    assert people.admin.call("POST", f"/v2/images/{family.images['5']}/actions/reactivate").status_code == 204
    assert meant(people.owner, family.name) == family.images["5"]


def test_a_channel_stays_where_it_is(people: People) -> None:
    family = people.family(None, "1")
    family.promote("stable", "1")
    family.add("2")
    assert meant(people.owner, f"{family.name}@stable") == family.images["1"]
    assert people.admin.call("POST", f"/v2/images/{family.images['1']}/actions/deactivate").status_code == 204
    answer = meant(people.owner, f"{family.name}@stable")
    assert answer.status_code == 409
    assert "version 1, which is deactivated" in answer.text
    assert meant(people.owner, f"{family.name}:1").status_code == 409


# -- lists by name ---------------------------------------------------------------------------------
def by_name(client: Client, name: str, **more: str) -> list[dict[str, Any]]:
    answer = client.session.get(f"{client.url}/v2/images", params={"name": name, **more}, timeout=60)
    assert answer.status_code == 200, answer.text
    return list(answer.json()["images"])


def test_a_list_by_name(people: People) -> None:
    family = people.family(None, "1", "2")
    family.promote("stable", "1")
    reference = f"{family.name}@stable"
    assert [(x["id"], x["name"]) for x in by_name(people.owner, reference)] == [(family.images["1"], reference)]
    assert (
        by_name(people.owner, reference, status="queued") == by_name(people.owner, reference, visibility="public") == []
    )
    assert (
        by_name(people.owner, reference, id=family.images["2"])
        == by_name(people.owner, reference, os_hidden="true")
        == []
    )
    assert [x["id"] for x in by_name(people.owner, reference, visibility="shared", status="active")] == [
        family.images["1"]
    ]
    assert by_name(people.owner, "no/such@stable") == by_name(people.stranger, reference) == []
    named = people.image(name=reference)
    assert [x["id"] for x in by_name(people.owner, reference)] == [named], "an image that has the name is meant"
    assert by_name(people.owner, reference, status="queued") == []


def test_an_image_with_a_bare_name_is_meant_by_it(people: People) -> None:
    """As without families, where the name is no id: clients go on to the list."""
    family = people.family(None, "1")
    named = people.image(name=family.name)
    assert meant(people.owner, family.name).status_code == 404
    assert [x["id"] for x in by_name(people.owner, family.name)] == [named]
    assert meant(people.owner, f"{family.name}@latest") == family.images["1"]


def test_a_community_image_takes_no_name_away(people: People) -> None:
    family = people.family(None, "1")
    assert people.stranger.create(name=family.name, visibility="community")
    assert people.stranger.create(name=f"{family.name}@latest", visibility="community")
    assert meant(people.owner, family.name) == family.images["1"]
    assert [x["id"] for x in by_name(people.owner, f"{family.name}@latest")] == [family.images["1"]]


# -- what is shown on images -----------------------------------------------------------------------
def test_the_keys_on_images_are_the_services(people: People) -> None:
    family = people.family(None, "1")
    image_id = family.images["1"]
    for key in ("family", "family_version", "channel", "replacement", "deprecated_at"):
        assert people.owner.call("POST", "/v2/images", {key: "x"}).status_code == 403
        answer = people.owner.patch(image_id, {"op": "add", "path": f"/{key}", "value": "x"})
        assert (answer.status_code, key in answer.text) == (403, True)
        answer = people.owner.call("GET", f"/v2/images?{key}=x")
        assert (answer.status_code, key in answer.text) == (400, True)
    assert people.owner.call("GET", "/v2/schemas/image").json()["properties"]["family"]["readOnly"] is True


def test_a_property_of_that_name_waits_unseen(tmp_path_factory: pytest.TempPathFactory) -> None:
    with lab.service(lab.merged(CONFIG, {"DEFAULT": {"enabled_extensions": ""}})) as service:
        people = People(service.url)
        image_id = people.image(family="mine")
        text = service.config_file.read_text()
        service.stop()
        service.config_file.write_text(text.replace("enabled_extensions = ", "enabled_extensions = families"))
        service.start()
        assert "family" not in people.owner.show(image_id)
        assert people.owner.patch(image_id, {"op": "replace", "path": "/name", "value": "x"}).status_code == 200
        family = people.family()
        family.add("1", image_id)
        assert people.owner.show(image_id)["family"] == family.name
        service.stop()
        service.config_file.write_text(text)
        service.start()
        assert people.owner.show(image_id)["family"] == "mine"


# -- versions --------------------------------------------------------------------------------------
def test_versions_do_not_change(people: People) -> None:
    family = people.family(None, "1")
    again = family.call("PUT", "/versions/1", {"image_id": family.images["1"]})
    assert again.status_code == 200, again.text
    other = people.image()
    for label, image_id, more in (
        ("1", other, {}),
        ("2", family.images["1"], {}),
        ("1", family.images["1"], {"architecture": "aarch64"}),
    ):
        assert family.call("PUT", f"/versions/{label}", {"image_id": image_id, **more}).status_code == 409
    assert family.call("DELETE", "/versions/1").status_code == 204
    assert family.call("PUT", "/versions/1", {"image_id": other}).status_code == 409, "a label is not used again"
    assert family.call("PUT", "/versions/1", {"image_id": family.images["1"]}).status_code == 409
    assert family.call("PUT", "/versions/1b", {"image_id": family.images["1"]}).status_code == 201
    assert people.owner.delete(family.images["1"]).status_code == 204
    assert family.call("PUT", "/versions/1b", {"image_id": other}).status_code == 409
    assert family.call("GET", "/versions").json() == {"versions": []}


def test_an_image_is_in_one_family(people: People) -> None:
    family, other = people.family(None, "1"), people.family()
    answer = other.call("PUT", "/versions/1", {"image_id": family.images["1"]})
    assert (answer.status_code, family.name in answer.text) == (409, True)
    assert family.call("DELETE", "?force=true").status_code == 204
    assert other.call("PUT", "/versions/1", {"image_id": family.images["1"]}).status_code == 201
    assert people.owner.show(family.images["1"])["family"] == other.name


def test_a_version_has_data(people: People) -> None:
    empty = people.owner.create()["id"]
    answer = people.family().call("PUT", "/versions/1", {"image_id": empty})
    assert (answer.status_code, "queued" in answer.text) == (409, True)


def test_latest_is_of_one_kind(people: People) -> None:
    family = people.family()
    family.add("1", architecture="x86_64", firmware="uefi")
    for more in (
        {"architecture": "aarch64", "firmware": "uefi"},
        {"architecture": "x86_64"},
        {"architecture": "x86_64", "firmware": "bios"},
    ):
        assert family.call("PUT", "/versions/2", {"image_id": people.image(), **more}).status_code == 409
    family.add("2", architecture="aarch64", latest=False)
    assert meant(people.owner, family.name) == family.images["1"]
    assert meant(people.owner, f"{family.name}:2") == family.images["2"]


def test_pages(people: People) -> None:
    family = people.family(None, *"1234567")
    found, path = [], f"{family.path}/versions?limit=3"
    while path:
        answer = people.owner.call("GET", path).json()
        found += [x["label"] for x in answer["versions"]]
        path = answer.get("next")
    assert found == list("7654321")
    names = {family.name} | {people.family().name for _ in range(4)}
    found, path = [], "/families?limit=2"
    while path:
        answer = people.owner.call("GET", path).json()
        found += [x["name"] for x in answer["families"]]
        path = answer.get("next")
    assert sorted(x for x in found if x in names) == sorted(names)
    assert len(found) == len(set(found))
    for label in "1234567":
        family.promote("stable", label)
    found, path = [], f"{family.path}/channels/stable/history?limit=3"
    while path:
        answer = people.owner.call("GET", path).json()
        found += [(x["from"], x["to"]) for x in answer["moves"]]
        path = answer.get("next")
    assert found == [("6", "7"), ("5", "6"), ("4", "5"), ("3", "4"), ("2", "3"), ("1", "2"), (None, "1")]
    for path in (
        "/families?limit=0",
        "/families?limit=x",
        f"{family.path}/versions?marker=no",
        "/families?marker=no",
        f"{family.path}/channels/stable/history?marker=-1",
    ):
        assert people.owner.call("GET", path).status_code == 400


# -- channels --------------------------------------------------------------------------------------
def test_promote_and_roll_back(service: lab.Service, people: People) -> None:
    family = people.family(None, "1", "2", "3")
    for label in "123":
        assert family.promote("stable", label, reason=f"because of {label}").json()["label"] == label
    assert (
        family.call("POST", "/channels/stable/actions/rollback", {"reason": "it does not boot"}).json()["label"] == "2"
    )
    assert meant(people.owner, f"{family.name}@stable") == family.images["2"]
    assert family.call("POST", "/channels/stable/actions/rollback", {}).json()["label"] == "1"
    answer = family.call("POST", "/channels/stable/actions/rollback", {})
    assert (answer.status_code, "no earlier version" in answer.text) == (409, True)
    moves = family.call("GET", "/channels/stable/history").json()["moves"]
    assert [(x["action"], x["from"], x["to"], x["reason"], x["user"], x["project"]) for x in moves[1:]] == [
        (action, before, after, reason, f"user-{people.project}", people.project)
        for action, before, after, reason in (
            ("rollback", "3", "2", "it does not boot"),
            ("promote", "2", "3", "because of 3"),
            ("promote", "1", "2", "because of 2"),
            ("promote", None, "1", "because of 1"),
        )
    ]
    assert [x["from_image"] for x in moves] == [None if x["from"] is None else family.images[x["from"]] for x in moves]
    until(
        lambda: service.log.read_text().count(f"families.move subject={family.shown['id']}") == 5, service.log.read_text
    )


def test_roll_back_passes_by_what_is_gone_and_stops_at_what_is_not_usable(people: People) -> None:
    family = people.family(None, *"1234")
    for label in "1234":
        family.promote("stable", label)
    assert people.owner.delete(family.images["3"]).status_code == 204
    assert people.admin.call("POST", f"/v2/images/{family.images['2']}/actions/deactivate").status_code == 204
    answer = family.call("POST", "/channels/stable/actions/rollback", {})
    assert (answer.status_code, "version 2 " in answer.text) == (409, True)
    assert people.owner.delete(family.images["2"]).status_code == 204
    assert family.call("POST", "/channels/stable/actions/rollback", {}).json()["label"] == "1"


def test_a_pin_is_stronger_than_what_is_newer(people: People) -> None:
    family = people.family(None, "1", "2")
    family.promote("stable", "1")
    assert family.call("POST", "/channels/stable/actions/pin", {"reason": "a bug in 2"}).json()["pinned"] is True
    for answer in (
        family.promote("stable", "2"),
        family.call("POST", "/channels/stable/actions/rollback", {}),
        family.call("DELETE", "/channels/stable"),
        family.call("DELETE", "?force=true"),
    ):
        assert (answer.status_code, "pinned" in answer.text) == (409, True), answer.text
    assert family.call("POST", "/channels/stable/actions/unpin", {}).json()["pinned"] is False
    assert family.promote("stable", "2").json()["label"] == "2"


def test_compare_and_set(people: People) -> None:
    family = people.family(None, "1", "2", "3")
    assert family.promote("stable", "1", expected_revision=5).status_code == 409
    seen = family.promote("stable", "1", expected_revision=0).json()["revision"]
    assert family.promote("stable", "2", expected_revision=0).status_code == 409
    assert family.promote("stable", "2", expected_revision=seen).status_code == 200
    answer = family.promote("stable", "3", expected_revision=seen)
    assert (answer.status_code, answer.json()["error"], "version 2" in answer.text) == (409, "concurrent_change", True)
    assert family.call("DELETE", "/channels/stable").status_code == 204
    assert family.promote("stable", "1", expected_revision=0).json()["revision"] > seen, (
        "a channel that is made anew is at no revision that it had"
    )
    for action in ("rollback", "pin", "unpin"):
        assert family.call("POST", f"/channels/stable/actions/{action}", {"expected_revision": 1}).status_code == 409


def test_eight_promote_at_once(people: People) -> None:
    family = people.family(None, *"12345678")
    revision = 0
    for _ in range(3):
        start = threading.Barrier(8)

        def one(label: str, expected: int = revision, start: threading.Barrier = start) -> Any:
            client = Client(people.owner.url, people.project)
            start.wait()
            return family.promote("stable", label, client, expected_revision=expected)

        family.promote("stable", "1") if revision == 0 else None
        revision = family.call("GET", "/channels/stable").json()["revision"]
        there = family.call("GET", "/channels/stable").json()["label"]
        with ThreadPoolExecutor(8) as pool:
            answers = list(pool.map(lambda x, expected=revision: one(x, expected), "12345678"))
        won = [x.json() for x in answers if x.status_code == 200 and x.json()["label"] != there]
        assert len(won) == 1, [x.text for x in answers]
        assert {x.status_code for x in answers} <= {200, 409}
        assert family.call("GET", "/channels/stable").json() == won[0]
        revision = won[0]["revision"]
    moves = family.call("GET", "/channels/stable/history").json()["moves"]
    assert len(moves) == 4
    assert all(newer["from"] == older["to"] for newer, older in itertools.pairwise(moves))


def test_eight_promote_whatever_is_there(people: People) -> None:
    """Nobody is refused, and the history is whole."""
    family = people.family(None, *"12345678")
    with ThreadPoolExecutor(8) as pool:
        answers = list(
            pool.map(lambda x: family.promote("stable", x, Client(people.owner.url, people.project)), "12345678")
        )
    assert [x.status_code for x in answers] == [200] * 8, [x.text for x in answers]
    moves = family.call("GET", "/channels/stable/history").json()["moves"]
    assert sorted(x["to"] for x in moves) == list("12345678")
    assert all(newer["from"] == older["to"] for newer, older in itertools.pairwise(moves))
    assert family.call("GET", "/channels/stable").json()["label"] == moves[0]["to"]


def test_what_a_channel_points_to_stays(people: People) -> None:
    family = people.family(None, "1", "2")
    family.promote("stable", "1")
    family.promote("candidate", "1")
    for answer in (
        people.owner.delete(family.images["1"]),
        people.admin.delete(family.images["1"]),
        family.call("DELETE", "/versions/1"),
    ):
        assert (answer.status_code, f"channels candidate, stable of family {family.name} point to" in answer.text) == (
            409,
            True,
        ), answer.text
    family.promote("stable", "2")
    family.promote("candidate", "2")
    assert people.owner.delete(family.images["1"]).status_code == 204
    assert family.call("DELETE", "/channels/stable").status_code == 204
    assert family.call("DELETE", "/channels/candidate").status_code == 204
    assert people.owner.delete(family.images["2"]).status_code == 204


def test_a_promotion_and_a_deletion_at_once(people: People) -> None:
    """One of them is refused, whoever it is: no channel points to what is deleted."""
    labels = [f"v{x}" for x in range(12)]
    family = people.family(None, *labels)
    for number, label in enumerate(labels):
        start = threading.Barrier(2)

        def promoted(label: str = label, number: int = number, start: threading.Barrier = start) -> int:
            client = Client(people.owner.url, people.project)
            start.wait()
            return int(family.promote(f"c{number}", label, client).status_code)

        def deleted(label: str = label, start: threading.Barrier = start) -> int:
            client = Client(people.owner.url, people.project)
            start.wait()
            return client.delete(family.images[label]).status_code

        with ThreadPoolExecutor(2) as pool:
            moving, deleting = pool.submit(promoted), pool.submit(deleted)
            assert (moving.result(), deleting.result()) in {(200, 409), (409, 204), (404, 204), (409, 409)}
        there = people.owner.call("GET", f"/v2/images/{family.images[label]}").status_code == 200
        pointed = family.call("GET", f"/channels/c{number}").status_code == 200
        assert there or not pointed


def test_promote_only_what_can_be_used(people: People) -> None:
    family = people.family(None, "1", "2")
    assert people.admin.call("POST", f"/v2/images/{family.images['1']}/actions/deactivate").status_code == 204
    assert family.promote("stable", "1").status_code == 409
    assert family.call("POST", "/versions/2/actions/deprecate", {"force": True}).status_code == 200
    assert family.promote("stable", "2").status_code == 409
    for channel, status in (("latest", 409), ("Stable", 400), ("a" * 33, 400), ("a:b", 400)):
        assert family.promote(channel, "2").status_code == status
    assert family.promote("stable", "9").status_code == 404


# -- deprecation -----------------------------------------------------------------------------------
def test_deprecation(people: People) -> None:
    family = people.family(None, "1", "2")
    family.promote("stable", "1")
    refused = family.call("POST", "/versions/1/actions/deprecate", {})
    assert (
        refused.status_code,
        f"channel stable of family {family.name} points to version 1: promote another one first, or force it"
        in refused.text,
    ) == (409, True), refused.text
    family.promote("stable", "2")
    answer = family.call(
        "POST",
        "/versions/1/actions/deprecate",
        {
            "deprecated_at": "2020-01-02T03:04:05Z",
            "obsolete_at": "2033-01-01T00:00:00Z",
            "reason": "CVE",
            "ends_at": "2034-01-01T00:00:00Z",
            "replacement": f"{family.name}@stable",
        },
    )
    assert (answer.status_code, answer.json()["state"]) == (200, "deprecated"), answer.text
    answer = people.owner.call("GET", f"/v2/images/{family.images['1']}")
    assert answer.headers["Deprecation"] == "@1577934245"
    assert answer.headers["Sunset"] == "Sun, 01 Jan 2034 00:00:00 GMT"
    assert answer.json()["replacement"] == f"{family.name}@stable"
    assert answer.json()["deprecated_at"] == "2020-01-02T03:04:05Z"
    assert people.owner.download(family.images["1"]).status_code == 200, "it stays usable by its id"
    assert meant(people.owner, f"{family.name}:1").status_code == 409
    answer = family.call("POST", "/versions/2/actions/deprecate", {})
    assert answer.status_code == 409
    assert family.call("DELETE", "/channels/stable").status_code == 204
    answer = family.call("POST", "/versions/2/actions/deprecate", {})
    assert (answer.status_code, "last one" in answer.text) == (409, True)
    assert family.call("POST", "/versions/1/actions/restore", {"reason": "a mistake"}).json()["state"] == "current"
    answer = people.owner.call("GET", f"/v2/images/{family.images['1']}")
    assert "Deprecation" not in answer.headers
    assert "replacement" not in answer.json()
    assert meant(people.owner, f"{family.name}:1") == family.images["1"]
    assert (
        family.call("POST", "/versions/2/actions/deprecate", {"deprecated_at": "2033-01-01T00:00:00Z"}).json()["state"]
        == "current"
    )
    assert meant(people.owner, family.name) == family.images["2"], "not yet"


@pytest.mark.parametrize(
    "body",
    [
        {"deprecated_at": "tomorrow"},
        {"deprecated_at": "2026-02-30T00:00:00Z"},
        {"deprecated_at": "2999-01-01T00:00:00Z"},
        {"ends_at": "2020-01-01T00:00:00Z"},
        {"deprecated_at": "2030-01-01T00:00:00Z", "obsolete_at": "2029-01-01T00:00:00Z"},
        {"replacement": "Not A Reference"},
        {"reason": "x" * 1001},
        {"why": "x"},
        [],
    ],
)
def test_wrong_deprecations(people: People, body: object) -> None:
    family = people.family(None, "1", "2")
    answer = family.call("POST", "/versions/1/actions/deprecate", body)
    assert answer.status_code == 400, answer.text


# -- what others see and may -----------------------------------------------------------------------
def public(people: People) -> Family:
    family = people.family()
    assert family.call("PATCH", "", {"visibility": "public"}, people.admin).status_code == 200
    return family


def shared_with_all(people: People, image_id: str) -> str:
    assert (
        people.owner.patch(image_id, {"op": "replace", "path": "/visibility", "value": "community"}).status_code == 200
    )
    return image_id


def test_a_private_family_is_not_there_for_others(people: People) -> None:
    family = people.family(None, "1", "2")
    family.promote("stable", "1")
    shared_with_all(people, family.images["1"])
    never = Family(people, {"id": str(uuid.uuid4()), "name": f"never/{uuid.uuid4().hex[:8]}"})
    image = people.image(people.stranger)
    for method, path, body in (
        ("GET", "", None),
        ("PATCH", "", {}),
        ("DELETE", "", None),
        ("GET", "/versions", None),
        ("GET", "/versions/1", None),
        ("PUT", "/versions/9", {"image_id": image}),
        ("DELETE", "/versions/1", None),
        ("POST", "/versions/1/actions/deprecate", {}),
        ("POST", "/versions/1/actions/restore", {}),
        ("GET", "/channels", None),
        ("GET", "/channels/stable", None),
        ("PUT", "/channels/stable", {"label": "2"}),
        ("DELETE", "/channels/stable", None),
        ("POST", "/channels/stable/actions/rollback", {}),
        ("POST", "/channels/stable/actions/pin", {}),
        ("POST", "/channels/stable/actions/unpin", {}),
        ("GET", "/channels/stable/history", None),
    ):
        there, nowhere = (x.call(method, path, body, people.stranger) for x in (family, never))
        assert there.status_code == nowhere.status_code == 404, (method, path, there.text)
        assert there.text.replace(family.path, "").replace(family.shown["id"], "") == nowhere.text.replace(
            never.path, ""
        ).replace(never.shown["id"], "")
    for suffix in ("", "@stable", "@latest", ":1"):
        there, nowhere = (
            meant(people.stranger, f"{family.name}{suffix}"),
            meant(people.stranger, f"{never.name}{suffix}"),
        )
        assert there.status_code == nowhere.status_code == 404
        assert there.text.replace(family.name, "") == nowhere.text.replace(never.name, "")
    shown = people.stranger.show(family.images["1"])
    assert not {"family", "channel", "family_version"} & shown.keys()
    assert family.name not in people.stranger.call("GET", "/families?limit=1000").text
    assert people.stranger.call("GET", f"/families?name={family.name}").json() == {"families": []}
    assert people.stranger.call("POST", "/families", {"name": family.name}).status_code == 201, (
        "a name of somebody else is not taken"
    )
    assert family.call("GET", "/channels/stable").json()["label"] == "1"


def test_a_public_family_shows_what_is_to_be_seen(people: People) -> None:
    """A private image does not show by the family, its channels, its pages, or what refuses."""
    family = public(people)
    for number in range(1, 6):
        family.add(f"v-{number}")
    seen = shared_with_all(people, family.images["v-2"])
    family.promote("stable", "v-2")
    family.promote("secret", "v-4")
    stranger = people.stranger
    assert family.call("GET", "", None, stranger).json()["name"] == family.name
    assert [x["label"] for x in family.call("GET", "/versions", None, stranger).json()["versions"]] == ["v-2"]
    listed = family.call("GET", "/versions?limit=1", None, stranger).json()
    assert [x["label"] for x in listed["versions"]] == ["v-2"]
    assert family.call("GET", "/versions?limit=1&marker=v-2", None, stranger).json() == {"versions": []}
    one, other = (family.call("GET", f"/versions?marker={x}", None, stranger) for x in ("v-4", "v-9"))
    assert one.text.replace("v-4", "v-9") == other.text
    channels = family.call("GET", "/channels", None, stranger).json()["channels"]
    assert [(x["name"], x["image_id"]) for x in channels] == [("latest", seen), ("stable", seen)]
    assert (
        meant(stranger, family.name)
        == meant(stranger, f"{family.name}@stable")
        == meant(stranger, f"{family.name}:v-2")
        == seen
    )
    for there, nowhere in (("@secret", "@absent"), (":v-4", ":v-9")):
        one, other = meant(stranger, f"{family.name}{there}"), meant(stranger, f"{family.name}{nowhere}")
        assert one.status_code == other.status_code == 404
        assert one.text.replace(there[1:], "") == other.text.replace(nowhere[1:], "")
    for there, nowhere in (("/channels/secret", "/channels/absent"), ("/versions/v-4", "/versions/v-9")):
        one, other = family.call("GET", there, None, stranger), family.call("GET", nowhere, None, stranger)
        assert one.status_code == other.status_code == 404
        assert one.text.replace(there.rpartition("/")[2], "") == other.text.replace(nowhere.rpartition("/")[2], "")
    everything = json.dumps(
        [
            family.call("GET", x, None, stranger).text
            for x in ("", "/versions", "/channels", "/channels/secret", "/channels/secret/history")
        ]
    )
    for number in (1, 3, 4, 5):
        assert family.images[f"v-{number}"] not in everything
    assert family.call("GET", "/channels/stable/history", None, stranger).status_code == 403, (
        "who moved it, and why, is the project's own"
    )
    assert stranger.show(seen)["family"] == family.name


def test_strangers_change_nothing(people: People) -> None:
    family = public(people)
    family.add("1", shared_with_all(people, people.image()))
    family.promote("stable", "1")
    mine = people.image(people.stranger)
    for who in (people.stranger, people.reader):
        for method, path, body in (
            ("PATCH", "", {"description": "x"}),
            ("DELETE", "?force=true", None),
            ("PUT", "/versions/9", {"image_id": mine}),
            ("DELETE", "/versions/1", None),
            ("POST", "/versions/1/actions/deprecate", {}),
            ("POST", "/versions/1/actions/restore", {}),
            ("PUT", "/channels/stable", {"label": "1"}),
            ("PUT", "/channels/new", {"label": "1"}),
            ("DELETE", "/channels/stable", None),
            *(("POST", f"/channels/stable/actions/{x}", {}) for x in ("rollback", "pin", "unpin")),
        ):
            assert family.call(method, path, body, who).status_code == 403, (method, path)
    assert [x["action"] for x in family.call("GET", "/channels/stable/history").json()["moves"]] == ["promote"]


def test_publishing_is_for_admins(people: People) -> None:
    family = people.family()
    assert family.call("PATCH", "", {"visibility": "public"}).status_code == 403
    assert people.owner.call("POST", "/families", {"name": "x", "visibility": "public"}).status_code == 403
    assert family.call("PATCH", "", {"visibility": "public"}, people.admin).status_code == 200
    assert family.call("PATCH", "", {"visibility": "private"}).status_code == 403
    other = People(people.owner.url)
    answer = other.admin.call("POST", "/families", {"name": family.name, "visibility": "public"})
    assert (answer.status_code, "public family" in answer.text) == (409, True)
    assert family.call("PATCH", "", {"visibility": "private"}, people.admin).status_code == 200
    assert other.family(family.name, client=other.admin, visibility="public").shown["visibility"] == "public"


def test_ones_own_family_comes_before_the_public_one(people: People) -> None:
    family = public(people)
    family.add("1", shared_with_all(people, people.image()))
    assert meant(people.stranger, family.name) == family.images["1"]
    mine = people.stranger.call("POST", "/families", {"name": family.name}).json()
    assert meant(people.stranger, f"{family.name}@latest").status_code == 404
    assert [x["id"] for x in people.stranger.call("GET", f"/families?name={family.name}").json()["families"]] == [
        mine["id"],
        family.shown["id"],
    ]
    assert meant(people.owner, family.name) == family.images["1"]


def test_nobody_holds_an_image_of_others(people: People) -> None:
    """A channel keeps its image from being deleted: so only one's own images may be versions."""
    family = people.family()
    shared = people.image(people.stranger, visibility="community")
    assert family.call("PUT", "/versions/1", {"image_id": shared}).status_code == 403
    assert family.call("PUT", "/versions/1", {"image_id": shared}, people.admin).status_code == 403
    hidden = people.image(people.stranger)
    unknown = str(uuid.uuid4())
    there, nowhere = (family.call("PUT", "/versions/1", {"image_id": x}) for x in (hidden, unknown))
    assert there.status_code == nowhere.status_code == 404
    assert there.text.replace(hidden, "") == nowhere.text.replace(unknown, "")
    assert people.stranger.delete(shared).status_code == 204


# -- limits and odd requests -----------------------------------------------------------------------
@pytest.mark.parametrize(
    "name",
    [
        "",
        "A",
        "a b",
        "/a",
        "a/",
        "a//b",
        "a/b/c/d/e",
        "a" * 129,
        "a@b",
        "a:b",
        "file",
        "debian/members",
        "a/file/b",
        "ä",
        "a\n",
        "../a",
        "-a",
    ],
)
def test_wrong_names(people: People, name: str) -> None:
    answer = people.owner.call("POST", "/families", {"name": name})
    assert (answer.status_code, "name" in answer.text) == (400, True), answer.text


def test_no_family_is_called_like_an_image(people: People) -> None:
    assert people.owner.call("POST", "/families", {"name": str(uuid.uuid4())}).status_code == 400


def test_names_are_unique_in_a_project(people: People) -> None:
    family = people.family()
    assert people.owner.call("POST", "/families", {"name": family.name}).status_code == 409
    with ThreadPoolExecutor(8) as pool:
        answers = list(
            pool.map(
                lambda _: Client(people.owner.url, people.project).call("POST", "/families", {"name": "at-once"}),
                range(8),
            )
        )
    assert sorted(x.status_code for x in answers) == [201, *[409] * 7], [x.text for x in answers]
    assert family.call("DELETE", "").status_code == 204
    assert people.family(family.name)


def test_limits() -> None:
    limits = {"ext_families": {"families_per_project": 2, "versions_per_family": 2, "channels_per_family": 2}}
    with lab.service(lab.merged(CONFIG, limits)) as service:
        people = People(service.url)
        family, other = people.family(None, "1", "2"), people.family()
        answer = people.owner.call("POST", "/families", {"name": "third"})
        assert (answer.status_code, "may have 2" in answer.text) == (413, True)
        assert people.stranger.call("POST", "/families", {"name": "third"}).status_code == 201, (
            "each project has its own"
        )
        assert other.call("DELETE", "").status_code == 204
        assert people.owner.call("POST", "/families", {"name": "third"}).status_code == 201
        assert family.call("PUT", "/versions/3", {"image_id": people.image()}).status_code == 413
        assert [family.promote(x, "1").status_code for x in "abc"] == [200, 200, 413]
        assert family.promote("a", "2").status_code == 200


def test_an_operator_may_leave_names_alone() -> None:
    with lab.service(lab.merged(CONFIG, {"ext_families": {"resolve_names": False}})) as service:
        people = People(service.url)
        family = people.family(None, "1")
        assert by_name(people.owner, family.name) == []
        assert meant(people.owner, family.name) == family.images["1"]


def test_a_family_is_deleted_with_all_that_it_has(service: lab.Service, people: People) -> None:
    family = people.family(None, *"123")
    for label in "123":
        family.promote("stable", label)
    assert family.call("DELETE", "").status_code == 409
    assert family.call("DELETE", "?force=yes").status_code == 400
    assert family.call("DELETE", "?force=true").status_code == 204
    assert family.call("GET", "").status_code == 404
    assert "family" not in people.owner.show(family.images["3"])
    assert people.owner.delete(family.images["3"]).status_code == 204
    done = lab.command("glance-periodic", "--config-file", service.config_file, "run", "families_forget", "--json")
    assert (done.returncode, json.loads(done.stdout)["errors"]) == (0, []), done.stderr
    assert family.shown["id"] not in service.manage("families", "list")


def test_the_operators_list(service: lab.Service, people: People) -> None:
    family = people.family(None, "1")
    family.promote("stable", "1")
    rows = [
        json.loads(x) for x in service.manage("--json", "families", "list", "--project", people.project).splitlines()
    ]
    assert [(x["name"], x["channels"][0]["label"]) for x in rows] == [(family.name, "1")]
    assert f"{family.name} ({people.project}, private) stable: 1" in service.manage("families", "list")
