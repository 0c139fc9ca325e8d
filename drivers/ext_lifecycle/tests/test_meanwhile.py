"""What happens while a plan is applied is seen before the next step is taken."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from glancecore_ext_lifecycle import facts

from glancecore.assembly.lifecycle import Service
from glancecore.domain.context import Context
from glancecore.features.uses.extension import UsesExtension
from glancecore.testing.service import Person, basic, built, merged, read, synced, written

CTX = Context(user="u", project="demo", roles=frozenset({"member", "reader"}))
DUE = {"action": "delete", "past": "provided_until"}


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Service]:
    conf = read(written(merged(basic(tmp_path), {"DEFAULT": {"enabled_extensions": "families, lifecycle"}}), tmp_path))
    synced(conf)
    with built(conf) as made:
        yield made


@pytest.fixture
def person(service: Service) -> Person:
    return Person(service.app)


def plans(service: Service) -> Any:
    return service.extensions["lifecycle"].plans  # type: ignore[attr-defined]


def asked(person: Person, method: str, path: str, body: object = None, status: int = 200) -> Any:
    answer = person.call(method, path, body, Content_Type="application/json")
    assert answer.status_code == status, answer.text
    return answer.json


def image(person: Person, **fields: object) -> str:
    image_id = str(person.create(**{"name": "old", "provided_until": "2020-01-01", **fields})["id"])
    assert person.upload(image_id).status_code == 204
    return image_id


def family(person: Person, images: list[str], **more: object) -> str:
    path = f"/families/{asked(person, 'POST', '/families', {'name': 'f'}, 201)['id']}"
    for number, each in enumerate(images):
        asked(person, "PUT", f"{path}/versions/{number}", {"image_id": each, **more}, 201)
    return path


def planned(
    person: Person, *steps: dict[str, Any], keep: object = None, selector: object = None
) -> tuple[str, dict[str, Any]]:
    body = {"name": "x", "selector": selector or {"names": ["old"]}, "keep": keep or {}, "steps": steps}
    policy = asked(person, "POST", "/lifecycle/policies", body, 201)["id"]
    return policy, asked(person, "POST", f"/lifecycle/policies/{policy}/plans", None, 201)


def apply(person: Person, plan: dict[str, Any]) -> dict[str, bool]:
    return {
        x["image_id"]: x["done"]
        for x in asked(person, "POST", f"/lifecycle/plans/{plan['id']}/actions/apply")["result"]
    }


def after_the_first(
    service: Service, monkeypatch: pytest.MonkeyPatch, then: Callable[[], object], action: str = "delete"
) -> None:
    """``then`` happens when the first image is changed, in another thread."""
    images = type(plans(service)._kernel.images)
    do = getattr(images, action)
    seen: list[Any] = []

    def doing(self: Any, ctx: Context, image_id: str, *given: Any, **more: Any) -> Any:
        done = do(self, ctx, image_id, *given, **more)
        if not seen:
            seen.append(image_id)
            with ThreadPoolExecutor(1) as other:
                other.submit(then).result()
        return done

    monkeypatch.setattr(images, action, doing)


def test_a_channel_that_is_moved(service: Service, person: Person, monkeypatch: pytest.MonkeyPatch) -> None:
    images = [image(person) for _ in range(4)]
    path = family(person, images)
    _, plan = planned(person, {"action": "hide", "past": "provided_until"})
    assert [x["image_id"] for x in plan["entries"]] == images[:3]
    after_the_first(
        service, monkeypatch, lambda: asked(person, "PUT", f"{path}/channels/stable", {"label": "1"}), "update"
    )
    assert apply(person, plan) == {images[0]: True, images[1]: False, images[2]: True}
    assert person.call("GET", f"/v2/images/{images[1]}").json["os_hidden"] is False  # type: ignore[index]


def test_the_newest_goes(service: Service, person: Person, monkeypatch: pytest.MonkeyPatch) -> None:
    images = [image(person) for _ in range(4)]
    family(person, images)
    _, plan = planned(person, DUE)
    after_the_first(service, monkeypatch, lambda: asked(person, "DELETE", f"/v2/images/{images[3]}", None, 204))
    assert apply(person, plan) == {images[0]: True, images[1]: True, images[2]: False}, "one that can be used stays"


def test_what_was_counted_goes(service: Service, person: Person, monkeypatch: pytest.MonkeyPatch) -> None:
    images = [image(person) for _ in range(5)]
    _, plan = planned(person, {"action": "delete", "beyond": 3})
    assert [x["image_id"] for x in plan["entries"]] == images[:2]
    after_the_first(service, monkeypatch, lambda: asked(person, "DELETE", f"/v2/images/{images[4]}", None, 204))
    assert apply(person, plan) == {images[0]: True, images[1]: False}


@pytest.mark.parametrize(
    "then",
    [
        lambda person, image_id: person.call(
            "PATCH",
            f"/v2/images/{image_id}",
            [{"op": "replace", "path": "/os_hidden", "value": True}],
            Content_Type="application/openstack-images-v2.1-json-patch",
        ),
        lambda person, image_id: person.call(
            "PATCH",
            f"/v2/images/{image_id}",
            [{"op": "replace", "path": "/name", "value": "new"}],
            Content_Type="application/openstack-images-v2.1-json-patch",
        ),
        lambda person, image_id: person.call("POST", f"/v2/images/{image_id}/actions/deactivate"),
        lambda person, image_id: family(person, [image_id]),
    ],
    ids=["hidden", "renamed", "deactivated", "of a family"],
)
def test_what_was_counted_counts_no_more(
    service: Service, person: Person, monkeypatch: pytest.MonkeyPatch, then: Any
) -> None:
    images = [image(person) for _ in range(6)]
    _, plan = planned(person, {"action": "delete", "beyond": 3})
    assert [x["image_id"] for x in plan["entries"]] == images[:3]
    after_the_first(service, monkeypatch, lambda: then(person, images[4]))
    assert apply(person, plan) == {images[0]: True, images[1]: True, images[2]: False}


def test_what_was_counted_changes_and_counts_still(
    service: Service, person: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    images = [image(person) for _ in range(5)]
    _, plan = planned(person, {"action": "delete", "beyond": 3})
    after_the_first(service, monkeypatch, lambda: asked(person, "PUT", f"/v2/images/{images[4]}/tags/x", None, 204))
    assert apply(person, plan) == {images[0]: True, images[1]: True}


def test_behind_what_was_counted_there_are_others(
    service: Service, person: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Which were not looked at, as they made no difference."""
    monkeypatch.setattr(facts, "_PAGE", 1)
    images = [image(person) for _ in range(8)]
    _, plan = planned(person, {"action": "delete", "beyond": 3}, keep={"newest": 4})
    assert [x["image_id"] for x in plan["entries"]] == images[:4]
    after_the_first(service, monkeypatch, lambda: asked(person, "DELETE", f"/v2/images/{images[7]}", None, 204))
    assert apply(person, plan) == {images[0]: True, images[1]: True, images[2]: True, images[3]: False}


