"""Time limits for the store kit: an operation that hangs fails its rule, and the others go on."""

from __future__ import annotations

import concurrent.futures
import functools
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any, TypeVar

import pytest

from glancecore.ports.store import Store

T = TypeVar("T")
#: What a store is asked to do. ``place`` and ``properties`` are no calls.
OPERATIONS = (
    "create",
    "start",
    "ping",
    "markers",
    "mark",
    "put",
    "put_for",
    "delete",
    "discard",
    "discard_for",
    "adopt",
    "canonical",
    "open",
    "size",
    "local_path",
    "presign",
    "list",
    "free",
    "close",
    "begin_parts",
    "put_part",
    "open_parts",
    "complete_parts",
)
#: The least that is left of somebody else's timer, which ran on while it was put aside.
_LEAST = 0.001


def hangs(what: str, seconds: float) -> None:
    pytest.fail(f"{what} did not return within {seconds:g} s: it hangs, or `patience` is too short for this backend")


@contextmanager
def limit(what: str, seconds: float) -> Iterator[None]:
    """What takes longer in the main thread is broken off there and fails. Other threads are left alone: whoever waits
    for them has a limit.

    A timer of somebody else's that rings earlier (a limit for the whole test) stays.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def ring(_number: int, _frame: FrameType | None) -> None:
        hangs(what, seconds)

    others = signal.getitimer(signal.ITIMER_REAL)[0]
    if 0 < others <= seconds and getattr(signal.getsignal(signal.SIGALRM), "__name__", "") != "ring":
        yield
        return
    handler, begun = signal.signal(signal.SIGALRM, ring), time.monotonic()
    signal.setitimer(signal.ITIMER_REAL, seconds, seconds)  # again and again: what cleans up behind it may hang, too
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, handler)
        if others:
            signal.setitimer(signal.ITIMER_REAL, max(_LEAST, others - (time.monotonic() - begun)), seconds)


class Watched(Iterator[Any]):
    """An iterator each of whose pieces has a time limit; the rest is the store's own."""

    def __init__(self, inner: Iterator[Any], what: str, seconds: float) -> None:
        self._inner, self._what, self._seconds = inner, what, seconds

    def __next__(self) -> Any:
        with limit(self._what, self._seconds):
            return next(self._inner)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)


def watch(store: Store, seconds: float) -> None:
    """From now on each operation of this instance has a time limit."""
    for name in OPERATIONS:
        setattr(store, name, _watched(getattr(store, name), name, seconds))


def _watched(operation: Callable[..., Any], name: str, seconds: float) -> Callable[..., Any]:
    @functools.wraps(operation)
    def run(*args: Any, **kwargs: Any) -> Any:
        with limit(name, seconds):
            answer = operation(*args, **kwargs)
        return (
            Watched(answer, f"the next piece of {name}", seconds) if name in {"open", "list", "open_parts"} else answer
        )

    return run


def at_once(seconds: float, *functions: Callable[[], T]) -> list[T]:
    """The answers of ``functions``, each called in a thread of its own at the same time. Fails when one of them hangs,
    which leaves its thread behind."""
    answers: list[concurrent.futures.Future[T]] = [concurrent.futures.Future() for _ in functions]

    def work(function: Callable[[], T], answer: concurrent.futures.Future[T]) -> None:
        try:
            answer.set_result(function())
        except BaseException as exc:  # noqa: BLE001 - it belongs to the thread that waits
            answer.set_exception(exc)

    threads = [threading.Thread(target=work, args=pair, daemon=True) for pair in zip(functions, answers, strict=True)]
    for thread in threads:
        thread.start()
    if concurrent.futures.wait(answers, timeout=seconds).not_done:
        hangs("one of several threads", seconds)
    for thread in threads:
        thread.join()
    return [answer.result() for answer in answers]
