"""Policies, plans and their application in a whole service, on each database, asked over HTTP."""

from __future__ import annotations

import contextlib
import json
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import lab
import pytest
from client import HEADERS_AUTH, Client
from waiting import until

CONFIG = lab.merged(
    HEADERS_AUTH,
    {
        "DEFAULT": {"enabled_extensions": "families, lifecycle", "workers": 2, "notifiers": "log"},
        "periodic": {"embedded": False},
    },
)
PAST, FUTURE = "2020-01-01", "2096-01-01"
#: What such a policy selects is due: the images say so by a property.
DUE = {"action": "delete", "past": "provided_until"}


@pytest.fixture(scope="module", params=["sqlite", "mariadb", "postgresql"])
def service(request: pytest.FixtureRequest) -> Iterator[lab.Service]:
    with contextlib.ExitStack() as stack:
        yield stack.enter_context(lab.service(CONFIG, database=stack.enter_context(lab.new_database(request.param))))


class Project:
    def __init__(self, url: str) -> None:
        self.name = f"p-{uuid.uuid4().hex[:8]}"
        self.owner, self.reader = Client(url, self.name), Client(url, self.name, "reader")
        self.admin, self.stranger = Client(url, self.name, "admin,member,reader"), Client(url, f"x-{self.name}")

    def image(self, client: Client | None = None, **fields: object) -> str:
        who = client or self.owner
        image_id = str(who.create(**{"name": "old", "provided_until": PAST, **fields})["id"])
        assert who.upload(image_id, b"data").status_code == 204
        return image_id

    def policy(self, *steps: object, selector: object = None, keep: object = None) -> str:
        body = {
            "name": "tidy",
            "selector": {"names": ["old"]} if selector is None else selector,
            "keep": keep or {},
            "steps": steps or [DUE],
        }
        answer = self.owner.call("POST", "/lifecycle/policies", body)
        assert answer.status_code == 201, answer.text
        return str(answer.json()["id"])

    def plan(self, policy: str) -> dict[str, Any]:
        answer = self.owner.call("POST", f"/lifecycle/policies/{policy}/plans")
        assert answer.status_code == 201, answer.text
        return dict(answer.json())

    def apply(self, plan: dict[str, Any], client: Client | None = None) -> Any:
        return (client or self.owner).call("POST", f"/lifecycle/plans/{plan['id']}/actions/apply")

    def there(self, image_id: str) -> bool:
        return self.owner.call("GET", f"/v2/images/{image_id}").status_code == 200


@pytest.fixture
def project(service: lab.Service) -> Project:
    return Project(service.url)


def planned(plan: dict[str, Any]) -> set[str]:
    return {x["image_id"] for x in plan["entries"]}


def results(answer: Any) -> dict[str, tuple[bool, str]]:
    assert answer.status_code == 200, answer.text
    return {x["image_id"]: (x["done"], x["why"]) for x in answer.json()["result"]}


# -- plan and apply --------------------------------------------------------------------------------
def test_a_plan_changes_nothing_and_applying_does_what_it_says(service: lab.Service, project: Project) -> None:
    old, other, young = project.image(), project.image(name="other"), project.image(provided_until=FUTURE)
    policy = project.policy()
    plan = project.plan(policy)
    assert (planned(plan), plan["state"]) == ({old}, "planned")
    assert plan["entries"][0]["why"] == "provided_until was 2020-01-01"
    assert all(map(project.there, (old, other, young)))
    late = project.image()
    assert results(project.apply(plan)) == {old: (True, "provided_until was 2020-01-01")}
    assert [project.there(x) for x in (old, other, young, late)] == [False, True, True, True], (
        "what came later is for another plan"
    )
    shown = project.owner.call("GET", f"/lifecycle/plans/{plan['id']}").json()
    assert (shown["state"], shown["result"][0]["done"]) == ("applied", True)
    assert planned(project.plan(policy)) == {late}
    until(lambda: f"lifecycle.apply subject={policy}" in service.log.read_text(), service.log.read_text)


