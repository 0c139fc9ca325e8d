"""The parts of the extension, without a service."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import SimpleNamespace

import pytest
import requests
import sqlalchemy
from collector import Collector, collecting
from glancecore_ext_tracing import sending
from glancecore_ext_tracing.otel import OtelTracer
from glancecore_ext_tracing.sending import BoundedProcessor, Sending
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult
from waiting import until

from glancecore.ports.tracer import SpanKind
from glancecore.sdk import log_lines, tracing
from glancecore.sdk.measures import TRACING_SPANS


@pytest.fixture
def collector() -> Iterator[Collector]:
    with collecting() as made:
        yield made


def made(collector: Collector, ratio: float = 1.0) -> OtelTracer:
    conf = SimpleNamespace(
        service_name="parts",
        queue_size=100,
        interval=0.05,
        timeout=5.0,
        headers={},
        ca_file=None,
        sampling_ratio=ratio,
        follow_clients=True,
        drain_seconds=10.0,
    )
    return OtelTracer(Sending(collector.url, conf), conf)


@pytest.fixture
def tracer(collector: Collector) -> Iterator[OtelTracer]:
    found = made(collector)
    tracing.install(found)
    yield found
    tracing.remove(found)
    found.close()


@pytest.fixture
def site() -> Iterator[tuple[str, list[str]]]:
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.headers.get("traceparent", ""))
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}", asked
    server.shutdown()
    server.server_close()
    thread.join()


def test_what_goes_out_by_requests_is_part_of_the_trace(
    tracer: OtelTracer, collector: Collector, site: tuple[str, list[str]]
) -> None:
    url, asked = site
    with tracing.span("top", parent={}):
        trace = tracing.trace_id()
        requests.get(f"{url}/v3/auth?token=secret", timeout=10)
        with pytest.raises(requests.ConnectionError):
            requests.get("http://127.0.0.1:1/v3/secret?token=secret", timeout=10)
    requests.get(f"{url}/alone", timeout=10)
    [top] = collector.until(trace, "top")
    good, bad = collector.until(trace, "GET", 2)
    assert good.attributes["url.full"] == f"{url}/v3/auth"
    assert good.attributes["http.response.status_code"] == 200
    assert (good.parent, bad.parent) == (top.id, top.id)
    assert bad.attributes["error.type"] == "ConnectionError"
    assert "token" not in str(collector.spans)
    assert [x[:-1] for x in asked] == [f"00-{trace}-{good.id}-0", ""]
    assert int(asked[0][-2:], 16) & 1
    assert {x.trace for x in collector.spans} == {trace}, "outside of a trace nothing is told"


def test_statements_are_part_of_the_trace_and_not_told_themselves(tracer: OtelTracer, collector: Collector) -> None:
    engine = sqlalchemy.create_engine("sqlite://")
    with tracing.span("top", parent={}), engine.connect() as connection:
        trace = tracing.trace_id()
        connection.execute(sqlalchemy.text("CREATE TABLE things (name TEXT)"))
        connection.execute(sqlalchemy.text("INSERT INTO things VALUES ('secret')"))
        with pytest.raises(sqlalchemy.exc.OperationalError):
            connection.execute(sqlalchemy.text("SELECT secret FROM nowhere"))
    with engine.connect() as connection:
        connection.execute(sqlalchemy.text("SELECT 1"))
    engine.dispose()
    collector.until(trace, "top")
    assert [x.name for x in collector.of(trace)] == ["top", "CREATE things", "INSERT things", "SELECT nowhere"]
    assert [x.failed for x in collector.of(trace)] == [False, False, False, True]
    assert collector.named(trace, "SELECT nowhere")[0].attributes["error.type"] == "OperationalError"
    assert "secret" not in str(collector.spans)
    assert {x.trace for x in collector.spans} == {trace}


def test_other_threads_are_taken_along(tracer: OtelTracer, collector: Collector) -> None:
    def work() -> None:
        with tracing.span("inner"):
            pass

    def of_pool() -> None:
        begin()
        work()

    with tracing.span("top", parent={}):
        trace = tracing.trace_id()
        begin = log_lines.carry()
        threads = [threading.Thread(target=x) for x in (log_lines.carried(work), of_pool, work)]
    for thread in threads:
        thread.start()
        thread.join()
    [top] = collector.until(trace, "top")
    assert [x.parent for x in collector.until(trace, "inner", 2)] == [top.id, top.id]
    assert len(collector.spans) == 3
    assert tracing.carrier() == {}


def test_a_span_that_was_not_sampled_or_has_ended_takes_anything(collector: Collector) -> None:
    tracer = made(collector, 0.0)
    span = tracer.begin("x", SpanKind.INTERNAL, {}, {})
    with span.active():
        assert not int(tracer.carrier()["traceparent"][-2:], 16) & 1
        tracer.begin("y", SpanKind.INTERNAL, {"a": 1}, None).end()
    for _ in range(2):
        span.named("z")
        span.note("b", True)
        span.end(ValueError("secret"))
    tracer.close()
    assert collector.spans == []


def test_statements_below_a_span_that_has_ended_are_told(tracer: OtelTracer, collector: Collector) -> None:
    engine = sqlalchemy.create_engine("sqlite://")
    with tracing.continued("import", {}):
        trace = tracing.trace_id()
        with engine.connect() as connection:
            connection.execute(sqlalchemy.text("SELECT 1"))
            with tracing.aside():
                assert tracing.trace_id() == ""
                connection.execute(sqlalchemy.text("SELECT 2"))
    engine.dispose()
    [told] = collector.until(trace, "SELECT")
    [begun] = collector.until(trace, "import")
    assert told.parent == begun.id
    assert len(collector.spans) == 2


def test_of_a_tracer_that_was_closed_nothing_is_told(collector: Collector, site: tuple[str, list[str]]) -> None:
    tracer = made(collector)
    engine = sqlalchemy.create_engine("sqlite://")
    with tracer.begin("top", SpanKind.INTERNAL, {}, {}).active():
        tracer.close()
        with engine.connect() as connection:
            connection.execute(sqlalchemy.text("SELECT 1"))
        assert requests.get(site[0], timeout=10).status_code == 200
    engine.dispose()
    assert collector.spans == []


@pytest.mark.parametrize("sent", ["a" * 500, "a=\\", ",".join(f"k{x}=v" for x in range(40))])
def test_a_tracestate_that_is_none_is_not_logged(
    tracer: OtelTracer, caplog: pytest.LogCaptureFixture, sent: str
) -> None:
    parent = {"traceparent": f"00-{'4b' * 16}-{'7a' * 8}-01", "tracestate": sent}
    with tracer.begin("top", SpanKind.SERVER, {}, parent).active():
        assert tracer.carrier()["traceparent"].startswith(f"00-{'4b' * 16}")
    assert caplog.text == ""


def test_what_the_exporter_says_has_no_token_of_the_endpoint(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sending, "_SELDOM", sending._Seldom())  # nothing was said yet, by tests before either
    for name in sending._WORDY:
        monkeypatch.setattr(logging.getLogger(name), "filters", [])
    away = made(SimpleNamespace(url="http://127.0.0.1:1/sesame/v1/traces?api-key=sesame"))  # type: ignore[arg-type]
    away.begin("top", SpanKind.INTERNAL, {}, {}).end()
    until(lambda: "Connection refused" in caplog.text, 20)
    away.close()
    assert "sesame" not in caplog.text


class Stuck(SpanExporter):
    def __init__(self) -> None:
        self.let = threading.Event()
        self.got = 0

    def export(self, spans: object) -> SpanExportResult:
        self.let.wait(60)
        self.got += len(spans)  # type: ignore[arg-type]
        return SpanExportResult.SUCCESS

    def shutdown(self) -> None:
        self.let.set()


def test_what_does_not_fit_is_dropped_and_counted() -> None:
    def value(outcome: str) -> float:
        return TRACING_SPANS.labels(outcome)._value.get()

    before = {x: value(x) for x in ("dropped", "sent")}
    exporter = Stuck()
    line = BoundedProcessor(exporter, 10, 0.05)
    sampled = SimpleNamespace(trace_flags=SimpleNamespace(sampled=True))
    for _ in range(100):
        line.on_end(ReadableSpan(name="x", context=sampled))  # type: ignore[arg-type]
    dropped = value("dropped") - before["dropped"]
    assert 80 <= dropped <= 90  # ten wait, and ten may be on their way
    exporter.let.set()
    until(lambda: value("sent") - before["sent"] == 100 - dropped, 20)
    line.on_end(ReadableSpan(name="x", context=sampled))  # type: ignore[arg-type]
    until(lambda: value("sent") - before["sent"] == 101 - dropped, 20)
    line.shutdown()
    assert exporter.got == 101 - dropped


def test_a_fork_has_a_sender_of_its_own(tracer: OtelTracer, collector: Collector) -> None:
    import os

    with tracing.span("top", parent={}):
        trace = tracing.trace_id()
        if (pid := os.fork()) == 0:
            try:
                with tracing.span("child"):
                    pass
                tracer.close()
            finally:
                os._exit(0)
        os.waitpid(pid, 0)
    [top] = collector.until(trace, "top")
    [child] = collector.until(trace, "child")
    assert (child.parent, child.pid, top.pid) == (top.id, pid, os.getpid())
