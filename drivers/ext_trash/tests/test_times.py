"""What is refused at the start, and what a moved clock changes."""

from __future__ import annotations

import argparse
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from glancecore_ext_trash import commands

from glancecore.domain.context import Context
from glancecore.domain.errors import ConfigError
from glancecore.domain.image import Image
from glancecore.testing.service import Config, Person, basic, built, merged, read, synced, written

TRASH = {
    "DEFAULT": {"enabled_extensions": "trash", "delayed_delete": True, "scrub_time": 3600},
    "ext_trash": {"cooldown_minutes": 60},
}
PATCH = "application/openstack-images-v2.1-json-patch"


def test_what_was_protected_is_deleted_when_its_time_is_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    conf = read(written(merged(basic(tmp_path), TRASH), tmp_path))
    synced(conf)
    with built(conf) as service:
        now = [datetime.now(UTC)]
        monkeypatch.setattr(type(service.extensions["trash"].kernel), "clock", lambda _self: now[0])
        person = Person(service.app)

        def protect(image_id: str, value: bool) -> None:
            assert (
                person.call(
                    "PATCH",
                    f"/v2/images/{image_id}",
                    [{"op": "replace", "path": "/protected", "value": value}],
                    Content_Type=PATCH,
                ).status_code
                == 200
            )

        image_id = str(person.create(protected=True)["id"])
        protect(image_id, False)
        now[0] += timedelta(minutes=30)
        protect(image_id, True)
        protect(image_id, False)  # it begins anew
        now[0] += timedelta(minutes=59)
        assert person.call("DELETE", f"/v2/images/{image_id}").status_code == 409
        now[0] += timedelta(minutes=2)
        assert "deletable_at" not in (person.call("GET", f"/v2/images/{image_id}").json or {})
        assert person.call("DELETE", f"/v2/images/{image_id}").status_code == 204


@pytest.mark.parametrize("without", [{"delayed_delete": False}, {"scrub_time": 0}])
def test_a_trash_that_keeps_nothing_stops_the_start(tmp_path: Path, without: Config) -> None:
    conf = read(written(merged(basic(tmp_path), TRASH, {"DEFAULT": without}), tmp_path))
    synced(conf)
    with pytest.raises(ConfigError, match="delayed_delete = true"), built(conf):
        pass


def test_nobody_takes_the_place_of_who_has_deleted_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The owner's request to delete it has seen the image before an admin has deleted it, and makes its note behind the
    admin's."""
    conf = read(written(merged(basic(tmp_path), TRASH), tmp_path))
    synced(conf)
    with built(conf) as service:
        owner, admin = Person(service.app), Person(service.app, "others", "admin,member,reader")
        image_id = str(owner.create()["id"])
        assert owner.upload(image_id).status_code == 204
        deleted = service.extensions["trash"].deleted
        check, seen = deleted.check_image, []

        def late(ctx: Context, before: Image | None, after: Image | None) -> None:
            if ctx.project == "demo" and not seen:
                seen.append(True)
                assert admin.call("DELETE", f"/v2/images/{image_id}").status_code == 204
            check(ctx, before, after)

        monkeypatch.setattr(service.kernel.on, "check_image", late)
        assert owner.call("DELETE", f"/v2/images/{image_id}").status_code in (404, 409)
        assert seen
        (row,) = (owner.call("GET", "/trash").json or {})["images"]
        assert row["deleted_by"]["project"] == "others"
        assert owner.call("POST", f"/trash/{image_id}/actions/restore").status_code == 403


def test_the_operators_list_is_one_line_an_image_whatever_its_name(tmp_path: Path) -> None:
    conf = read(written(merged(basic(tmp_path), TRASH), tmp_path))
    synced(conf)
    with built(conf) as service:
        person = Person(service.app, "red")
        for fields in ({"name": "a b \u202ered"}, {}):
            image_id = str(person.create(**fields)["id"])
            assert person.upload(image_id, b"x").status_code == 204
            assert person.call("DELETE", f"/v2/images/{image_id}").status_code == 204
        said: list[str] = []
        trash: Any = service.extensions["trash"]
        assert commands._list(trash, argparse.Namespace(project="red", json=False), said.append) == 0
        assert [x.split(", goes ")[0].split(" ", 1)[1].rpartition(" by ")[2] for x in said] == [
            "user-red of red"
        ] * 2, said
        assert " without a name (1 byte), deleted " in said[0]
        assert " a b \\u202ered (1 byte), deleted " in said[1]
        assert all(x.isprintable() for x in said)