def test_a_plan_is_applied_once(project: Project) -> None:
    images = {project.image() for _ in range(4)}
    plan = project.plan(project.policy())
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda _: project.apply(plan, Client(project.owner.url, project.name)), range(4)))
    assert sorted(x.status_code for x in answers) == [200, 409, 409, 409], [x.text for x in answers]
    assert not any(map(project.there, images))
    answer = project.apply(plan)
    assert (answer.status_code, "applied once" in answer.text) == (409, True)


def test_what_has_changed_is_refused(project: Project) -> None:
    changed, tagged, protected, gone, same = (project.image() for _ in range(5))
    policy = project.policy(keep={"tags": ["keep"]})
    plan = project.plan(policy)
    assert planned(plan) == {changed, tagged, protected, gone, same}
    assert project.owner.patch(changed, {"op": "add", "path": "/x", "value": "y"}).status_code == 200
    assert project.owner.call("PUT", f"/v2/images/{tagged}/tags/keep").status_code == 204
    assert project.owner.patch(protected, {"op": "replace", "path": "/protected", "value": True}).status_code == 200
    assert project.owner.delete(gone).status_code == 204
    found = results(project.apply(plan))
    assert {x for x, (done, _) in found.items() if done} == {same}
    assert all(project.there(x) for x in (changed, tagged, protected))
    assert planned(project.plan(policy)) == {changed}, "what is kept now is planned no more"


def test_a_changed_policy_has_no_plans(project: Project) -> None:
    image = project.image()
    policy = project.policy()
    plan = project.plan(policy)
    body = {"name": "tidy", "selector": {"names": ["old"]}, "keep": {"newest": 9}, "steps": [DUE]}
    assert project.owner.call("PUT", f"/lifecycle/policies/{policy}", body).status_code == 200
    answer = project.apply(plan)
    assert (answer.status_code, "has changed" in answer.text) == (409, True)
    assert project.there(image)
    assert project.owner.call("DELETE", f"/lifecycle/policies/{policy}").status_code == 204
    assert project.apply(plan).status_code == 404
    assert project.there(image)


def test_counts_are_of_the_moment_of_applying(project: Project) -> None:
    """Of five, three are to stay; two of those are deleted by hand: nothing more goes."""
    images = [project.image(name="five") for _ in range(5)]
    plan = project.plan(project.policy({"action": "delete", "beyond": 3}, selector={"names": ["five"]}))
    assert len(plan["entries"]) == 2
    for image in set(images) - planned(plan):
        if sum(map(project.there, images)) > 3:
            assert project.owner.delete(image).status_code == 204
    assert {done for done, _ in results(project.apply(plan)).values()} == {False}
    assert sum(map(project.there, images)) == 3


def test_an_empty_selector_selects_nothing(project: Project) -> None:
    project.image()
    for selector in ({}, {"tags": []}, {"properties": {}}, {"name_prefix": ""}):
        assert project.plan(project.policy(selector=selector))["entries"] == []


def test_the_steps(project: Project) -> None:
    """One with each plan: hidden, deactivated where the policy allows it to the caller, deleted."""
    image = project.image()
    policy = project.policy(*({"action": x, "past": "provided_until"} for x in ("deprecate", "hide", "delete")))
    plan = project.plan(policy)
    assert [x["action"] for x in plan["entries"]] == ["hide"], "it is in no family"
    assert results(project.apply(plan))[image][0] is True
    assert project.owner.show(image)["os_hidden"] is True
    plan = project.plan(policy)
    assert [x["action"] for x in plan["entries"]] == ["delete"]
    assert results(project.apply(plan))[image][0] is True
    assert not project.there(image)


def test_it_may_do_what_the_caller_may(project: Project) -> None:
    image = project.image()
    plan = project.plan(project.policy({"action": "deactivate", "past": "provided_until"}))
    assert project.apply(plan, project.reader).status_code == 403
    done = results(project.apply(plan, project.admin))
    assert done[image][0] is True
    assert project.owner.show(image)["status"] == "deactivated"