@pytest.mark.parametrize("action", ["hide", "deprecate"])
@pytest.mark.parametrize("at_once", [True, False])
def test_a_version_that_was_counted_is_deprecated(
    service: Service, person: Person, monkeypatch: pytest.MonkeyPatch, action: str, at_once: bool
) -> None:
    """Or its time comes, while the plan is applied."""
    images = [image(person) for _ in range(6)]
    path = family(person, images)
    now = [datetime.now(UTC)]
    if not at_once:
        monkeypatch.setattr(type(plans(service)._kernel), "clock", lambda _self: now[0])
        asked(
            person,
            "POST",
            f"{path}/versions/4/actions/deprecate",
            {"deprecated_at": (now[0] + timedelta(hours=1)).strftime("%Y-%m-%dT%H:%M:%SZ")},
        )
    _, plan = planned(person, {"action": action, "beyond": 3})
    assert [x["image_id"] for x in plan["entries"]] == images[:3]

    def then() -> None:
        if at_once:
            asked(person, "POST", f"{path}/versions/4/actions/deprecate", {})
        now[0] += timedelta(hours=2)

    if action == "hide":
        after_the_first(service, monkeypatch, then, "update")
    else:
        dating = type(service.extensions["families"].dating)  # type: ignore[attr-defined]
        deprecate, seen = dating.deprecate, list[str]()

        def doing(self: Any, *given: Any) -> Any:
            done = deprecate(self, *given)
            seen.append("done")
            if len(seen) == 1:
                then()
            return done

        monkeypatch.setattr(dating, "deprecate", doing)
    assert apply(person, plan) == {images[0]: True, images[1]: True, images[2]: False}


