"""Spans without a tracer, and with one that only notes what it is told."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager

import pytest

from glancecore.ports.tracer import Carrier, Span, SpanKind, Tracer, Value
from glancecore.sdk import log_lines, tracing

TOLD: list[str] = []
AT: threading.local = threading.local()


class Noted(Span):
    def __init__(self, name: str) -> None:
        self.name = name

    @contextlib.contextmanager
    def active(self) -> Iterator[None]:
        before, AT.name = getattr(AT, "name", ""), self.name
        try:
            yield
        finally:
            AT.name = before

    def named(self, name: str) -> None:
        self.name = name

    def note(self, name: str, value: Value) -> None:
        TOLD.append(f"{self.name}: {name}={value}")

    def end(self, error: BaseException | None = None) -> None:
        TOLD.append(f"{self.name} ends{f' with {type(error).__name__}' if error else ''}")


class Notes(Tracer):
    def begin(self, name: str, kind: SpanKind, attributes: Mapping[str, Value], parent: Carrier | None) -> Span:
        of = self.carrier().get("traceparent", "") if parent is None else parent.get("traceparent", "")
        TOLD.append(f"{name} begins{f' in {of[3:35].rstrip(chr(45))}' if of else ''}")
        return Noted(name)

    def carrier(self) -> Carrier:
        name = getattr(AT, "name", "")
        return {"traceparent": f"00-{name.ljust(32, '-')}-0000000000000001-01"} if name else {}

    def resumed(self, carrier: Carrier) -> AbstractContextManager[None]:
        return Noted(carrier.get("traceparent", "")[3:35].rstrip("-")).active()


@pytest.fixture
def notes() -> Iterator[Notes]:
    TOLD.clear()
    made = Notes()
    tracing.install(made)
    yield made
    tracing.remove(made)
    assert not tracing.on()


def test_without_a_tracer_nothing_happens() -> None:
    assert not tracing.on()
    with tracing.span("a", SpanKind.CLIENT, {"b": 1}) as one, tracing.span("b", parent={}, current=False) as other:
        one.note("x", 1)
        one.named("c")
        assert one is other, "one object for all"
    begun = tracing.begin("d")
    with begun.active(), tracing.resumed({"traceparent": "x"}), tracing.continued("e", {}), tracing.carried()():
        assert (tracing.carrier(), tracing.traceparent(), tracing.trace_id()) == ({}, None, "")
    begun.end(ValueError())
    assert log_lines.about() == ""


def test_a_block_raises_what_it_raises() -> None:
    with pytest.raises(KeyError), tracing.span("a"):
        raise KeyError


def test_spans_are_within_each_other(notes: Notes) -> None:
    with tracing.span("a", parent={}), tracing.span("b") as inner:
        inner.note("n", 1)
        assert log_lines.about() == f"[trace {tracing.trace_id()}] "
    with tracing.span("c"):
        pass
    assert TOLD == ["a begins", "b begins in a", "b: n=1", "b ends", "a ends", "c begins", "c ends"]


def test_a_failure_is_told_and_a_closed_generator_is_none(notes: Notes) -> None:
    def pieces() -> Iterator[int]:
        with tracing.span("g", current=False):
            yield 1

    with pytest.raises(ValueError), tracing.span("a"):
        raise ValueError
    found = pieces()
    next(found)
    assert tracing.carrier() == {}, "whoever reads is not inside"
    found.close()  # type: ignore[attr-defined]
    assert TOLD == ["a begins", "a ends with ValueError", "g begins", "g ends"]


def test_work_that_is_continued_hangs_on_a_span_that_has_ended(notes: Notes) -> None:
    with tracing.continued("import", {"traceparent": "00-" + "asked".ljust(32, "-") + "-1-01"}), tracing.span("stage"):
        pass
    assert TOLD == ["import begins in asked", "import ends", "stage begins in import", "stage ends"]


def test_threads_take_it_along(notes: Notes) -> None:
    seen: list[str] = []

    def look() -> None:
        seen.append(tracing.trace_id().rstrip("-"))

    def of_pool() -> None:
        begin()
        look()
        look()

    with tracing.span("a", parent={}):
        begin, carried = log_lines.carry(), log_lines.carried(look)
    for call in (carried, of_pool, look):
        thread = threading.Thread(target=call)
        thread.start()
        thread.join()
    assert seen == ["a", "a", "a", ""]


def test_another_ones_end_takes_no_tracer_away(notes: Notes) -> None:
    tracing.remove(Notes())
    assert tracing.on()