# -- families --------------------------------------------------------------------------------------
def test_families_keep_what_is_needed(project: Project) -> None:
    family = project.owner.call("POST", "/families", {"name": f"f/{uuid.uuid4().hex[:8]}"}).json()
    path = f"/families/{family['id']}"
    images = [project.image() for _ in range(5)]
    for number, image in enumerate(images):
        assert project.owner.call("PUT", f"{path}/versions/{number}", {"image_id": image}).status_code == 201
    assert project.owner.call("PUT", f"{path}/channels/stable", {"label": "1"}).status_code == 200
    policy = project.policy(
        *({"action": x, "past": "provided_until"} for x in ("deprecate", "delete")),
        selector={"families": [family["name"]]},
    )
    plan = project.plan(policy)
    assert planned(plan) == {images[0], images[2], images[3]}, "neither the channel's nor the newest"
    assert project.owner.call("PUT", f"{path}/channels/old", {"label": "2"}).status_code == 200
    found = results(project.apply(plan))
    assert {x: done for x, (done, _) in found.items()} == {images[0]: True, images[2]: False, images[3]: True}
    assert project.owner.show(images[0])["deprecated_at"]
    assert project.owner.call("GET", f"{path}/versions/0").json()["reason"].startswith("policy tidy: ")
    plan = project.plan(policy)
    assert {(x["image_id"], x["action"]) for x in plan["entries"]} == {(images[0], "delete"), (images[3], "delete")}
    assert project.owner.call("POST", f"{path}/versions/3/actions/restore", {}).status_code == 200
    found = results(project.apply(plan))
    assert {x: done for x, (done, _) in found.items()} == {images[0]: True, images[3]: False}
    assert [project.there(x) for x in images] == [False, True, True, True, True]


def test_a_family_that_is_not_there_is_told(service: lab.Service, project: Project) -> None:
    """A name that is written wrongly selects nothing, for ever: who writes the policy hears of it at once, and of one
    that goes later with each plan."""
    body = {"name": "x", "selector": {"families": ["debain/13"]}, "steps": [DUE]}
    family = project.owner.call("POST", "/families", {"name": f"f/{uuid.uuid4().hex[:8]}"}).json()
    public = project.stranger.call("POST", "/families", {"name": family["name"]})
    assert public.status_code == 201
    for client, names in (
        (project.owner, ["debain/13"]),
        (project.owner, [family["name"], "No Name"]),
        (project.reader, ["debain/13"]),
    ):
        answer = client.call("POST", "/lifecycle/policies", {**body, "selector": {"families": names}})
        assert answer.status_code == (403 if client is project.reader else 400), answer.text
    assert project.owner.call("GET", "/lifecycle/policies").json()["policies"] == []
    policy = project.policy(DUE, selector={"families": [family["name"]]})
    assert project.plan(policy)["notes"] == []
    assert project.owner.call("PUT", f"/lifecycle/policies/{policy}", body).status_code == 400
    assert project.owner.call("DELETE", f"/families/{family['id']}").status_code == 204
    plan = project.plan(policy)
    assert plan["notes"] == [f"your project has no family {family['name']}: that name selects nothing"], (
        "another project's is none"
    )
    told = service.manage("lifecycle", "plan", "--project", project.name)
    assert f"no family {family['name']}" in told


def test_the_last_version_stays(project: Project) -> None:
    family = project.owner.call("POST", "/families", {"name": f"f/{uuid.uuid4().hex[:8]}"}).json()
    image = project.image()
    assert project.owner.call("PUT", f"/families/{family['id']}/versions/1", {"image_id": image}).status_code == 201
    assert project.plan(project.policy(DUE, selector={"families": [family["name"]]}))["entries"] == []


# -- whose images ----------------------------------------------------------------------------------
def test_only_ones_own_images(project: Project) -> None:
    """Not shared, community or public ones of others, and not an admin's view of all."""
    shared = project.image(project.stranger)
    assert project.stranger.call("POST", f"/v2/images/{shared}/members", {"member": project.name}).status_code == 200
    assert (
        project.owner.call("PUT", f"/v2/images/{shared}/members/{project.name}", {"status": "accepted"}).status_code
        == 200
    )
    project.image(project.stranger, visibility="community")
    mine = project.image()
    policy = project.policy()
    assert planned(project.plan(policy)) == {mine}
    by_admin = project.admin.call("POST", f"/lifecycle/policies/{policy}/plans").json()
    assert planned(by_admin) == {mine}


