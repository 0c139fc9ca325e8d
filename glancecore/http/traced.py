"""A span for each request, around everything else: from its header to the end of the answer's body. Names and paths are
not told: a path may have an image's name."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from http import HTTPMethod
from typing import TYPE_CHECKING, Any

from glancecore.sdk import tracing
from glancecore.sdk.tracing import Carrier, Span, SpanKind

if TYPE_CHECKING:
    from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

#: Where the WSGI environment has the span of its request.
SPAN = "glancecore.span"
_METHODS = frozenset(HTTPMethod)
#: What probes ask every few seconds.
_PROBES = ("/healthcheck", "/metrics")
#: Characters that a header with a trace's context may have: W3C wants 512 of tracestate to be passed on.
_LONGEST = 512


class Traced:
    """WSGI middleware, for a process that has a tracer."""

    def __init__(self, app: WSGIApplication) -> None:
        self._app = app

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        if str(environ.get("PATH_INFO", "")).startswith(_PROBES):
            return self._app(environ, start_response)
        method = str(environ.get("REQUEST_METHOD", ""))
        span = tracing.begin(
            method if method in _METHODS else "HTTP",
            SpanKind.SERVER,
            {
                "http.request.method": method if method in _METHODS else "_OTHER",
                "url.scheme": str(environ.get("wsgi.url_scheme", "http")),
            },
            _sent(environ),
        )
        environ[SPAN] = span

        def start(status: str, headers: list[tuple[str, str]], *more: Any) -> Any:
            code = int(status[:3])
            span.note("http.response.status_code", code)
            if code >= 500:
                span.note("error.type", str(code))
            for name, value in headers:
                if name.lower() == "x-openstack-request-id":
                    span.note("glance.request.id", value)
            return start_response(status, headers, *more)

        try:
            with span.active():
                body = self._app(environ, start)
        except BaseException as exc:
            span.end(exc)
            raise
        return _ending(body, span, environ.get("wsgi.file_wrapper"))


def _sent(environ: WSGIEnvironment) -> Carrier:
    """What the client says of the trace that it is in: any text, which the tracer judges."""
    found = {
        name: str(environ[key])
        for name, key in (("traceparent", "HTTP_TRACEPARENT"), ("tracestate", "HTTP_TRACESTATE"))
        if key in environ
    }
    return {
        name: value
        for name, value in found.items()
        if len(value) <= _LONGEST and value.isascii() and value.isprintable()
    }


def routed(environ: WSGIEnvironment, method: str, template: str) -> None:
    """The request is of that route."""
    span: Span | None = environ.get(SPAN)
    if span is not None:
        span.named(f"{method} {template}")
        span.note("http.route", template)


def _ending(body: Iterable[bytes], span: Span, wrapper: object) -> Iterable[bytes]:
    """The same body, at whose close the span ends. A file that the server lets the kernel send stays one."""
    if isinstance(wrapper, type) and isinstance(body, wrapper):
        close: Callable[[], None] | None = getattr(body, "close", None)

        def closed() -> None:
            try:
                if close is not None:
                    close()
            finally:
                span.end()

        try:
            body.close = closed  # type: ignore[attr-defined]
        except (AttributeError, TypeError):  # another server's, of C: what it sends is not measured
            span.end()
        return body
    return _Body(body, span)


class _Body:
    def __init__(self, body: Iterable[bytes], span: Span) -> None:
        self._body = body
        self._pieces: Iterator[bytes] | None = None
        self._span = span

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        with self._span.active():
            if self._pieces is None:
                self._pieces = iter(self._body)
            return next(self._pieces)

    def close(self) -> None:
        try:
            close = getattr(self._body, "close", None)
            if close is not None:
                with self._span.active():
                    close()
        finally:
            self._span.end()
