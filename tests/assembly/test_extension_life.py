"""The life of an extension in a process: what it has opened ends, whatever becomes of the others."""

from __future__ import annotations

from typing import Any, cast

import pytest

from glancecore import conf
from glancecore.assembly.extension_kernel import ServiceKernel
from glancecore.assembly.extensions import Extensions
from glancecore.assembly.loader import Loader
from glancecore.domain.context import Context
from glancecore.domain.errors import ConfigError
from glancecore.kernel.subscriptions import Subscriptions
from glancecore.ports.extension import Background, Dialect, Extension
from glancecore.ports.http import Lane, Route
from glancecore.sdk import tracing

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
    kernel = ServiceKernel(*[cast("Any", None)] * 13)
    return Extensions(Loader(conf.new(files=[])), {x.name: x for x in classes}, kernel, Subscriptions())


def test_what_was_started_ends_in_reverse(caplog: pytest.LogCaptureFixture) -> None:
    several = made(First, Second)
    several.start()
    several.run()
    several.stop()
    several.stop()
    assert CALLS == [
        "first starts",
        "second starts",
        "first runs",
        "second runs",
        "second rests",
        "first rests",
        "second stops",
        "first stops",
    ]
    assert [x.getMessage() for x in caplog.records if x.levelname == "ERROR"] == [
        "extension second could not be stopped"
    ]


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


class Fourth(First):
    name = "fourth"

    def dialects(self) -> dict[str, Dialect]:
        return {
            "PUT /things/<name>": lambda request, _ctx, name: f"{name} in other words" if request == "other" else None
        }


def test_a_dialect_is_asked_first() -> None:
    routes = [
        Route("PUT", "/things/<name>", lambda _request, _ctx, name: name, "Put it", {204: None}, lane=Lane.TRANSFER),  # type: ignore[arg-type, return-value]
        Route("GET", "/things/<name>", lambda _request, _ctx, name: name, "Get it", {200: None}),
    ]  # type: ignore[arg-type, return-value]
    put, get = made(First, Fourth).in_other_words(routes)
    request, ctx = cast("Any", "other"), Context()
    assert (put(request, ctx, name="x"), put(cast("Any", "own"), ctx, name="x"), get(request, ctx, name="x")) == (
        "x in other words",
        "x",
        "x",
    )
    assert (put.lane, put.summary) == (Lane.TRANSFER, "Put it")


def test_a_dialect_of_no_route_stops_the_start() -> None:
    with pytest.raises(ConfigError, match=r"fourth.*PUT /things/<name>, which is no route"):
        made(Fourth).in_other_words([])


class Traces(First):
    name = "traces"

    def tracer(self) -> Any:
        return cast("Any", self)

    def close(self) -> None:
        CALLS.append(f"{self.name} is closed")


class TracesToo(Traces):
    name = "traces-too"


def test_a_tracer_is_there_until_all_else_has_ended() -> None:
    several = made(First, Traces)
    assert not tracing.on()
    several.start()
    several.stop()
    assert tracing.on()
    for _ in range(2):
        several.end_tracer()
    assert not tracing.on()
    assert CALLS[-2:] == ["first stops", "traces is closed"]


def test_two_tracers_stop_the_start() -> None:
    several = made(Traces, TracesToo)
    with pytest.raises(ConfigError, match="traces and traces-too both bring a tracer"):
        several.start()
    several.stop()
    several.end_tracer()
    assert not tracing.on()
