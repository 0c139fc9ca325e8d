"""The database port as a table of calls, for those who carry it over a wire: found in the port itself, so that a
repository or a method that is added there is carried without a line here.

What the table needs of a method: annotated arguments and result, of the types that ``codec`` knows.
"""

from __future__ import annotations

import functools
import inspect
import typing
from abc import ABC
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, get_args

from glancecore.ports.repeating import is_repeatable, only_reads
from glancecore.ports.repository import Database
from glancecore.sdk.registry import codec as wire

#: Of how calls travel, beside the types that they are made of: paths, headers, signatures.
PROTOCOL = 2
#: Where the database's own methods are found among the repositories.
OWN = "database"

#: Not carried: they are about the place itself, and need its credentials.
_LOCAL = frozenset({"sync", "close"})


@dataclass(frozen=True, slots=True)
class Call:
    """One method: ``name`` is ``images/find``; ``shape`` says what its arguments and its result are made of."""

    name: str
    repository: str
    method: str
    signature: inspect.Signature
    shape: str
    reads: bool
    repeatable: bool
    arguments: Sequence[wire.Convert]
    #: Of each of the last arguments, when there can be any number of them.
    rest: wire.Convert
    read_arguments: Sequence[wire.Convert]
    read_rest: wire.Convert
    write_result: wire.Convert
    read_result: wire.Convert
    #: Arguments that must be named; they travel behind the others.
    named: Sequence[str]

    def flat(self, args: Sequence[Any], named: Mapping[str, Any]) -> Sequence[Any]:
        """All arguments of a call by position, as they travel. Raises TypeError for what the method does not take."""
        bound = self.signature.bind(*args, **named)
        bound.apply_defaults()
        return [*bound.args, *bound.kwargs.values()]

    def run(self, target: Callable[..., Any], arguments: Sequence[Any]) -> Any:
        """Call the method itself. Raises what it raises."""
        if not self.named:
            return target(*arguments)
        count = len(self.arguments) - len(self.named)
        return target(*arguments[:count], **dict(zip(self.named, arguments[count:], strict=False)))

    def fits(self, arguments: Sequence[Any]) -> bool:
        """Whether the method takes so many."""
        each = list(self.signature.parameters.values())
        most = None if any(x.kind is x.VAR_POSITIONAL for x in each) else len(each)
        least = sum(x.default is x.empty and x.kind is not x.VAR_POSITIONAL for x in each)
        return least <= len(arguments) and (most is None or len(arguments) <= most)

    def request(self, args: Sequence[Any]) -> bytes:
        """Arguments given by position as JSON."""
        return wire.dumps(_converted(args, self.arguments, self.rest))

    def read_request(self, body: bytes) -> Sequence[Any]:
        """Raises AttributeError, KeyError, TypeError or ValueError for what are no such arguments."""
        return _converted(wire.loads(body), self.read_arguments, self.read_rest)

    def answer(self, result: Any) -> bytes:
        return wire.dumps(self.write_result(result) if self.write_result else result)

    def read_answer(self, body: bytes) -> Any:
        """The result again."""
        result = wire.loads(body)
        return result if self.read_result is None or result is None else self.read_result(result)


def _converted(args: Sequence[Any], converts: Sequence[wire.Convert], rest: wire.Convert) -> list[Any]:
    return [
        x if convert is None or x is None else convert(x)
        for x, convert in zip(args, (*converts, *[rest] * (len(args) - len(converts))), strict=False)
    ]


@functools.cache
def repositories(port: type = Database) -> Mapping[str, type]:
    """Attribute of the database -> the port of the repository there. One that is declared as optional may be None."""
    hints = dict(typing.get_type_hints(port))
    for name, found in vars(port).items():
        if isinstance(found, property) and found.fget is not None:
            hints[name] = typing.get_type_hints(found.fget).get("return")
    kinds = {
        name: [x for x in (kind, *get_args(kind)) if isinstance(x, type) and issubclass(x, ABC)]
        for name, kind in hints.items()
    }
    return {name: found[0] for name, found in kinds.items() if found}


@functools.cache
def calls(port: type = Database) -> Mapping[str, Call]:
    """Name -> call. Raises TypeError, naming the method, for a type that can't be sent."""
    made = [_call(OWN, x) for x in _methods(port) if x.__name__ not in _LOCAL]
    made += [_call(name, x) for name, cls in repositories(port).items() for x in _methods(cls)]
    return {x.name: x for x in made}


def _methods(cls: type) -> list[Callable[..., Any]]:
    """Also those with a body: a driver may have a better one, and over a wire it is one round trip."""
    found = {name: x for each in reversed(cls.__mro__) for name, x in vars(each).items()}
    return [x for name, x in sorted(found.items()) if inspect.isfunction(x) and not name.startswith("_")]


def _call(repository: str, method: Callable[..., Any]) -> Call:
    name = f"{repository}/{method.__name__}"
    hints = typing.get_type_hints(method)
    signature = inspect.signature(method)
    parameters = list(signature.parameters.values())[1:]
    each = [hints[x.name] for x in parameters if x.kind is not x.VAR_POSITIONAL]
    named = [x.name for x in parameters if x.kind is x.KEYWORD_ONLY]
    if named and len(each) < len(parameters):
        raise TypeError(
            f"Database.{name.replace('/', '.')}: any number of arguments and named ones don't travel together"
        )
    [rest] = [hints[x.name] for x in parameters if x.kind is x.VAR_POSITIONAL] or [object]
    result = hints["return"]
    try:
        return Call(
            name,
            repository,
            method.__name__,
            signature.replace(parameters=parameters),
            wire.shape([*each, rest, result]),
            only_reads(method),
            is_repeatable(method),
            [wire.encoder(x) for x in each],
            wire.encoder(rest),
            [wire.decoder(x) for x in each],
            wire.decoder(rest),
            wire.encoder(result),
            wire.decoder(result),
            named,
        )
    except TypeError as exc:
        raise TypeError(f"Database.{name.replace('/', '.')}: {exc}") from exc
