"""The end of a service: each part is stopped, whatever goes wrong with another."""

from __future__ import annotations

from pathlib import Path

import pytest

from glancecore.features.imports.extension import ImportsExtension
from glancecore.features.notifications.extension import NotificationsExtension
from glancecore.testing import service as kit


def test_what_can_not_be_stopped_holds_nothing_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    conf = kit.read(kit.written(kit.basic(tmp_path), tmp_path))
    kit.synced(conf)
    stopped: list[str] = []

    def broken(_: object) -> None:
        raise ZeroDivisionError

    with kit.built(conf) as service:
        service.kernel.reaper.start()
        monkeypatch.setattr(ImportsExtension, "stop", broken)
        monkeypatch.setattr(NotificationsExtension, "stop", lambda _: stopped.append("notifications"))
        monkeypatch.setattr(type(service.stores), "close", lambda _: stopped.append("stores"))
        service.close()
        assert stopped == ["notifications", "stores"]
        assert [x.getMessage() for x in caplog.records if x.levelname == "ERROR"] == [
            "a part of the service could not be stopped"
        ]
        thread = service.kernel.reaper._thread
        assert thread is not None
        assert not thread.is_alive()
        monkeypatch.undo()
