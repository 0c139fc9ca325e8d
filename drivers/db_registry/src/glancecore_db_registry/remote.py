"""Repositories whose methods are calls: made from the port, not written by hand."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tenacity import Retrying, retry_if_result, stop_after_attempt, wait_exponential

from glancecore.domain import errors
from glancecore.ports.repository import Database
from glancecore.sdk.registry.calls import Call, calls
from glancecore_db_registry import settling
from glancecore_db_registry.line import UNKNOWN, Line, Lost

#: The service may still be at it when its answer can't reach us any more.
_LOOKING = Retrying(stop=stop_after_attempt(6), wait=wait_exponential(0.05, max=0.5), retry=retry_if_result(lambda x: x is not True),
                    retry_error_callback=lambda _state: False)


def repository(name: str, port: type, line: Line, database: Database) -> Any:
    """An object of ``port`` whose every method is one round trip."""
    found = {x.method: x for x in calls().values() if x.repository == name}
    methods = {x.method: _commit(x, line, database) if x.method == "commit" else method(x, line) for x in found.values()}
    cls = type(f"Remote{port.__name__}", (port,), {"__doc__": port.__doc__, "__slots__": (), **methods})
    return cls()


def method(call: Call, line: Line) -> Callable[..., Any]:
    def run(_self: object, *args: Any, **named: Any) -> Any:
        return line.run(call, call.flat(args, named) if named else args)

    run.__name__ = call.method
    return run


def _commit(call: Call, line: Line, database: Database) -> Callable[..., None]:
    def commit(_self: object, *changes: Any) -> None:
        if not changes:
            return
        repeat = settling.once_only(changes)
        try:
            line.once(call, changes, repeat=False)
        except Lost as exc:
            if repeat:
                _again(call, line, changes, database)
            elif not _LOOKING(settling.saved, changes, database):
                raise errors.DatabaseUnavailable(UNKNOWN) from exc

    return commit


def _again(call: Call, line: Line, changes: tuple[Any, ...], database: Database) -> None:
    """The first attempt may have been saved: what refuses the second one may be that."""
    try:
        line.once(call, changes, repeat=True)
    except Lost as exc:
        raise errors.DatabaseUnavailable(UNKNOWN) from exc
    except errors.DatabaseUnavailable as exc:
        raise errors.DatabaseUnavailable(UNKNOWN) from exc
    except errors.GlanceError as exc:
        verdict = settling.saved(changes, database)
        if verdict is None:
            raise errors.DatabaseUnavailable(UNKNOWN) from exc
        if not verdict:
            raise
