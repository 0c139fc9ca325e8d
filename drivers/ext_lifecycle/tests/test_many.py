"""A project with more images than one look at the database takes in."""

from __future__ import annotations

import importlib
from pathlib import Path

import pytest
from glancecore_ext_lifecycle import facts as lifecycle_facts

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
        assert len((plan.json or {})["entries"]) == (0 if hidden else 15), "what is hidden can't be used: it counts for nothing"


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
