"""Repositories whose methods are calls: made from the port, not written by hand."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tenacity import Retrying, retry_if_result, stop_after_attempt, wait_exponential

from glancecore.domain import errors
from glancecore.ports.repository import Database
from glancecore.sdk.registry.calls import Call, calls
from glancecore_db_registry import lost_commits
from glancecore_db_registry.client import UNKNOWN, Lost, RegistryClient

#: The service may still be at it when its answer can't reach us any more.
_LOOKING = Retrying(
    stop=stop_after_attempt(6),
    wait=wait_exponential(0.05, max=0.5),
    retry=retry_if_result(lambda x: x is not True),
    retry_error_callback=lambda _state: False,
)


def repository(name: str, port: type, client: RegistryClient, database: Database) -> Any:
    """An object of ``port`` whose every method is one round trip."""
    found = {x.method: x for x in calls().values() if x.repository == name}
    methods = {
        x.method: _commit(x, client, database) if x.method == "commit" else method(x, client) for x in found.values()
    }
    cls = type(f"Remote{port.__name__}", (port,), {"__doc__": port.__doc__, "__slots__": (), **methods})
    return cls()


def method(call: Call, client: RegistryClient) -> Callable[..., Any]:
    def run(_self: object, *args: Any, **named: Any) -> Any:
        return client.run(call, call.flat(args, named) if named else args)

    run.__name__ = call.method
    return run


def _commit(call: Call, client: RegistryClient, database: Database) -> Callable[..., None]:
    def commit(_self: object, *changes: Any) -> None:
        if not changes:
            return
        repeat = lost_commits.once_only(changes)
        try:
            client.once(call, changes, repeat=False)
        except Lost as exc:
            if repeat:
                _again(call, client, changes, database)
            elif not _LOOKING(lost_commits.saved, changes, database):
                raise errors.DatabaseUnavailable(UNKNOWN) from exc

    return commit


def _again(call: Call, client: RegistryClient, changes: tuple[Any, ...], database: Database) -> None:
    """The first attempt may have been saved: what refuses the second one may be that."""
    try:
        client.once(call, changes, repeat=True)
    except Lost as exc:
        raise errors.DatabaseUnavailable(UNKNOWN) from exc
    except errors.DatabaseUnavailable as exc:
        raise errors.DatabaseUnavailable(UNKNOWN) from exc
    except errors.GlanceError as exc:
        verdict = lost_commits.saved(changes, database)
        if verdict is None:
            raise errors.DatabaseUnavailable(UNKNOWN) from exc
        if not verdict:
            raise
