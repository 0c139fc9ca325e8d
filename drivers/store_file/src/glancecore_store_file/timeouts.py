"""File operations that may hang: the kernel waits for a dead NFS server as long as it takes, the caller must not."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future
from queue import SimpleQueue
from typing import ParamSpec, Protocol, TypeVar

from glancecore.domain import errors
from glancecore_store_file.trouble import store_error

P = ParamSpec("P")
R = TypeVar("R")

#: Threads that may hang in the kernel at once; more would only wait for the same server.
MAX_STUCK = 16


class Calls(Protocol):
    """Does the file operations of one transfer, one after the other. OSError comes out as a store error."""

    def __call__(self, function: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R: ...

    def last(self, function: Callable[[], None]) -> None:
        """Do ``function`` as the last one, however late, and end."""


class Direct:
    """In the caller's thread, for as long as it takes."""

    def __init__(self, store: str, operation: str) -> None:
        self._store, self._operation = store, operation

    def __call__(self, function: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return function(*args, **kwargs)
        except OSError as exc:
            raise store_error(exc, self._store, self._operation) from exc

    def last(self, function: Callable[[], None]) -> None:
        self(function)


class Watched:
    """In a thread of its own, which the caller leaves behind when it hangs.

    The thread keeps the order: what it was told to do last, it does when the server is back, so a transfer that was
    given up is still cleaned up. It is a daemon: one that hangs does not keep the process from ending."""

    def __init__(self, patience: CallTimeout, operation: str) -> None:
        self._patience, self._operation = patience, operation
        self._jobs: SimpleQueue[Callable[[], None] | None] = SimpleQueue()
        self._stuck = False
        threading.Thread(target=self._work, daemon=True, name=f"store-{patience.store}").start()

    def __call__(self, function: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
        if self._stuck:
            raise self._too_late()
        answer: Future[R] = Future()

        def job() -> None:
            try:
                answer.set_result(function(*args, **kwargs))
            except BaseException as exc:  # noqa: BLE001 - it belongs to the caller's thread
                answer.set_exception(exc)

        self._jobs.put(job)
        try:
            return answer.result(self._patience.seconds)
        except OSError as exc:
            if answer.done():
                raise store_error(exc, self._patience.store, self._operation) from exc
            self._stuck = True
            self._patience.stuck(1)
            self._jobs.put(lambda: self._patience.stuck(-1))
            raise self._too_late() from None  # TimeoutError is an OSError

    def last(self, function: Callable[[], None]) -> None:
        if self._stuck:
            self._jobs.put(function)
            self._jobs.put(None)
            return
        try:
            self(function)
        finally:
            self._jobs.put(None)

    def _too_late(self) -> errors.StoreUnavailable:
        return errors.StoreUnavailable(
            f"store {self._patience.store} did not answer within {self._patience.seconds:g} s",
            self._patience.store,
            self._operation,
        )

    def _work(self) -> None:
        while (job := self._jobs.get()) is not None:
            try:
                job()
            except OSError:  # the late clean-up of a transfer that its caller has given up; discard() will do it
                continue


class CallTimeout:
    """How long to wait for the file system of one store."""

    def __init__(self, store: str, seconds: float) -> None:
        self.store, self.seconds = store, seconds
        self._lock = threading.Lock()
        self._stuck = 0

    def stuck(self, more: int) -> None:
        with self._lock:
            self._stuck += more

    def calls(self, operation: str) -> Calls:
        """For one transfer; the user must call ``last``. Raises StoreUnavailable when too many hang already."""
        if not self.seconds:
            return Direct(self.store, operation)
        if self._stuck >= MAX_STUCK:
            raise errors.StoreUnavailable(f"store {self.store} does not answer", self.store, operation)
        return Watched(self, operation)

    def call(self, operation: str, function: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
        """One operation."""
        calls = self.calls(operation)
        try:
            return calls(function, *args, **kwargs)
        finally:
            calls.last(_nothing)


def _nothing() -> None:
    pass
