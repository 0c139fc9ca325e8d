"""Applying a plan breaks off in the middle, or its policy goes meanwhile; on a moved clock."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from glancecore.assembly.lifecycle import Service
from glancecore.domain.context import Context
from glancecore.testing.service import Person, basic, built, merged, read, synced, written

CTX = Context(user="u", project="demo", roles=frozenset({"member", "reader"}))


class Killed(BaseException):
    """As a process ends."""


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Service]:
    conf = read(written(merged(basic(tmp_path), {"DEFAULT": {"enabled_extensions": "families, lifecycle"}}), tmp_path))
    synced(conf)
    with built(conf) as made:
        yield made


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch, service: Service) -> list[datetime]:
    """What time it is stands in the list."""
    found = [datetime.now(UTC) + timedelta(days=100)]
    monkeypatch.setattr(type(plans(service)._kernel), "clock", lambda _self: found[0])
    return found


def plans(service: Service) -> Any:
    return service.extensions["lifecycle"].plans  # type: ignore[attr-defined]


def three(service: Service) -> tuple[Person, str, str]:
    """Somebody with three images, a policy that deletes them, and its plan."""
    person = Person(service.app)
    for _ in range(3):
        assert person.upload(str(person.create(name="old")["id"])).status_code == 204
    body = {"name": "x", "selector": {"names": ["old"]}, "steps": [{"action": "delete", "age_days": 30}]}
    policy = str((person.call("POST", "/lifecycle/policies", body, Content_Type="application/json").json or {})["id"])
    plan = person.call("POST", f"/lifecycle/policies/{policy}/plans").json or {}
    assert len(plan["entries"]) == 3
    return person, policy, str(plan["id"])


def left(person: Person) -> int:
    return len((person.call("GET", "/v2/images").json or {})["images"])


def test_what_has_broken_off_goes_on(service: Service, clock: list[datetime], monkeypatch: pytest.MonkeyPatch) -> None:
    person, _, plan = three(service)
    images = plans(service)._kernel.images
    delete, count = type(images).delete, []

    def dying(self: Any, ctx: Context, image_id: str, **more: Any) -> None:
        count.append(image_id)
        if len(count) == 2:
            raise Killed
        delete(self, ctx, image_id, **more)

    monkeypatch.setattr(type(images), "delete", dying)
    with pytest.raises(Killed):
        plans(service).apply(CTX, plan)
    assert left(person) == 2
    answer = person.call("POST", f"/lifecycle/plans/{plan}/actions/apply")
    assert (answer.status_code, "is being applied since" in answer.text) == (409, True)
    clock[0] += timedelta(minutes=11)
    answer = person.call("POST", f"/lifecycle/plans/{plan}/actions/apply")
    assert [x["done"] for x in (answer.json or {})["result"]] == [True, True, True], answer.text
    assert len(count) == 4, "what was done is not done again"
    assert left(person) == 0


def test_a_policy_that_goes_meanwhile(service: Service, clock: list[datetime], monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing more is done; what was is told, and noted."""
    del clock
    person, policy, plan = three(service)
    images = plans(service)._kernel.images
    delete = type(images).delete

    def slow(self: Any, ctx: Context, image_id: str, **more: Any) -> None:
        assert person.call("DELETE", f"/lifecycle/policies/{policy}").status_code == 204
        delete(self, ctx, image_id, **more)

    monkeypatch.setattr(type(images), "delete", slow)
    answer = person.call("POST", f"/lifecycle/plans/{plan}/actions/apply")
    assert [x["done"] for x in (answer.json or {})["result"]] == [True, False, False], answer.text
    assert left(person) == 2
    shown = person.call("GET", f"/lifecycle/plans/{plan}").json or {}
    assert (shown["state"], shown["result"]) == ("applied", (answer.json or {})["result"])


def test_an_old_plan_is_not_applied(service: Service, clock: list[datetime]) -> None:
    person, _, plan = three(service)
    clock[0] += timedelta(hours=72)
    answer = person.call("POST", f"/lifecycle/plans/{plan}/actions/apply")
    assert (answer.status_code, "too long ago" in answer.text) == (409, True)
    assert left(person) == 3
