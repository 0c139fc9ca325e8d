"""Who is shown where an image's data is may read it there: that is a use of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from glancecore.features.uses.extension import UsesExtension
from glancecore.testing.service import Config, Person, basic, built, merged, read, synced, written


@pytest.mark.parametrize(
    ("shown", "count"), [({"show_image_direct_url": True}, 1), ({"show_multiple_locations": True}, 1), ({}, 0)]
)
def test_a_shown_place_is_a_use(tmp_path: Path, shown: Config, count: int) -> None:
    conf = read(written(merged(basic(tmp_path), {"DEFAULT": shown}), tmp_path))
    synced(conf)
    with built(conf) as service:
        owner, admin = Person(service.app), Person(service.app, roles="admin,member,reader")
        image_id = str(owner.create()["id"])
        assert owner.upload(image_id).status_code == 204
        assert admin.call("GET", f"/v2/images/{image_id}").status_code == 200
        assert admin.call("GET", "/v2/images").status_code == 200
        service.of(UsesExtension).counter.write()
        assert (owner.call("GET", f"/v2/images/{image_id}/use").json or {})["use_count"] == count
