"""Request bodies: JSON within limits and checked by schema, raw data whose end is proved."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Collection, Iterator, Sequence
from typing import TYPE_CHECKING, Any

import jsonschema_rs
import orjson
from flask import Request

from glancecore.domain import errors
from glancecore.domain.text import counted, shortened
from glancecore.ports.store import CHUNK

if TYPE_CHECKING:
    from wsgiref.types import WSGIEnvironment

JSON = "application/json"
#: Levels of lists and objects in a body.
DEPTH = 64
#: The only way to write it; an escaped backslash before ``u0000`` is another text.
_NUL = re.compile(rb"(?<!\\)(?:\\\\)*\\u0000")
_SCALARS = (str, int, float, bool, type(None))
#: Servers that are known to raise when a chunked body breaks off, instead of ending it quietly.
PROVING_SERVERS = ("gunicorn/",)


def forbid(request: Request) -> None:
    """Raises Invalid when there is a body where none belongs."""
    if request.content_length or "HTTP_TRANSFER_ENCODING" in request.environ:
        raise errors.Invalid("this request takes no body")


def read_json(request: Request, limit: int, types: Collection[str] = (JSON,)) -> Any:
    """The parsed JSON body. A browser can't be made to send it to a foreign site unasked, as it can text/plain and
    forms.

    Raises UnsupportedContentType, Invalid, TooLarge."""
    if request.mimetype and request.mimetype not in types:
        raise errors.UnsupportedContentType(
            f"Content-Type must be {' or '.join(types)}, not {shortened(request.mimetype)}"
        )
    return parse_json(_read_all(request, limit))


def parse_json(raw: bytes) -> Any:
    """As strict as the strictest reader: no name twice, nothing that some database or client can't hold. Raises
    Invalid."""
    if not raw:
        raise errors.Invalid("a JSON body is required")
    try:
        value = orjson.loads(raw)  # refuses NaN, halves of surrogate pairs, what is not UTF-8, and 1,024 levels
    except orjson.JSONDecodeError as exc:
        raise errors.Invalid(f"the body is not valid JSON: {exc}") from exc
    if _NUL.search(raw):
        raise errors.Invalid("the body has the character \\u0000, which is not allowed in any text")
    if raw.count(b"[") + raw.count(b"{") > DEPTH:
        _not_deep(value)
    if raw.count(b":") > 1:
        json.loads(raw, object_pairs_hook=_one_of_each)
    return value


def _one_of_each(pairs: Sequence[tuple[str, Any]]) -> None:
    """Two readers of a body may not see two values."""
    names = {name for name, _ in pairs}
    if len(names) < len(pairs):
        seen: set[str] = set()
        twice = next(name for name, _ in pairs if name in seen or seen.add(name))  # type: ignore[func-returns-value]
        raise errors.Invalid(f"{shortened(twice)}: named twice in one object of the body")


def _not_deep(value: Any) -> None:
    level = [value]
    for _ in range(DEPTH):
        level = [y for x in level for y in (x.values() if isinstance(x, dict) else x) if isinstance(y, (dict, list))]
        if not level:
            return
    raise errors.Invalid(f"the body is nested deeper than {DEPTH} levels")


def _read_all(request: Request, limit: int) -> bytes:
    if request.content_length is not None and request.content_length > limit:
        raise errors.TooLarge(f"the body has {request.content_length} bytes; at most {limit} are taken here")
    found = bytearray()
    for piece in data(request.environ)[0]:
        found += piece
        if len(found) > limit:
            raise errors.TooLarge(f"the body has more than the {limit} bytes that are taken here")
    return bytes(found)


def data(environ: WSGIEnvironment) -> tuple[Iterator[bytes], int | None]:
    """The body's pieces and its declared length (None: chunked).

    Its end is believed only when it is proved: the declared length is reached, or the server is known to raise on a
    broken chunked body. Raises LengthRequired for a chunked body elsewhere, UnsupportedContentType for one that is
    encoded: nothing here decodes it; the pieces raise TruncatedBody."""
    encoding = environ.get("HTTP_CONTENT_ENCODING", "").strip().lower()
    if encoding not in ("", "identity"):
        raise errors.UnsupportedContentType(
            f"Content-Encoding: {encoding} is not decoded here; send the body as it is (identity)"
        )
    read: Callable[[int], bytes] = environ["wsgi.input"].read
    if coding := environ.get("HTTP_TRANSFER_ENCODING", "").strip().lower():
        if coding != "chunked":
            raise errors.UnsupportedContentType(
                f"Transfer-Encoding: {shortened(coding)} is not decoded here; send the body as it is, at most in chunks"
            )
        if not str(environ.get("SERVER_SOFTWARE", "")).startswith(PROVING_SERVERS):
            raise errors.LengthRequired("this server takes bodies with a Content-Length only")
        return _pieces(read, None), None
    try:
        length = int(environ.get("CONTENT_LENGTH") or 0)
    except ValueError:
        length = -1
    if length < 0:
        raise errors.Invalid("Content-Length must be a number of bytes")
    return _pieces(read, length), length


def _pieces(read: Callable[[int], bytes], length: int | None) -> Iterator[bytes]:
    left = length
    while left is None or left > 0:
        try:
            piece = read(CHUNK if left is None else min(CHUNK, left))
        except TimeoutError as exc:
            raise errors.TruncatedBody(f"the body came too slowly: {exc}") from exc
        except Exception as exc:
            raise errors.TruncatedBody("the body broke off") from exc
        if not piece:
            if left:
                raise errors.TruncatedBody(f"the body ended {left} bytes before its Content-Length")
            return
        if left is not None:
            left -= len(piece)
        yield piece


#: Fields that a message names, at most.
_TELLABLE = 20
#: What Checker raises for a schema that is none.
NotASchema = jsonschema_rs.ValidationError


class Checker:
    """A compiled JSON schema; messages name the field and what it allows.

    The first thing that is wrong is told, and judging costs time in proportion to the value, whatever is in it. In
    patterns ``$`` is the very end of a text, as JSON schema has it: a newline behind it does not match."""

    def __init__(self, schema: dict[str, Any]) -> None:
        self._schema, self._validator = schema, jsonschema_rs.Draft202012Validator(schema)

    def check(self, value: Any) -> None:
        """Raises Invalid."""
        try:
            self._validator.validate(value)
        except jsonschema_rs.ValidationError as exc:
            where = ".".join(shortened(str(x)) for x in exc.instance_path) or "body"
            raise errors.Invalid(f"{where}: {_explain(exc)}{self._fields(exc)}") from None

    def _fields(self, error: jsonschema_rs.ValidationError) -> str:
        """Where a field is none: those that are, unless they are too many for a message."""
        if error.kind.name != "additionalProperties":
            return ""
        place: Any = self._schema
        for step in error.schema_path[:-1]:
            place = place[step]
        names = sorted(place.get("properties", ()))
        return f"; it has {', '.join(names)}" if 0 < len(names) <= _TELLABLE else ""


_COUNTED = {
    "maxLength": "character",
    "minLength": "character",
    "maxItems": "element",
    "minItems": "element",
    "maxProperties": "name",
    "minProperties": "field",
}
_BOUNDS = {
    "maxLength": "longer than",
    "minLength": "shorter than",
    "maxItems": "more than",
    "minItems": "fewer than",
    "maxProperties": "more than",
    "minProperties": "fewer than",
}
_NOT = {
    "minimum": "less than",
    "maximum": "more than",
    "exclusiveMinimum": "not more than",
    "exclusiveMaximum": "not less than",
    "multipleOf": "no multiple of",
    "const": "not",
    "format": "no",
}
_PLAIN = {
    "uniqueItems": "an element is there twice",
    "not": "{found} is not allowed",
    "contains": "none of the elements is one that must be there",
}


def _explain(error: jsonschema_rs.ValidationError) -> str:
    keyword, limit = error.kind.name, error.kind.value
    found = shortened(repr(error.instance)) if isinstance(error.instance, _SCALARS) else "the value"
    if keyword in _BOUNDS:
        return f"{_BOUNDS[keyword]} {counted(limit, _COUNTED[keyword])}"
    if keyword in _NOT:
        return f"{found} is {_NOT[keyword]} {shortened(str(limit))}"
    if keyword in _PLAIN:
        return _PLAIN[keyword].format(found=found)
    match keyword:
        case "enum":
            return f"{found} is not one of {', '.join('null' if x is None else str(x) for x in limit)}"
        case "pattern":
            return f"{found} is not a UUID" if "0-9a-fA-F" in limit else f"{found} does not match {limit}"
        case "type":
            return f"{found} is not of type {' or '.join(limit)}"
        case "required":
            return f"{limit!r} is a required property"
        case "additionalProperties" | "unevaluatedProperties":
            return f"no such field: {', '.join(map(shortened, limit[:5]))}"
        case "falseSchema":
            return "it takes no fields" if error.schema_path[-1] == "additionalProperties" else "nothing may stand here"
        case "propertyNames":
            return f"the name of a field: {_explain(limit)}"
        case "anyOf" | "oneOf":
            said = dict.fromkeys(_explain(x[0]) for x in limit if x)
            return (
                f"it may be several things, and is none: {'; '.join(said)}"
                if said
                else "it is several of the things of which it may be one"
            )
    return shortened(error.message, 300)
