"""What the lines of a log say of whose work they tell: the request that began it, and for an import its image and task,
too.

oslo.log asks oslo.context, which keeps it for each thread: what has threads of its own takes it along by
``carried``."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping
from typing import Any, TypeVar

from oslo_context import context

from glancecore.sdk import tracing

T = TypeVar("T")


class Work(context.RequestContext):
    """Of work that goes on without its request."""

    def __init__(
        self, image_id: str, task_id: str, request_id: str | None, user_id: str | None, project_id: str | None
    ) -> None:
        super().__init__(request_id=request_id, user_id=user_id, project_id=project_id, overwrite=False)
        self.ids = {"image_id": image_id, "task_id": task_id}

    @property
    def about(self) -> str:
        """What a line says in front of its message."""
        return f"[image {self.ids['image_id']}, task {self.ids['task_id']}] "

    @property
    def portable(self) -> Mapping[str, Any]:
        """What ``work`` takes, to be sent to another process."""
        return {**self.ids, "request_id": self.request_id, "user_id": self.user_id, "project_id": self.project_id}

    def get_logging_values(self) -> dict[str, Any]:
        return {**super().get_logging_values(), **self.ids}


@contextlib.contextmanager
def work(
    image_id: str, task_id: str, request_id: str | None, user_id: str | None, project_id: str | None
) -> Iterator[None]:
    """What this thread logs inside tells of that import. Without a request's id it has one of its own."""
    with _in(lambda: Work(image_id, task_id, request_id, user_id, project_id)):
        yield


def portable() -> Mapping[str, Any] | None:
    """Of the work that this thread is at, for another process; None outside of any."""
    found = context.get_current()
    return found.portable if isinstance(found, Work) else None


def about() -> str:
    """What a line that is logged now says in front of its message."""
    found, trace = context.get_current(), tracing.trace_id()
    return f"{found.about if isinstance(found, Work) else ''}{f'[trace {trace}] ' if trace else ''}"


def kept() -> contextlib.AbstractContextManager[None]:
    """Behind it this thread is at what it is at now, whatever contexts were made inside: the first one would stay for
    good."""
    return _in(context.get_current)


def carried(call: Callable[..., T]) -> Callable[..., T]:
    """The same, to be called in another thread: what it logs there tells of what this thread is at now, and its spans
    are part of that."""
    found, traced = context.get_current(), tracing.carried()

    def run(*args: Any, **named: Any) -> T:
        with _in(lambda: found), traced():
            return call(*args, **named)

    return run


def carry() -> Callable[[], None]:
    """The same for all threads of a pool that works for this thread only: what each of them calls first."""
    found, traced = context.get_current(), tracing.carried()

    def begin() -> None:
        _put(found)
        tracing.keep(traced())

    return begin


def of_nobody() -> None:
    """What this thread logs from here on tells of no request, until one is named: threads are used again."""
    _put(None)


@contextlib.contextmanager
def _in(make: Callable[[], context.RequestContext | None]) -> Iterator[None]:
    before = context.get_current()  # first: one that is made is put where none is
    _put(make())
    try:
        yield
    finally:
        _put(before)


def _put(found: context.RequestContext | None) -> None:
    if found is not None:
        found.update_store()
    elif context.get_current() is not None:
        del context._request_store.context  # noqa: SLF001 (it can't be taken away otherwise)
