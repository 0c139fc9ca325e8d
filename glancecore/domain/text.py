"""What texts may hold: one rule for names, one for free text, the same on every way in and on every database.

A name (of an image, a project, a tag, a property …) stands in lines of logs, in headers, in paths and in columns of databases:
control characters have no place in it. A free text, such as a property's value, may have several lines. A NUL, which
PostgreSQL can't store, and half a surrogate pair, which is no character, are nowhere allowed.
"""

from __future__ import annotations

import re

from glancecore.domain import errors

#: Controls of ASCII and of Latin-1, the separators that Unicode counts as ends of lines, and surrogates.
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")


def name(where: str, text: str) -> str:
    """``text`` itself. Raises Invalid, naming ``where``, for a control character."""
    found = _CONTROL.search(text)
    if found is not None:
        raise errors.Invalid(f"{where}: control characters are not allowed, and it has {_code(found[0])}")
    return text


def free(where: str, text: str) -> str:
    """``text`` itself, which may have lines. Raises Invalid, naming ``where``, for what can't be stored."""
    found = _UNSTORABLE.search(text)
    if found is not None:
        raise errors.Invalid(f"{where}: the character {_code(found[0])} is not allowed")
    return text


def escaped(text: str) -> str:
    """With control characters written out, for one line of a log."""
    return _CONTROL.sub(lambda x: _ESCAPES.get(x[0]) or _code(x[0]), text)


def shortened(text: str, most: int = 80) -> str:
    """At most so many characters, for a message."""
    return text if len(text) <= most else f"{text[:most]}…"


_ESCAPES = {"\n": "\\n", "\r": "\\r", "\t": "\\t"}


def _code(character: str) -> str:
    return f"\\u{ord(character):04x}"
