"""An extension may delete an image only as it has seen it."""

from __future__ import annotations

from pathlib import Path

import pytest

from glancecore.domain import errors
from glancecore.domain.context import Context
from glancecore.features.images import deletion
from glancecore.testing.service import Person, basic, built, merged, read, synced, written

CTX = Context(user="u", project="demo", roles=frozenset({"member", "reader"}))


@pytest.mark.parametrize("delayed", [False, True])
@pytest.mark.parametrize("data", [False, True])
def test_it_is_at_that_version_when_it_goes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, data: bool, delayed: bool
) -> None:
    conf = read(
        written(
            merged(basic(tmp_path), {"DEFAULT": {"enabled_extensions": "census", "delayed_delete": delayed}}), tmp_path
        )
    )
    synced(conf)
    with built(conf) as service:
        images, person = service.extensions["census"].kernel.images, Person(service.app)
        image_id = str(person.create()["id"])
        if data:
            assert person.upload(image_id).status_code == 204
        version = images.show(CTX, image_id).version
        assert person.call("PUT", f"/v2/images/{image_id}/tags/a").status_code == 204
        with pytest.raises(errors.Conflict, match="has changed"):
            images.delete(CTX, image_id, version=version)

        def change(at: str) -> None:
            if at == "delete.before_intent" and not tags:
                tags.append(at)
                assert person.call("PUT", f"/v2/images/{image_id}/tags/b").status_code == 204

        tags: list[str] = []
        monkeypatch.setattr(deletion, "checkpoint", change)
        with pytest.raises(errors.Conflict):
            images.delete(CTX, image_id, version=version + 1)
        assert tags
        assert set(images.show(CTX, image_id).tags) == {"a", "b"}
        images.delete(CTX, image_id, version=version + 2)
        with pytest.raises(errors.ImageNotFound):
            images.show(CTX, image_id)
