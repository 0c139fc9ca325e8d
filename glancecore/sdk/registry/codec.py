"""Values of the ports as JSON, and back, by their types alone: nothing is written by hand for a new field or method.

Writing is orjson's own work: it knows dataclasses, enums and times; only where a value's class can't be told from the
type (a union of dataclasses) does the class's name go along. Reading builds the very classes that the types name, and
nothing else: there is no way to name code."""

from __future__ import annotations

import base64
import functools
import hashlib
import json
import operator
import types
import typing
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence, Set
from dataclasses import fields, is_dataclass
from datetime import datetime, timedelta
from enum import Enum
from typing import Any, ForwardRef, Union, get_args, get_origin

import orjson

from glancecore.domain import errors

#: None stands for "as it is".
Convert = Callable[[Any], Any] | None

_SCALARS = (str, int, float, bool, type(None))
_LISTS: Mapping[object, type] = {
    list: list,
    Sequence: list,
    Iterable: list,
    Collection: list,
    tuple: tuple,
    set: set,
    frozenset: frozenset,
    Set: frozenset,
}
_MICROSECOND = timedelta(microseconds=1)
#: Types that are JSON themselves.
_JSON = (object, Any)


def dumps(value: object) -> bytes:
    """Raises TypeError for what can't be sent, a mistake of ours. A blank before it says that it holds what orjson
    can't read exactly: numbers beyond 64 bits, lone surrogates. Both are for the database to judge."""
    try:
        return orjson.dumps(value, _other)
    except TypeError:
        return b" " + json.dumps(value, default=_any).encode()


def loads(data: bytes) -> Any:
    """Raises ValueError."""
    return json.loads(data) if data[:1] == b" " else orjson.loads(data)


def _any(value: object) -> object:
    """What orjson knows by itself."""
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, Enum):
        return value.value
    if is_dataclass(value):
        return {x.name: getattr(value, x.name) for x in fields(value)}
    return _other(value)


def _other(value: object) -> object:
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, (set, frozenset)):
        return list(value)
    if isinstance(value, timedelta):
        return value // _MICROSECOND
    if isinstance(value, (bytes, bytearray)):
        return base64.b64encode(value).decode()
    raise TypeError(f"{type(value).__name__} can't be sent")


# -- by type ---------------------------------------------------------------------------------------
@functools.cache
def encoder(kind: Any) -> Convert:
    """What orjson can't know, done before it: the names of classes in unions."""
    origin = get_origin(kind)
    if origin in (Union, types.UnionType):
        return _named if len(_classes(kind)) > 1 else _each_option(kind, encoder)
    if origin in _LISTS:
        return _encoded_list([x for x in get_args(kind) if x is not Ellipsis])
    if origin in (dict, Mapping):
        return _of_values(encoder(get_args(kind)[1]))
    if isinstance(kind, type) and is_dataclass(kind):
        return _encoded_class(kind)
    return None


@functools.cache
def decoder(kind: Any) -> Convert:
    """The value again. It raises KeyError, TypeError or ValueError for what is no value of that type."""
    origin = get_origin(kind)
    if kind in _JSON or kind in _SCALARS or isinstance(kind, ForwardRef):
        return None
    if origin in (Union, types.UnionType):
        classes = _classes(kind)
        return _tagged({x.__name__: decoder(x) for x in classes}) if len(classes) > 1 else _each_option(kind, decoder)
    if origin in _LISTS:
        return _decoded_list(_LISTS[origin], get_args(kind))
    if origin in (dict, Mapping):
        return _of_values(decoder(get_args(kind)[1]))
    if isinstance(kind, type):
        if issubclass(kind, Enum):
            return {x.value: x for x in kind}.__getitem__
        if is_dataclass(kind):
            return _decoded_class(kind)
        if kind in _LEAVES:
            return _LEAVES[kind]
    raise TypeError(
        f"the type {kind} can't be sent: use dataclasses, enums, times, plain values, lists and mappings of them"
    )


_LEAVES: Mapping[type, Callable[[Any], Any]] = {
    datetime: datetime.fromisoformat,
    timedelta: lambda x: timedelta(microseconds=x),
    bytes: base64.b64decode,
}


def _classes(union: Any) -> list[type]:
    return [x for x in get_args(union) if isinstance(x, type) and is_dataclass(x)]


def _each_option(union: Any, make: Callable[[Any], Convert]) -> Convert:
    """At most one of the options needs work: an optional class, time or enum."""
    found = [x for x in map(make, get_args(union)) if x is not None]
    if len(found) > 1:
        raise TypeError(f"the type {union} can't be sent: its options look alike in JSON")
    if not found:
        return None
    convert = found[0]
    return lambda value: None if value is None else convert(value)


