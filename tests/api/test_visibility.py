"""Who sees an image, by visibility: one table, every cell a test over every database.

The letters of a cell: g shown by id, l in the default list, a in the list with visibility=all, d may download.
"""

from __future__ import annotations

import uuid

import pytest
from api import Person, people

from glancecore.assembly.lifecycle import Service

TABLE = """
visibility  owner  reader  pending  accepted  rejected  stranger  admin
private     glad   gla-    ----     ----      ----      ----      glad
shared      glad   gla-    g--d     glad      g--d      ----      glad
community   glad   gla-    g-ad     g-ad      g-ad      g-ad      g-ad
public      glad   gla-    glad     glad      glad      glad      glad
"""
ROWS = [line.split() for line in TABLE.strip().splitlines()]
CELLS = [(row[0], who, cell) for row in ROWS[1:] for who, cell in zip(ROWS[0][1:], row[1:], strict=True)]


@pytest.fixture(scope="module")
def images(service: Service) -> dict[str, tuple[str, dict[str, Person]]]:
    """An active image of each visibility, each of a project of its own, shared with three others."""
    made = {}
    for visibility in ("private", "shared", "community", "public"):
        who = people(service.app, f"p-{uuid.uuid4().hex[:6]}")
        owner, image_id = who["owner"], who["owner"].create()["id"]
        assert owner.upload(image_id).status_code == 204
        for name in ("pending", "accepted", "rejected"):
            assert (
                owner.call("POST", f"/v2/images/{image_id}/members", {"member": who[name].project}).status_code == 200
            )
            if name != "pending":
                path = f"/v2/images/{image_id}/members/{who[name].project}"
                assert who[name].call("PUT", path, {"status": name}).status_code == 200
        step = {"op": "replace", "path": "/visibility", "value": visibility}
        assert who["admin"].patch(image_id, step).status_code == 200
        made[visibility] = (image_id, who)
    return made


@pytest.mark.parametrize(("visibility", "name", "cell"), CELLS)
def test_cell(images: dict[str, tuple[str, dict[str, Person]]], visibility: str, name: str, cell: str) -> None:
    image_id, who = images[visibility]
    person = who[name]
    seen = {
        "g": person.call("GET", f"/v2/images/{image_id}").status_code == 200,
        "l": image_id in person.ids(),
        "a": image_id in person.ids("visibility=all"),
        "d": person.call("GET", f"/v2/images/{image_id}/file").status_code == 200,
    }
    assert "".join(letter if yes else "-" for letter, yes in seen.items()) == _expected(cell)


def _expected(cell: str) -> str:
    return "".join(letter if letter in cell else "-" for letter in "glad")


def test_member_status_chooses_what_is_listed(images: dict[str, tuple[str, dict[str, Person]]]) -> None:
    image_id, who = images["shared"]
    for name in ("pending", "accepted", "rejected"):
        for status in ("pending", "accepted", "rejected", "all"):
            listed = image_id in who[name].ids(f"member_status={status}")
            assert listed == (status in (name, "all")), (name, status)
            listed = image_id in who[name].ids(f"visibility=shared&member_status={status}")
            assert listed == (status in (name, "all")), (name, status)


def test_each_visibility_lists_its_own(images: dict[str, tuple[str, dict[str, Person]]]) -> None:
    for visibility, (image_id, who) in images.items():
        for asked in ("private", "shared", "community", "public"):
            assert (image_id in who["owner"].ids(f"visibility={asked}")) == (asked == visibility)
        assert (image_id in who["stranger"].ids(f"visibility={visibility}")) == (visibility in ("community", "public"))
    assert people_list_nothing(images)


def people_list_nothing(images: dict[str, tuple[str, dict[str, Person]]]) -> bool:
    """An empty visibility matches no image."""
    _, who = images["public"]
    return who["owner"].ids("visibility=") == set()
