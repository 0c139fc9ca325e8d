"""What nobody expects while an upload is begun with its first bytes."""

from __future__ import annotations

from pathlib import Path
from typing import NoReturn

import pytest

from glancecore.domain import errors
from glancecore.testing import service as kit


@pytest.mark.parametrize("away", [False, True])
def test_nothing_stays_of_an_upload_that_nobody_was_told_of(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, away: bool
) -> None:
    """``away``: it can't be ended at once; the answer is the same."""
    file = kit.written(kit.merged(kit.basic(tmp_path), {"DEFAULT": {"enabled_extensions": "tus"}}), tmp_path)
    kit.synced(kit.read(file))
    with kit.built(kit.read(file)) as service:
        owner = kit.Person(service.app)
        image_id = owner.create()["id"]
        uploads = type(service.tools.kernel.uploads)

        def broken(*_: object, **__: object) -> NoReturn:
            raise RuntimeError("a driver is broken")

        def unavailable(*_: object, **__: object) -> NoReturn:
            raise errors.StoreUnavailable("it does not answer", "staging")

        monkeypatch.setattr(uploads, "append", broken)
        if away:
            monkeypatch.setattr(uploads, "terminate", unavailable)
        answer = owner.call(
            "POST",
            f"/v2/images/{image_id}/uploads",
            b"x",
            Tus_Resumable="1.0.0",
            Upload_Length="1",
            Content_Type="application/offset+octet-stream",
        )
        assert answer.status_code == 500
        assert owner.call("GET", f"/v2/images/{image_id}").json["status"] == ("saving" if away else "queued")
