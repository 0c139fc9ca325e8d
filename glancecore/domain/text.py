"""What texts may hold: one rule for labels, one for names, one for free text, the same on every way in and on every
database.

A name (of an image, a project, a tag, a property …) stands in lines of logs, in headers, in paths and in columns of
databases: control characters have no place in it. A label (a tag, a property's name, a project's id, a policy) tells
one thing from another, for people and for programs, so nothing in it may be unseen, or turn the direction in which it
is read. An image's name may have that, as in Glance; it is written out where it is shown. A free text, such as a
property's value, may have several lines. A NUL, which PostgreSQL can't store, and half a surrogate pair, which is no
character, are nowhere allowed."""

from __future__ import annotations

import re
import unicodedata

from glancecore.domain import errors

#: Controls of ASCII and of Latin-1, the separators that Unicode counts as ends of lines, and surrogates.
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
#: Format characters that are not seen (zero width, joiners, soft hyphens, tags), or turn the direction of text, and
#: letters that look like nothing.
_HIDDEN = (
    "\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180e\u200b-\u200f\u202a-\u202e\u2060-\u206f\u3164\ufeff\uffa0\ufff0-\ufffb"
    "\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e00ff\U000e01f0-\U000e0fff"
)
#: They choose the form of the character before them: of ideographs, Mongolian letters and symbols, and of keys
#: (U+20E3). Behind all else nobody sees them.
_SELECTORS = "\u180b-\u180d\u180f\ufe00-\ufe0f\U000e0100-\U000e01ef"
_SEEN = f"(?<![^\0-\u00a8\u00aa-\u00ad\u00af-\u17ff{_SELECTORS}][{_SELECTORS}])(?!(?<=[{_SELECTORS}])\u20e3)"
_UNSEEN = re.compile(f"[{_HIDDEN}{_SELECTORS}]{_SEEN}")
_NOT_SHOWN = re.compile(f"{_CONTROL.pattern[:-1]}{_HIDDEN}{_SELECTORS}]{_SEEN}")
_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")


def name(where: str, text: str) -> str:
    """``text`` itself. Raises Invalid, naming ``where``, for a control character."""
    found = _CONTROL.search(text)
    if found is not None:
        raise errors.Invalid(f"{where}: control characters are not allowed, and it has {_code(found[0])}")
    return text


def label(where: str, text: str) -> str:
    """``text`` itself, a name that people and programs choose by. Raises Invalid, naming ``where`` and the
    character."""
    found = _UNSEEN.search(name(where, text))
    if found is not None:
        raise errors.Invalid(
            f"{where}: characters that are not seen, or turn the direction of text, are not allowed, and it has"
            f" U+{ord(found[0]):04X} ({unicodedata.name(found[0], 'without a name').lower()})"
        )
    return text


def free(where: str, text: str) -> str:
    """``text`` itself, which may have lines. Raises Invalid, naming ``where``, for what can't be stored."""
    found = _UNSTORABLE.search(text)
    if found is not None:
        raise errors.Invalid(f"{where}: the character {_code(found[0])} is not allowed")
    return text


def escaped(text: str) -> str:
    """With control characters, and those that nobody sees or that turn the direction of text, written out, for one line
    of a log or a terminal."""
    return _NOT_SHOWN.sub(lambda x: _ESCAPES.get(x[0]) or _code(x[0]), text)


def shortened(text: str, most: int = 80) -> str:
    """At most so many characters, for a message."""
    return text if len(text) <= most else f"{text[:most]}…"


def counted(number: int, noun: str) -> str:
    """``1 image``, ``2 images``: of a noun whose plural ends in s."""
    return f"{number} {noun}{'' if number == 1 else 's'}"


_ESCAPES = {"\n": "\\n", "\r": "\\r", "\t": "\\t"}


def _code(character: str) -> str:
    return f"\\u{ord(character):04x}" if ord(character) < 0x10000 else f"\\U{ord(character):08x}"