def _named(value: object) -> object:
    if value is None:
        return None
    cls: Any = type(value)
    convert = encoder(cls)
    return [cls.__name__, convert(value) if convert else value]


def _tagged(known: Mapping[str, Convert]) -> Callable[[Any], Any]:
    def convert(value: Any) -> Any:
        if value is None:
            return None
        name, content = value
        build = known[name]
        return build(content) if build else content

    return convert


def _encoded_list(options: Sequence[Any]) -> Convert:
    converts = {encoder(x) for x in options}
    if converts == {None} or not converts:
        return None
    if len(converts) > 1:
        each = [encoder(x) for x in options]
        return lambda value: [convert(x) if convert else x for convert, x in zip(each, value, strict=True)]
    (convert,) = converts
    return lambda value: [convert(x) for x in value]  # type: ignore[misc] # not None: see above


def _decoded_list(build: type, options: tuple[Any, ...]) -> Convert:
    if build is tuple and Ellipsis not in options:
        each = [decoder(x) for x in options]
        return lambda value: tuple(
            [convert(x) if convert and x is not None else x for convert, x in zip(each, value, strict=True)]
        )
    convert = decoder(options[0])
    if convert is None:
        return None if build is list else build
    if build is list:
        return lambda value: [convert(x) for x in value]
    return lambda value: build([convert(x) for x in value])


def _of_values(convert: Convert) -> Convert:
    return None if convert is None else lambda value: {name: convert(x) for name, x in value.items()}


def _encoded_class(cls: type) -> Convert:
    hints = typing.get_type_hints(cls)
    names = [x.name for x in fields(cls)]
    if all(encoder(hints[x]) is None for x in names):
        return None
    converts = [(name, encoder(hints[name])) for name in names]
    return lambda value: {
        name: convert(getattr(value, name)) if convert else getattr(value, name) for name, convert in converts
    }


def _decoded_class(cls: type) -> Callable[[Any], Any]:
    """By position: this runs a thousand times for a full page."""
    hints = typing.get_type_hints(cls)
    names = [x.name for x in fields(cls)]
    work = [(at, convert) for at, convert in enumerate(decoder(hints[x]) for x in names) if convert is not None]
    if len(names) == 1:
        [name], convert = names, work[0][1] if work else None
        return lambda value: cls(convert(value[name]) if convert else value[name])
    of = operator.itemgetter(*names)

    def build(value: Any) -> Any:
        values = list(of(value))
        for at, convert in work:
            if values[at] is not None:
                values[at] = convert(values[at])
        return cls(*values)

    return build


# -- shapes ----------------------------------------------------------------------------------------
def shape(kinds: Iterable[Any]) -> str:
    """A short name for types with all that is in them: equal on both sides, or they don't understand each other."""
    seen: list[type] = []
    text = "|".join(_described(x, seen) for x in kinds)
    for cls in seen:  # which grows meanwhile
        hints = typing.get_type_hints(cls)
        text += f"\n{cls.__name__}:" + ",".join(f"{x.name}={_described(hints[x.name], seen)}" for x in fields(cls))
    return hashlib.blake2b(text.encode(), digest_size=8).hexdigest()


def _described(kind: Any, seen: list[type]) -> str:
    origin = get_origin(kind)
    if origin is not None:
        name = "|" if origin in (Union, types.UnionType) else origin.__name__
        return f"{name}[{','.join(_described(x, seen) for x in get_args(kind))}]"
    if isinstance(kind, type):
        if is_dataclass(kind) and kind not in seen:
            seen.append(kind)
        if issubclass(kind, Enum):
            return f"{kind.__name__}({','.join(str(x.value) for x in kind)})"
        return kind.__name__
    return str(kind)


# -- errors ----------------------------------------------------------------------------------------
_ERRORS: Mapping[str, type[errors.GlanceError]] = {
    name: x for name, x in vars(errors).items() if isinstance(x, type) and issubclass(x, errors.GlanceError)
}


def error_value(error: errors.GlanceError) -> dict[str, object]:
    """An error as plain values; one that a plugin has derived goes as the class that it is derived from."""
    name = next(x.__name__ for x in type(error).__mro__ if _ERRORS.get(x.__name__) is x)
    return {"error": name, "message": str(error), "fields": vars(error)}


def error_of(value: Mapping[str, Any]) -> errors.GlanceError:
    """The same error with the same fields. Raises KeyError for one that is not known here."""
    cls = _ERRORS[value["error"]]
    error = cls.__new__(cls)
    Exception.__init__(error, value["message"])
    for name, content in value["fields"].items():
        setattr(error, name, tuple(content) if isinstance(content, list) else content)
    return error
