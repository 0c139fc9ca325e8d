"""What an extension implements that records where time goes: ``Extension.tracer``.

The service says what begins and ends, and hands the context of a trace on in the words of W3C Trace Context
(``traceparent``, ``tracestate``): between threads, with an import's task, with events. What becomes of that is the
tracer's. Everybody else uses ``glancecore.sdk.tracing``."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from contextlib import AbstractContextManager
from enum import StrEnum

#: Texts of W3C Trace Context by their names. Empty: outside of any trace.
Carrier = Mapping[str, str]
Value = str | int | float | bool


class SpanKind(StrEnum):
    INTERNAL = "internal"
    #: It answers a request that came from outside.
    SERVER = "server"
    #: It asks another service, and waits for the answer.
    CLIENT = "client"
    #: It does what somebody has asked for earlier, or sends what nobody waits for.
    CONSUMER = "consumer"
    PRODUCER = "producer"


class Span(ABC):
    """Something that takes time. Thread-safe. No method raises."""

    @abstractmethod
    def active(self) -> AbstractContextManager[None]:
        """What begins inside, in this thread, is part of it; also once it has ended."""

    @abstractmethod
    def named(self, name: str) -> None:
        """In place of the name that it began with."""

    @abstractmethod
    def note(self, name: str, value: Value) -> None: ...

    @abstractmethod
    def end(self, error: BaseException | None = None) -> None:
        """Once; ``error``: what it failed with. What an error says may be secret: only its kind may be told."""


class Tracer(ABC):
    """One in a process, used by many threads. No method waits for anything outside of the process, and none raises."""

    @abstractmethod
    def begin(self, name: str, kind: SpanKind, attributes: Mapping[str, Value], parent: Carrier | None) -> Span:
        """``parent`` None: it is part of what this thread is at, and nothing is recorded outside of any trace. A
        carrier: it is part of that, and an empty one or one that can't be read begins a trace. Clients write the
        carriers of SERVER spans."""

    @abstractmethod
    def carrier(self) -> Carrier:
        """Of what this thread is at."""

    @abstractmethod
    def resumed(self, carrier: Carrier) -> AbstractContextManager[None]:
        """Inside, this thread is at what the carrier says; an empty one: outside of any trace."""

    def close(self) -> None:
        """Nothing begins any more, in a process that ends or has only judged: what waits is told, if that takes seconds
        at most."""
