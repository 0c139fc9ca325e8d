"""The life of an extension in a process: what it has opened ends, whatever becomes of the others."""

from __future__ import annotations

from typing import Any, cast

import pytest

from glancecore import conf
from glancecore.assembly.extensions import Extensions, ServiceKernel
from glancecore.assembly.loader import Loader
from glancecore.domain.errors import ConfigError
from glancecore.kernel.subscriptions import Subscriptions
from glancecore.ports.extension import Background, Extension

CALLS: list[str] = []


class _Loop:
    def __init__(self, name: str) -> None:
        self._name = name

    def start(self) -> None:
        CALLS.append(f"{self._name} runs")

    def stop(self) -> None:
        CALLS.append(f"{self._name} rests")


class First(Extension):
    plugin_api, title = "1.0", "the first"
    name = "first"

    def start(self) -> None:
        CALLS.append(f"{self.name} starts")

    def stop(self) -> None:
        CALLS.append(f"{self.name} stops")

    def background(self) -> list[Background]:
        return [_Loop(self.name)]


class Second(First):
    name = "second"

    def stop(self) -> None:
        super().stop()
        raise ValueError("it can't")


class Third(First):
    name = "third"

    def start(self) -> None:
        super().start()
        raise ConfigError("[ext_third] x: no; write y")


def made(*classes: type[First]) -> Extensions:
    CALLS.clear()
    kernel = ServiceKernel(*[cast("Any", None)] * 8)
    return Extensions(Loader(conf.new(files=[])), {x.name: x for x in classes}, kernel, Subscriptions())


def test_what_was_started_ends_in_reverse(caplog: pytest.LogCaptureFixture) -> None:
    several = made(First, Second)
    several.start()
    several.run()
    several.stop()
    several.stop()
    assert CALLS == ["first starts", "second starts", "first runs", "second runs", "second rests", "first rests", "second stops", "first stops"]
    assert [x.getMessage() for x in caplog.records if x.levelname == "ERROR"] == ["extension second could not be stopped"]


def test_what_is_only_judged_ends_as_well() -> None:
    several = made(First)
    several.start()
    several.stop()
    assert CALLS == ["first starts", "first rests", "first stops"]


def test_what_failed_half_way_ends_as_well() -> None:
    several = made(First, Third)
    with pytest.raises(ConfigError, match="ext_third"):
        several.start()
    several.stop()
    assert CALLS == ["first starts", "third starts", "first rests", "third stops", "first stops"]
