"""What nobody expects while an upload is begun, and what no header can say."""

from __future__ import annotations

from pathlib import Path
from typing import NoReturn

import pytest
from glancecore_ext_resumable import headers as draft

from glancecore.testing import service as kit


def test_a_limit_that_no_structured_field_can_say() -> None:
    assert draft.limits(10**18, 5.5) == "max-size=999999999999999, max-age=5"
    assert draft.limits(1000, 1e30) == "max-size=1000, max-age=999999999999999"


@pytest.mark.parametrize("way", ["file", "stage"])
@pytest.mark.parametrize("where", ["append", "_told_early"])
def test_nothing_stays_of_an_upload_that_nobody_was_told_of(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, where: str, way: str
) -> None:
    file = kit.written(kit.merged(kit.basic(tmp_path), {"DEFAULT": {"enabled_extensions": "resumable"}}), tmp_path)
    kit.synced(kit.read(file))
    with kit.built(kit.read(file)) as service:
        from glancecore_ext_resumable.routes import Routes

        owner = kit.Person(service.app)
        image_id = owner.create()["id"]

        def broken(*_: object, **__: object) -> NoReturn:
            raise RuntimeError("a driver is broken")

        monkeypatch.setattr(type(service.tools.kernel.uploads) if where == "append" else Routes, where, broken)
        answer = owner.call(
            "PUT", f"/v2/images/{image_id}/{way}", b"x", Content_Type="application/octet-stream", Upload_Complete="?1"
        )
        assert answer.status_code == 500
        assert owner.call("GET", f"/v2/images/{image_id}").json["status"] == "queued"
