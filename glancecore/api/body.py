"""Request bodies: JSON within limits and checked by schema, raw data whose end is proved."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import jsonschema
import orjson
from flask import Request
from jsonschema.exceptions import best_match
from jsonschema.protocols import Validator

from glancecore.domain import errors
from glancecore.ports.store import CHUNK

if TYPE_CHECKING:
    from wsgiref.types import WSGIEnvironment

#: Servers that are known to raise when a chunked body breaks off, instead of ending it quietly (design section 4).
PROVING_SERVERS = ("gunicorn/",)


def forbid(request: Request) -> None:
    """Raises Invalid when there is a body where none belongs."""
    if request.content_length or "HTTP_TRANSFER_ENCODING" in request.environ:
        raise errors.Invalid("this request takes no body")


def read_json(request: Request, limit: int) -> Any:
    """The parsed JSON body. Raises Invalid, TooLarge."""
    raw = _read_all(request, limit)
    if not raw:
        raise errors.Invalid("a JSON body is required")
    try:
        return orjson.loads(raw)
    except orjson.JSONDecodeError as exc:
        raise errors.Invalid(f"the body is not valid JSON: {exc}") from exc


def _read_all(request: Request, limit: int) -> bytes:
    if request.content_length is not None and request.content_length > limit:
        raise errors.TooLarge(f"the body has {request.content_length} bytes; max_json_body is {limit}")
    found = bytearray()
    for piece in data(request.environ)[0]:
        found += piece
        if len(found) > limit:
            raise errors.TooLarge(f"the body is larger than max_json_body, {limit} bytes")
    return bytes(found)


def data(environ: WSGIEnvironment) -> tuple[Iterator[bytes], int | None]:
    """The body's pieces and its declared length (None: chunked).

    Its end is believed only when it is proved: the declared length is reached, or the server is known to raise on a
    broken chunked body. Raises LengthRequired for a chunked body elsewhere; the pieces raise TruncatedBody.
    """
    read: Callable[[int], bytes] = environ["wsgi.input"].read
    if environ.get("HTTP_TRANSFER_ENCODING"):
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
            raise errors.TruncatedBody("the client sent nothing for too long") from exc
        except Exception as exc:
            raise errors.TruncatedBody("the body broke off") from exc
        if not piece:
            if left:
                raise errors.TruncatedBody(f"the body ended {left} bytes before its Content-Length")
            return
        if left is not None:
            left -= len(piece)
        yield piece


class Checker:
    """A compiled JSON schema; messages name the field and what it allows."""

    def __init__(self, schema: dict[str, Any]) -> None:
        self._validator: Validator = jsonschema.Draft202012Validator(schema)

    def check(self, value: Any) -> None:
        """Raises Invalid."""
        if self._validator.is_valid(value):
            return
        error = best_match(self._validator.iter_errors(value))
        if error is None:
            return
        where = ".".join(str(x) for x in error.absolute_path) or "body"
        raise errors.Invalid(f"{where}: {_explain(error)}")


def _explain(error: jsonschema.ValidationError) -> str:
    if error.validator == "enum" and isinstance(error.validator_value, list):
        return f"{error.instance!r} is not one of {', '.join('null' if x is None else str(x) for x in error.validator_value)}"
    if error.validator == "pattern" and "0-9a-fA-F" in str(error.validator_value):
        return f"{error.instance!r} is not a UUID"
    if error.validator == "maxLength":
        return f"longer than {error.validator_value} characters"
    return str(error.message)
