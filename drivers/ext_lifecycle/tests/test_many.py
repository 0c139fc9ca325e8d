"""A project with more images than one look at the database takes in."""

from __future__ import annotations

import importlib
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from glancecore_ext_lifecycle import facts as lifecycle_facts
from glancecore_ext_lifecycle import groups

from glancecore.testing.service import Person, basic, built, merged, read, synced, written


@pytest.mark.parametrize("hidden", [False, True])
def test_a_plan_sees_all_images(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, hidden: bool) -> None:
    conf = read(written(merged(basic(tmp_path), {"DEFAULT": {"enabled_extensions": "families, lifecycle"}}), tmp_path))
    synced(conf)
    with built(conf) as service:
        images = service.extensions["lifecycle"].kernel.images
        monkeypatch.setattr(importlib.import_module(type(images).__module__), "LOOKS", (3, 6))
        person = Person(service.app)
        made = [str(person.create(name="old", os_hidden=hidden)["id"]) for _ in range(20)]
        for image_id in made:
            assert person.upload(image_id).status_code == 204
        body = {"name": "x", "selector": {"names": ["old"]}, "steps": [{"action": "delete", "beyond": 5}]}
        policy = (person.call("POST", "/lifecycle/policies", body, Content_Type="application/json").json or {})["id"]
        plan = person.call("POST", f"/lifecycle/policies/{policy}/plans")
        assert plan.status_code == 201, plan.text
        assert len((plan.json or {})["entries"]) == (0 if hidden else 15), (
            "what is hidden can't be used: it counts for nothing"
        )


def test_a_step_is_decided_among_many(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Images of other names are between those that count: more than are looked through for a name."""
    conf = read(written(merged(basic(tmp_path), {"DEFAULT": {"enabled_extensions": "families, lifecycle"}}), tmp_path))
    synced(conf)
    with built(conf) as service:
        images = service.extensions["lifecycle"].kernel.images
        monkeypatch.setattr(importlib.import_module(type(images).__module__), "LOOKS", (3, 6))
        monkeypatch.setattr(lifecycle_facts, "_LOOK", 2)
        person = Person(service.app)
        made = []
        for name in ("old", "old", *["other"] * 9, "old", *["other"] * 9, "old"):
            made.append(str(person.create(name=name)["id"]))
            assert person.upload(made[-1]).status_code == 204
        body = {"name": "x", "selector": {"names": ["old"]}, "steps": [{"action": "delete", "beyond": 3}]}
        policy = (person.call("POST", "/lifecycle/policies", body, Content_Type="application/json").json or {})["id"]
        plan = person.call("POST", f"/lifecycle/policies/{policy}/plans").json or {}
        assert [x["image_id"] for x in plan["entries"]] == made[:1]
        done = person.call("POST", f"/lifecycle/plans/{plan['id']}/actions/apply").json or {}
        assert [(x["image_id"], x["done"]) for x in done["result"]] == [(made[0], True)], done


@pytest.mark.parametrize(("action", "family"), [("delete", False), ("delete", True), ("deprecate", True)])
def test_each_image_is_looked_at_once_for_a_plan_that_is_applied(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, action: str, family: bool
) -> None:
    """However many of those that are kept each step counts."""
    conf = read(written(merged(basic(tmp_path), {"DEFAULT": {"enabled_extensions": "families, lifecycle"}}), tmp_path))
    synced(conf)
    with built(conf) as service:
        person = Person(service.app)
        made = [str(person.create(name="old")["id"]) for _ in range(20)]
        path = (
            f"/families/{(person.call('POST', '/families', {'name': 'f'}, Content_Type='application/json').json or {})['id']}"
            if family
            else ""
        )
        for number, image_id in enumerate(made):
            assert person.upload(image_id).status_code == 204
            assert (
                not family
                or person.call(
                    "PUT", f"{path}/versions/{number}", {"image_id": image_id}, Content_Type="application/json"
                ).status_code
                == 201
            )
        body = {"name": "x", "selector": {"names": ["old"]}, "steps": [{"action": action, "beyond": 12}]}
        policy = (person.call("POST", "/lifecycle/policies", body, Content_Type="application/json").json or {})["id"]
        plan = person.call("POST", f"/lifecycle/policies/{policy}/plans").json or {}
        assert [x["image_id"] for x in plan["entries"]] == made[:8]
        looked: list[str] = []
        known = lifecycle_facts.Facts.known

        def counting(self: Any, policy: Any, images: Any) -> Any:
            looked.extend(x.id for x in images)
            return known(self, policy, images)

        monkeypatch.setattr(lifecycle_facts.Facts, "known", counting)
        done = person.call("POST", f"/lifecycle/plans/{plan['id']}/actions/apply").json or {}
        assert [(x["image_id"], x["done"]) for x in done["result"]] == [(x, True) for x in made[:8]], done
        assert Counter(looked) <= Counter(made) + Counter(made[:8]), (
            "itself, when its turn comes, and each that is counted with it once"
        )


def test_one_request_looks_at_so_many_and_no_more(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    conf = read(written(merged(basic(tmp_path), {"DEFAULT": {"enabled_extensions": "families, lifecycle"}}), tmp_path))
    synced(conf)
    with built(conf) as service:
        monkeypatch.setattr(groups, "MOST_LOOKS", 12)
        person = Person(service.app)
        made = [str(person.create(name="old")["id"]) for _ in range(8)]
        for image_id in made:
            assert person.upload(image_id).status_code == 204
        body = {"name": "x", "selector": {"names": ["old"]}, "steps": [{"action": "delete", "beyond": 4}]}
        policy = (person.call("POST", "/lifecycle/policies", body, Content_Type="application/json").json or {})["id"]

        def applied() -> list[bool]:
            plan = person.call("POST", f"/lifecycle/policies/{policy}/plans").json or {}
            done = person.call("POST", f"/lifecycle/plans/{plan['id']}/actions/apply").json or {}
            assert all(x["done"] or "the next plan has it" in x["why"] for x in done["result"])
            return [x["done"] for x in done["result"]]

        assert applied() == [True, False, False, False]
        assert applied() == [True, False, False]
