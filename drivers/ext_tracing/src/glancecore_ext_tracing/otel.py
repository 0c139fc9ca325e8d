"""The tracer, of OpenTelemetry's SDK."""

from __future__ import annotations

import logging
import os
import socket
import threading
from collections.abc import Mapping
from types import TracebackType

from opentelemetry import context as otel_context
from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import SpanLimits, TracerProvider
from opentelemetry.sdk.trace.sampling import ParentBased, TraceIdRatioBased
from opentelemetry.trace import Status, StatusCode
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from glancecore.ports.options import Section
from glancecore.ports.tracer import Carrier, Span, SpanKind, Tracer, Value
from glancecore_ext_tracing import libraries
from glancecore_ext_tracing.sending import Sending

_KINDS = {x: trace.SpanKind[x.name] for x in SpanKind}
_WORDS = TraceContextTextMapPropagator()
#: Characters of a text, and attributes of a span, that are kept. No events: libraries would put errors' texts there.
_LIMITS = SpanLimits(max_span_attributes=32, max_attribute_length=256, max_events=0, max_links=8)
# they warn of each tracestate that is none, with all of it: any client would write into the log
for _name in ("opentelemetry.trace.span", "opentelemetry.trace.propagation.tracecontext"):
    logging.getLogger(_name).setLevel(logging.ERROR)


class _At:
    """As long as the block, this thread is at that. It leaves nothing to be undone by whoever throws it away."""

    __slots__ = ("_context", "_token")

    def __init__(self, context: Context) -> None:
        self._context = context

    def __enter__(self) -> None:
        self._token = otel_context.attach(self._context)

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        otel_context.detach(self._token)


class OtelSpan(Span):
    def __init__(self, span: trace.Span) -> None:
        self._span = span

    def active(self) -> _At:
        return _At(trace.set_span_in_context(self._span))

    def named(self, name: str) -> None:
        self._span.update_name(name)

    def note(self, name: str, value: Value) -> None:
        self._span.set_attribute(name, value)

    def end(self, error: BaseException | None = None) -> None:
        if not self._span.is_recording():  # ended, or not sampled: OpenTelemetry would log that
            return
        if error is not None:
            self._span.set_attribute("error.type", str(getattr(error, "code", "") or type(error).__name__))
            self._span.set_status(Status(StatusCode.ERROR))
        self._span.end()


class OtelTracer(Tracer):
    """What sends spans, and its thread, is made for the first span: a process may fork before."""

    def __init__(self, sending: Sending, conf: Section) -> None:
        """``conf``: the options of the extension."""
        self._sending = sending
        self._ratio = conf.sampling_ratio
        self._follows = conf.follow_clients
        self._drain_seconds = conf.drain_seconds
        self._lock = threading.Lock()
        libraries.tell(self)
        self._made: tuple[int, TracerProvider, trace.Tracer] | None = None

    def begin(self, name: str, kind: SpanKind, attributes: Mapping[str, Value], parent: Carrier | None) -> Span:
        context = otel_context.get_current()
        if parent is None:
            if not trace.get_current_span(context).get_span_context().is_valid:
                return OtelSpan(trace.INVALID_SPAN)
        else:
            context = Context() if kind is SpanKind.SERVER and not self._follows else _WORDS.extract(parent, Context())
        return OtelSpan(self.of_sdk.start_span(name, context, _KINDS[kind], dict(attributes)))

    def carrier(self) -> Carrier:
        found: dict[str, str] = {}
        _WORDS.inject(found)
        return found

    def resumed(self, carrier: Carrier) -> _At:
        return _At(_WORDS.extract(carrier, Context()))

    def close(self) -> None:
        libraries.leave(self)
        with self._lock:
            made, self._made = self._made, None
        if made is not None and made[0] == os.getpid():
            thread = threading.Thread(target=made[1].shutdown, name="traces-end", daemon=True)
            thread.start()
            thread.join(self._drain_seconds)

    @property
    def of_sdk(self) -> trace.Tracer:
        made = self._made
        if made is not None and made[0] == os.getpid():
            return made[2]
        with self._lock:
            if self._made is None or self._made[0] != os.getpid():
                provider = TracerProvider(
                    ParentBased(TraceIdRatioBased(self._ratio)),
                    self._resource(),
                    shutdown_on_exit=False,
                    span_limits=_LIMITS,
                )
                provider.add_span_processor(self._sending.processor())
                self._made = os.getpid(), provider, provider.get_tracer("glancecore")
            return self._made[2]

    def _resource(self) -> Resource:
        host = socket.gethostname()
        return Resource.create(
            {
                "service.name": self._sending.service,
                "service.instance.id": f"{host}:{os.getpid()}",
                "host.name": host,
                "process.pid": os.getpid(),
            }
        )
