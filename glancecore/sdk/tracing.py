"""Says where time goes, to the tracer of an extension, when there is one: without, each call here does nothing, at the
cost of a call.

``span`` is a part of what this thread is at. Names are of few kinds, and attributes have ids, kinds and numbers: no
names of images, no URLs, nothing secret."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from types import TracebackType

from glancecore.ports.tracer import Carrier, Span, SpanKind, Tracer, Value

__all__ = [
    "Carrier",
    "Span",
    "SpanKind",
    "aside",
    "begin",
    "carried",
    "carrier",
    "continued",
    "install",
    "keep",
    "on",
    "remove",
    "resumed",
    "span",
    "trace_id",
    "traceparent",
]
#: Keeps what a thread of a pool is at for as long as the thread lives.
_OF_THREAD = threading.local()
_tracer: Tracer | None = None


class _Nothing(Span):
    """Of no tracer."""

    def active(self) -> AbstractContextManager[None]:
        return _NOWHERE

    def named(self, name: str) -> None: ...

    def note(self, name: str, value: Value) -> None: ...

    def end(self, error: BaseException | None = None) -> None: ...

    def __enter__(self) -> Span:
        return self

    def __exit__(self, *_: object) -> None: ...


_NOWHERE: AbstractContextManager[None] = contextlib.nullcontext()
_NOTHING = _Nothing()


class _Within:
    """A span for as long as the block."""

    __slots__ = ("_active", "_span")

    def __init__(self, span: Span, *, current: bool) -> None:
        self._span = span
        self._active = span.active() if current else _NOWHERE

    def __enter__(self) -> Span:
        self._active.__enter__()
        return self._span

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._active.__exit__(kind, exc, traceback)
        self._span.end(None if isinstance(exc, GeneratorExit) else exc)


def install(tracer: Tracer) -> None:
    """All spans go there from now on. Before the first request."""
    global _tracer
    _tracer = tracer


def remove(tracer: Tracer) -> None:
    """It ends; another one that came meanwhile stays."""
    global _tracer
    if _tracer is tracer:
        _tracer = None


def on() -> bool:
    return _tracer is not None


def begin(
    name: str,
    kind: SpanKind = SpanKind.INTERNAL,
    attributes: Mapping[str, Value] | None = None,
    parent: Carrier | None = None,
) -> Span:
    """A span that the caller ends. See ``Tracer.begin`` for ``parent``."""
    return _NOTHING if _tracer is None else _tracer.begin(name, kind, attributes or {}, parent)


def span(
    name: str,
    kind: SpanKind = SpanKind.INTERNAL,
    attributes: Mapping[str, Value] | None = None,
    parent: Carrier | None = None,
    *,
    current: bool = True,
) -> AbstractContextManager[Span]:
    """A span for as long as the block. ``current`` False: what begins inside is no part of it, as it must be where a
    generator yields from the block."""
    return (
        _NOTHING if _tracer is None else _Within(_tracer.begin(name, kind, attributes or {}, parent), current=current)
    )


@contextlib.contextmanager
def continued(name: str, parent: Carrier, attributes: Mapping[str, Value] | None = None) -> Iterator[None]:
    """Long work that was asked for elsewhere, or earlier: a span that ends at once tells that it begins, and what
    begins inside is part of that. Should this process die, that is known by then, and nothing that it has done hangs in
    the air."""
    if _tracer is None:
        yield
        return
    begun = _tracer.begin(name, SpanKind.CONSUMER, attributes or {}, parent)
    begun.end()
    with begun.active():
        yield


def carrier() -> Carrier:
    """Of what this thread is at; empty outside of any trace."""
    return {} if _tracer is None else _tracer.carrier()


def traceparent() -> str | None:
    return None if _tracer is None else _tracer.carrier().get("traceparent")


def trace_id() -> str:
    """32 hexadecimal digits; empty outside of any trace."""
    return "" if _tracer is None else _tracer.carrier().get("traceparent", "")[3:35]


def resumed(found: Carrier) -> AbstractContextManager[None]:
    """Inside, this thread is at what the carrier says."""
    return _NOWHERE if _tracer is None else _tracer.resumed(found)


def aside() -> AbstractContextManager[None]:
    """What is done inside is part of nothing: what comes each second would fill a trace."""
    return resumed({})


def carried() -> Callable[[], AbstractContextManager[None]]:
    """What this thread is at, for others: each enters what the call gives."""
    found = carrier()
    return (lambda: resumed(found)) if found else (lambda: _NOWHERE)


def keep(found: AbstractContextManager[None]) -> None:
    """This thread is at that from here on: those of a pool, which works for one only."""
    found.__enter__()
    _OF_THREAD.found = found
