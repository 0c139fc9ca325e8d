"""Spans of what libraries do: SQLAlchemy's statements, and what goes out by requests, such as calls of Keystone and
Swift. Both only within a trace.

They are told of once in a process and for good: whoever took a listener away would pull it from under threads that are
in it."""

from __future__ import annotations

import contextlib
import os
import re
import threading
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit, urlunsplit

import requests
import sqlalchemy
from opentelemetry import trace
from sqlalchemy import event
from sqlalchemy.engine import Engine

from glancecore.ports.tracer import Span, SpanKind

if TYPE_CHECKING:
    from glancecore_ext_tracing.otel import OtelTracer

_SYSTEMS = {"mysql": "mysql", "mariadb": "mariadb", "postgresql": "postgresql", "sqlite": "sqlite"}
_TABLE = re.compile(r"\b(?:FROM|INTO|UPDATE|TABLE)\s+[\"`]?(\w+)", re.IGNORECASE)
_WORD = re.compile(r"\s*(\w+)")
_KEY = "glancecore_span"
_LOCK = threading.Lock()
_listening = False
#: Who is told.
_tracer: OtelTracer | None = None


def tell(tracer: OtelTracer) -> None:
    """Before the first statement of the process that it is to be told of."""
    global _listening, _tracer
    with _LOCK:
        _tracer = tracer
        if _listening:
            return
        _listening = True
        for name, call in (
            ("before_cursor_execute", _before),
            ("after_cursor_execute", _after),
            ("handle_error", _failed),
        ):
            event.listen(Engine, name, call)  # all engines, also those that are there, and those of libraries
        # in the words of today's conventions; read once, when the instrumentation is first imported
        os.environ.setdefault("OTEL_SEMCONV_STABILITY_OPT_IN", "http")
        from opentelemetry.instrumentation.requests import RequestsInstrumentor

        RequestsInstrumentor().instrument(tracer_provider=_Provider(), request_hook=_without_query)


def leave(tracer: OtelTracer) -> None:
    """It is told nothing more."""
    global _tracer
    with _LOCK:
        if _tracer is tracer:
            _tracer = None


# -- SQLAlchemy ------------------------------------------------------------------------------------
def _before(
    connection: sqlalchemy.Connection, _cursor: object, statement: str, _parameters: object, context: Any, _many: bool
) -> None:
    """The statement itself is not told, only what it does to which table."""
    tracer = _tracer
    if tracer is None or context is None or not trace.get_current_span().get_span_context().is_valid:
        return
    word, table = _WORD.match(statement), _TABLE.search(statement)
    told = {
        "db.system.name": _SYSTEMS.get(connection.dialect.name, "other_sql"),
        "db.operation.name": word[1].upper() if word else "SQL",
    }
    if table:
        told["db.collection.name"] = table[1]
    setattr(
        context,
        _KEY,
        tracer.begin(
            " ".join(x for x in (told["db.operation.name"], told.get("db.collection.name")) if x),
            SpanKind.CLIENT,
            told,
            None,
        ),
    )


def _after(
    _connection: object, _cursor: object, _statement: str, _parameters: object, context: Any, _many: bool
) -> None:
    span: Span | None = getattr(context, _KEY, None)
    if span is not None:
        span.end()


def _failed(found: Any) -> None:
    span: Span | None = getattr(found.execution_context, _KEY, None)
    if span is not None:
        span.end(found.original_exception)


# -- requests --------------------------------------------------------------------------------------
class _Provider(trace.TracerProvider):
    def get_tracer(self, *_: Any, **__: Any) -> trace.Tracer:
        return _Careful()


class _Careful(trace.Tracer):
    """Its spans are within a trace only, and tell no error's text: it may have a URL in it."""

    def start_span(self, *more: Any, **named: Any) -> trace.Span:
        return trace.INVALID_SPAN if _tracer is None else _tracer.of_sdk.start_span(*more, **named)

    @contextlib.contextmanager
    def start_as_current_span(self, *more: Any, **named: Any) -> Iterator[trace.Span]:  # type: ignore[override]
        if _tracer is None or not trace.get_current_span().get_span_context().is_valid:
            yield trace.INVALID_SPAN
            return
        with _tracer.of_sdk.start_as_current_span(
            *more, **named | {"record_exception": False, "set_status_on_exception": False}
        ) as span:
            yield span


def _without_query(span: trace.Span, request: requests.PreparedRequest) -> None:
    parts = urlsplit(request.url or "")
    span.set_attribute("url.full", urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", "")))
