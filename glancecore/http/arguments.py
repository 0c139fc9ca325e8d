"""Numbers and texts in query strings and headers, read so that no value is dear or a server error."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from glancecore.domain import errors, text

if TYPE_CHECKING:
    from flask import Request

#: Digits of the largest number that a database keeps; Python takes squared time for many more.
_DIGITS = 19
#: Most parameters of one query string.
MOST = 100


def whole_number(where: str, given: str) -> int:
    """A number from 0, in ASCII digits; one with more digits than any that is of use is 10¹⁹. Raises Invalid."""
    if not (given.isascii() and given.isdecimal()):
        raise errors.Invalid(f"{where}: {text.shortened(given)!r} is not a whole number from 0")
    digits = given.lstrip("0") or "0"
    return int(digits) if len(digits) <= _DIGITS else 10**_DIGITS


def signed_number(given: str) -> int | None:
    """None when it is no whole number, or one that no database keeps."""
    digits = given.strip().removeprefix("-")
    if not (digits.isascii() and digits.isdecimal()) or len(digits.lstrip("0")) > _DIGITS:
        return None
    number = int(digits.lstrip("0") or "0")
    if number >= 2**63:
        return None
    return -number if given.strip().startswith("-") else number


def check(request: Request, values: Mapping[str, str]) -> None:
    """What is in a path and in a query string can be looked up in any database. Raises Invalid, naming it."""
    for name, value in values.items():
        text.name(name, value)
    count = 0
    for name, found in request.args.lists():
        text.name("parameter", name)
        count += len(found)
        for value in found:
            text.free(text.shortened(name), value)
    if count > MOST:
        raise errors.Invalid(f"{count} query parameters; at most {MOST}")


def pairs(request: Request) -> Sequence[tuple[str, str]]:
    """The query string as names and values; repeated ones are kept."""
    return [(name, value) for name, values in request.args.lists() for value in values]