def test_the_policy_is_written_anew(service: Service, person: Person, monkeypatch: pytest.MonkeyPatch) -> None:
    images = [image(person) for _ in range(3)]
    policy, plan = planned(person, DUE)
    body = {"name": "x", "selector": {"names": ["old"]}, "keep": {"newest": 9}, "steps": [DUE]}
    after_the_first(service, monkeypatch, lambda: asked(person, "PUT", f"/lifecycle/policies/{policy}", body))
    assert apply(person, plan) == dict(zip(images, [True, False, False], strict=True))


def test_an_image_changes_between_the_check_and_its_deletion(
    service: Service, person: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    images = [image(person)]
    _, plan = planned(person, DUE)
    keeping = service.extensions["families"].keeping  # type: ignore[attr-defined]
    mark = type(keeping)._check_leaving
    seen: list[Any] = []

    def slow(self: Any, before: Any) -> None:
        mark(self, before)
        if not seen:
            seen.append(True)
            asked(person, "PUT", f"/v2/images/{before.id}/tags/wanted", None, 204)

    monkeypatch.setattr(type(keeping), "_check_leaving", slow)
    assert apply(person, plan) == {images[0]: False}
    assert "wanted" in person.call("GET", f"/v2/images/{images[0]}").json["tags"]  # type: ignore[index]


def test_a_version_is_taken_out(service: Service, person: Person, monkeypatch: pytest.MonkeyPatch) -> None:
    """Between the decision and the step."""
    images = [image(person) for _ in range(2)]
    path = family(person, images)
    _, plan = planned(person, {"action": "deprecate", "past": "provided_until"})
    due = type(plans(service)._applying)._due

    def slow(self: Any, *given: Any) -> Any:
        found = due(self, *given)
        asked(person, "DELETE", f"{path}/versions/0", None, 204)
        return found

    monkeypatch.setattr(type(plans(service)._applying), "_due", slow)
    assert apply(person, plan) == {images[0]: False}


def test_a_schedule_stays(person: Person) -> None:
    images = [image(person) for _ in range(2)]
    path = family(person, images)
    later = {
        x: (datetime.now(UTC) + timedelta(days=y)).strftime("%Y-%m-%dT00:00:00Z")
        for x, y in (("deprecated_at", 10), ("obsolete_at", 20), ("ends_at", 30))
    }
    asked(person, "POST", f"{path}/versions/0/actions/deprecate", {**later, "replacement": "f:1"})
    _, plan = planned(person, {"action": "deprecate", "past": "provided_until"})
    assert apply(person, plan) == {images[0]: True}
    shown = asked(person, "GET", f"{path}/versions/0")
    assert {x: shown[x] for x in ("state", "obsolete_at", "ends_at", "replacement")} == {
        "state": "deprecated",
        "obsolete_at": later["obsolete_at"],
        "ends_at": later["ends_at"],
        "replacement": "f:1",
    }


def test_what_is_said_of_a_version_meanwhile_stays(
    service: Service, person: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    images = [image(person) for _ in range(2)]
    path = family(person, images)
    _, plan = planned(person, {"action": "deprecate", "past": "provided_until"})
    due = type(plans(service)._applying)._due

    def slow(self: Any, *given: Any) -> Any:
        found = due(self, *given)
        asked(person, "POST", f"{path}/versions/0/actions/deprecate", {"reason": "mine"})
        return found

    monkeypatch.setattr(type(plans(service)._applying), "_due", slow)
    assert apply(person, plan) == {images[0]: False}
    assert asked(person, "GET", f"{path}/versions/0")["reason"] == "mine"


def test_who_was_too_slow_stops(service: Service, person: Person, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing was heard of him for so long that somebody else went on."""
    images = [image(person) for _ in range(3)]
    _, plan = planned(person, DUE)
    now = [datetime.now(UTC)]
    monkeypatch.setattr(type(plans(service)._kernel), "clock", lambda _self: now[0])

    def sleep() -> None:
        now[0] += timedelta(minutes=11)
        assert set(apply(person, plan)) == set(images)

    after_the_first(service, monkeypatch, sleep)
    answer = person.call("POST", f"/lifecycle/plans/{plan['id']}/actions/apply")
    assert (answer.status_code, "somebody else" in answer.text) == (409, True)
    assert len(asked(person, "GET", f"/lifecycle/plans/{plan['id']}")["result"]) == 3


def test_who_is_at_work_is_waited_for(service: Service, person: Person, monkeypatch: pytest.MonkeyPatch) -> None:
    """However long the whole takes; and the plan stays, however many others are made and however old it is."""
    images = [image(person) for _ in range(4)]
    policy, plan = planned(person, DUE)
    now = [datetime.now(UTC)]
    monkeypatch.setattr(type(plans(service)._kernel), "clock", lambda _self: now[0])
    do = type(plans(service)._kernel.images).delete
    seen: list[Any] = []

    def slow(self: Any, ctx: Context, image_id: str, **more: Any) -> None:
        now[0] += timedelta(minutes=9)
        seen.append(person.call("POST", f"/lifecycle/plans/{plan['id']}/actions/apply").status_code)
        do(self, ctx, image_id, **more)
        if len(seen) == 1:
            for _ in range(12):
                asked(person, "POST", f"/lifecycle/policies/{policy}/plans", None, 201)
            assert len(asked(person, "GET", f"/lifecycle/plans/{plan['id']}")["result"]) == 0

    monkeypatch.setattr(type(plans(service)._kernel.images), "delete", slow)
    assert apply(person, plan) == dict.fromkeys(images, True)
    assert seen == [409] * 4


def test_a_plan_that_is_applied_at_its_last_moment_is_kept(
    service: Service, person: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    image(person)
    _, plan = planned(person, DUE)
    now = [datetime.now(UTC) + timedelta(hours=71, minutes=59)]
    kernel = plans(service)._kernel
    monkeypatch.setattr(type(kernel), "clock", lambda _self: now[0])
    apply(person, plan)
    assert kernel.records.expired("lifecycle.plans", now[0] + timedelta(hours=1)) == []


def test_what_is_used_meanwhile_is_kept(service: Service, person: Person, monkeypatch: pytest.MonkeyPatch) -> None:
    """Used long ago, used of late, and used when the plan is made already."""
    uses, began = service.of(UsesExtension), datetime.now(UTC)
    now = [began]
    monkeypatch.setattr(type(plans(service)._kernel), "clock", lambda _self: now[0])
    monkeypatch.setattr(uses.counter, "_clock", lambda: now[0])

    def use(image_id: str) -> None:
        answer = person.call("GET", f"/v2/images/{image_id}/file")
        assert (answer.status_code, answer.data) == (200, b"data")
        answer.close()
        uses.counter.write()

    step = {"action": "delete", "unused_days": 30}
    long_ago, of_late, meanwhile = [image(person) for _ in range(3)]
    use(long_ago)
    now[0] = began + timedelta(days=31)
    assert planned(person, step)[1]["entries"] == [], "uses are not counted yet, so nothing is known"
    uses.counter.write_in_time()
    now[0] += timedelta(days=29)
    assert planned(person, step)[1]["entries"] == [], "nor for long enough"
    use(of_late)
    now[0] += timedelta(days=2)
    _, plan = planned(person, step)
    assert {x["image_id"] for x in plan["entries"]} == {long_ago, meanwhile}
    assert {
        x["image_id"]
        for x in planned(person, {"action": "delete", "age_days": 1}, keep={"used_within_days": 30})[1]["entries"]
    } == {long_ago, meanwhile}
    use(meanwhile)
    assert apply(person, plan) == {long_ago: True, meanwhile: False}


def test_other_kinds_are_counted_by_themselves(person: Person) -> None:
    """The newest that can be latest is kept, and so is the newest of each other kind; one that can't be latest is no
    newer one of those that can."""
    images = [image(person) for _ in range(5)]
    path = family(person, images[:2], architecture="x86_64")
    for number, more in (
        (2, {"architecture": "aarch64"}),
        (3, {"architecture": "aarch64"}),
        (4, {"architecture": "x86_64"}),
    ):
        asked(person, "PUT", f"{path}/versions/{number}", {"image_id": images[number], "latest": False, **more}, 201)
    _, plan = planned(person, DUE)
    assert {x["image_id"] for x in plan["entries"]} == {images[0], images[2]}
    assert apply(person, plan) == {images[0]: True, images[2]: True}


def test_one_plan_at_a_time(service: Service, person: Person, monkeypatch: pytest.MonkeyPatch) -> None:
    image(person)
    policy, _ = planned(person, DUE)
    facts = type(plans(service)._facts)
    look = facts.of_project
    seen: list[Any] = []

    def slow(self: Any, *given: Any) -> Any:
        if not seen:
            seen.append(person.call("POST", f"/lifecycle/policies/{policy}/plans"))
        return look(self, *given)

    monkeypatch.setattr(facts, "of_project", slow)
    asked(person, "POST", f"/lifecycle/policies/{policy}/plans", None, 201)
    assert (seen[0].status_code, "is being made since" in seen[0].text) == (409, True)
    asked(person, "POST", f"/lifecycle/policies/{policy}/plans", None, 201)


def test_the_quota_holds_when_two_come_at_once(
    service: Service, person: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = plans(service)
    made._claims._most = 2
    body = {"name": "x", "selector": {"names": ["old"]}, "steps": [DUE]}
    first = asked(person, "POST", "/lifecycle/policies", body, 201)["id"]
    counting = made._claims.counting

    def once(*given: Any) -> Any:
        monkeypatch.setattr(made._claims, "counting", counting)
        change = counting(*given)
        asked(person, "POST", "/lifecycle/policies", body, 201)
        return change

    monkeypatch.setattr(made._claims, "counting", once)
    asked(person, "POST", "/lifecycle/policies", body, 413)
    assert len(asked(person, "GET", "/lifecycle/policies")["policies"]) == 2
    asked(person, "DELETE", f"/lifecycle/policies/{first.upper()}", None, 204)
    asked(person, "POST", "/lifecycle/policies", body, 201)
    asked(person, "POST", "/lifecycle/policies", body, 413)


def test_a_property_that_one_does_not_see_is_not_asked_about(tmp_path: Path) -> None:
    """Neither by what is selected, nor by what is kept, nor by the date of a step."""
    file = tmp_path / "protection.conf"
    file.write_text(
        "".join(
            f"[{x}]\n"
            + "".join(
                f"{action} = {roles}\n"
                for action, roles in (
                    ("create", "admin,member"),
                    ("read", reads),
                    ("update", "admin"),
                    ("delete", "admin"),
                )
            )
            for x, reads in (("^billing_.*", "admin"), ("^provided_until$", "admin"), (".*", "admin,member"))
        )
    )
    conf = read(
        written(
            merged(
                basic(tmp_path),
                {"DEFAULT": {"enabled_extensions": "families, lifecycle", "property_protection_file": str(file)}},
            ),
            tmp_path,
        )
    )
    synced(conf)
    with built(conf) as made:
        person = Person(made.app)
        image(person, name="x", billing_code="4711", provided_until="2020-01-01", os_distro="debian")
        hide = {"action": "hide", "beyond": 1}
        for body in (
            {"selector": {"properties": {"billing_code": "4711"}}, "steps": [hide]},
            {"selector": {"names": ["x"]}, "keep": {"properties": {"billing_code": "4711"}}, "steps": [hide]},
            {"selector": {"names": ["x"]}, "steps": [{"action": "hide", "past": "provided_until"}]},
        ):
            policy = asked(person, "POST", "/lifecycle/policies", {"name": "x", **body}, 201)["id"]
            said = asked(person, "POST", f"/lifecycle/policies/{policy}/plans", status=403)
            assert "which you may not read" in str(said)
        image(person, name="x", os_distro="debian")
        seen = asked(
            person,
            "POST",
            "/lifecycle/policies",
            {"name": "y", "selector": {"properties": {"os_distro": "debian"}}, "steps": [hide]},
            201,
        )["id"]
        assert [
            x["action"] for x in asked(person, "POST", f"/lifecycle/policies/{seen}/plans", status=201)["entries"]
        ] == ["hide"]
