"""Spans of what libraries do: SQLAlchemy's statements, and what goes out by requests, such as calls of Keystone and Swift. Both only within a trace."""

from __future__ import annotations

import contextlib
import os
import re
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


class Libraries:
    def __init__(self, tracer: OtelTracer) -> None:
        self._tracer = tracer
        self._listening = False

    def listen(self, provider: trace.TracerProvider) -> None:
        """All engines of the process, also those of libraries; and all sessions."""
        self._listening = True
        for name, call in self._calls.items():
            event.listen(Engine, name, call)
        # in the words of today's conventions; read once, when the instrumentation is first imported
        os.environ.setdefault("OTEL_SEMCONV_STABILITY_OPT_IN", "http")
        from opentelemetry.instrumentation.requests import RequestsInstrumentor

        RequestsInstrumentor().instrument(tracer_provider=_Provider(provider), request_hook=_without_query)

    def leave(self) -> None:
        if not self._listening:
            return
        self._listening = False
        for name, call in self._calls.items():
            event.remove(Engine, name, call)
        from opentelemetry.instrumentation.requests import RequestsInstrumentor

        RequestsInstrumentor().uninstrument()

    @property
    def _calls(self) -> dict[str, Any]:
        return {"before_cursor_execute": self._before, "after_cursor_execute": self._after, "handle_error": self._failed}

    # -- SQLAlchemy ----------------------------------------------------------------------------------------------------------
    def _before(self, connection: sqlalchemy.Connection, _cursor: object, statement: str, _parameters: object, context: Any, _many: bool) -> None:
        """The statement itself is not told, only what it does to which table."""
        word, table = _WORD.match(statement), _TABLE.search(statement)
        told = {"db.system.name": _SYSTEMS.get(connection.dialect.name, "other_sql"), "db.operation.name": word[1].upper() if word else "SQL"}
        if table:
            told["db.collection.name"] = table[1]
        span = self._tracer.begin(" ".join(x for x in (told["db.operation.name"], table and table[1]) if x), SpanKind.CLIENT, told, None)
        if context is not None:
            setattr(context, _KEY, span)
        else:  # nothing would end it
            span.end()

    @staticmethod
    def _after(_connection: object, _cursor: object, _statement: str, _parameters: object, context: Any, _many: bool) -> None:
        span: Span | None = getattr(context, _KEY, None)
        if span is not None:
            span.end()

    @staticmethod
    def _failed(found: Any) -> None:
        span: Span | None = getattr(found.execution_context, _KEY, None)
        if span is not None:
            span.end(found.original_exception)


# -- requests ----------------------------------------------------------------------------------------------------------------
class _Provider(trace.TracerProvider):
    """Of tracers whose spans are within a trace only, and tell no error's text: it may have a URL in it."""

    def __init__(self, inner: trace.TracerProvider) -> None:
        self._inner = inner

    def get_tracer(self, instrumenting_module_name: str, *more: Any, **named: Any) -> trace.Tracer:
        return _Careful(self._inner.get_tracer(instrumenting_module_name, *more, **named))


class _Careful(trace.Tracer):
    def __init__(self, inner: trace.Tracer) -> None:
        self._inner = inner

    def start_span(self, name: str, *more: Any, **named: Any) -> trace.Span:
        return self._inner.start_span(name, *more, **named)

    @contextlib.contextmanager
    def start_as_current_span(self, name: str, *more: Any, **named: Any) -> Iterator[trace.Span]:  # type: ignore[override]
        if not trace.get_current_span().get_span_context().is_valid:
            yield trace.INVALID_SPAN
            return
        with self._inner.start_as_current_span(name, *more, **named | {"record_exception": False, "set_status_on_exception": False}) as span:
            yield span


def _without_query(span: trace.Span, request: requests.PreparedRequest) -> None:
    parts = urlsplit(request.url or "")
    span.set_attribute("url.full", urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", "")))