def test_policies_of_others_are_not_there(project: Project) -> None:
    image = project.image()
    policy = project.policy()
    plan = project.plan(policy)
    body = {"name": "x", "selector": {"names": ["old"]}, "steps": [DUE]}
    boss = Client(project.owner.url, "elsewhere", "admin,member,reader")
    for who in (project.stranger, boss):
        for method, path, sent in (
            ("GET", f"policies/{policy}", None),
            ("PUT", f"policies/{policy}", body),
            ("DELETE", f"policies/{policy}", None),
            ("GET", f"policies/{policy}/plans", None),
            ("POST", f"policies/{policy}/plans", None),
            ("GET", f"plans/{plan['id']}", None),
            ("POST", f"plans/{plan['id']}/actions/apply", None),
        ):
            unknown = str(uuid.uuid4())
            there = who.call(method, f"/lifecycle/{path}", sent)
            nowhere = who.call(method, f"/lifecycle/{path.replace(policy, unknown).replace(plan['id'], unknown)}", sent)
            assert there.status_code == nowhere.status_code == 404, (method, path)
            assert there.text.replace(policy, "").replace(plan["id"], "") == nowhere.text.replace(unknown, "")
    assert project.stranger.call("GET", "/lifecycle/policies").json() == {"policies": []}
    for method, path, sent in (
        ("PUT", f"policies/{policy}", body),
        ("DELETE", f"policies/{policy}", None),
        ("POST", f"policies/{policy}/plans", None),
    ):
        assert project.reader.call(method, f"/lifecycle/{path}", sent).status_code == 403
    assert project.reader.call("GET", f"/lifecycle/plans/{plan['id']}").status_code == 200
    assert project.there(image)


# -- what is refused -------------------------------------------------------------------------------
@pytest.mark.parametrize(
    "wrong",
    [
        {"steps": []},
        {"steps": [{"action": "delete"}]},
        {"steps": [{"action": "delete", "days": 3}]},
        {"steps": [{"action": "burn", "age_days": 1}]},
        {"steps": [{"action": "delete", "age_days": 0}]},
        {"steps": [{"action": "delete", "age_days": 1, "days": 1}]},
        {"selector": {"everything": True}},
        {"selector": None},
        {"name": ""},
        {"name": "a\nb"},
        {"keep": {"newest": -1}},
        {"more": 1},
    ],
)
def test_wrong_policies(project: Project, wrong: dict[str, object]) -> None:
    answer = project.owner.call(
        "POST", "/lifecycle/policies", {"name": "x", "selector": {"names": ["old"]}, "steps": [DUE], **wrong}
    )
    assert (answer.status_code, next(iter(wrong)) in answer.text) == (400, True), answer.text


def test_limits() -> None:
    with lab.service(
        lab.merged(CONFIG, {"ext_lifecycle": {"policies_per_project": 1, "images_per_plan": 2, "plans_per_policy": 2}})
    ) as service:
        project = Project(service.url)
        for _ in range(3):
            project.image()
        policy = project.policy()
        answer = project.owner.call("POST", "/lifecycle/policies", {"name": "x", "selector": {}, "steps": [DUE]})
        assert answer.status_code == 413
        plans = [project.plan(policy) for _ in range(4)]
        assert [(len(x["entries"]), x["left"]) for x in plans] == [(2, 1)] * 4
        kept = project.owner.call("GET", f"/lifecycle/policies/{policy}/plans").json()["plans"]
        assert [x["id"] for x in kept] == [plans[3]["id"], plans[2]["id"]]


def test_the_operators_commands_and_job(service: lab.Service, project: Project) -> None:
    image = project.image()
    policy = project.policy()
    assert any(json.loads(x)["id"] == policy for x in service.manage("--json", "lifecycle", "list").splitlines())
    plan = json.loads(service.manage("--json", "lifecycle", "plan", "--project", project.name))
    assert [x["image_id"] for x in plan["entries"]] == [image]
    done = lab.command("glance-periodic", "--config-file", service.config_file, "run", "lifecycle_plan", "--json")
    report = json.loads(done.stdout)
    assert (done.returncode, report["errors"]) == (0, []), done.stderr
    assert policy in {x["subject"] for x in report["findings"]}
    assert project.there(image), "the job plans, and no more"
    assert f"delete {image}: provided_until" in service.manage(
        "lifecycle", "apply", "--project", project.name, "--plan", plan["id"]
    )
    assert not project.there(image)
