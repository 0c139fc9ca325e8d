"""Names of families, versions and channels, and references made of them: ``debian/13``, ``debian/13@stable``,
``debian/13:20260101``."""

from __future__ import annotations

import re
from dataclasses import dataclass

from glancecore.domain import errors, text

#: The channel that every family has: the newest version that may be used.
LATEST = "latest"
FAMILY = r"[a-z0-9][a-z0-9._-]*(?:/[a-z0-9][a-z0-9._-]*){0,3}"
LABEL = r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}"
CHANNEL = r"[a-z0-9][a-z0-9._-]{0,31}"
LONGEST_FAMILY = 128
#: A reference that ends in one of these would be another route of the image before it.
_ROUTES = frozenset({"file", "stage", "import", "locations", "members", "tasks", "tags", "actions"})
_UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_REFERENCE = re.compile(rf"({FAMILY})(?:@({CHANNEL})|:({LABEL}))?")
_FAMILY, _LABEL, _CHANNEL = re.compile(FAMILY), re.compile(LABEL), re.compile(CHANNEL)


@dataclass(frozen=True, slots=True)
class Reference:
    """``channel`` and ``label`` None: whatever the family's default is."""

    family: str
    channel: str | None = None
    label: str | None = None

    @classmethod
    def parse(cls, given: str) -> Reference | None:
        """None: it is none."""
        found = _REFERENCE.fullmatch(given)
        if found is None or len(found[1]) > LONGEST_FAMILY:
            return None
        return cls(found[1], found[2], found[3])


def check_family(name: str) -> None:
    """Raises Invalid."""
    if len(name) > LONGEST_FAMILY or not _FAMILY.fullmatch(name):
        raise errors.Invalid(
            f"name: {text.shortened(name)!r} is no name of a family: up to four parts with slashes between, each of"
            f" small letters, digits, dots, hyphens and underscores; at most {LONGEST_FAMILY} characters"
        )
    if taken := sorted(_ROUTES & set(name.split("/"))):
        raise errors.Invalid(f"name: no part of it may be {taken[0]!r}, which is a part of an image")
    if _UUID.fullmatch(name):
        raise errors.Invalid("name: a family can't be called like the id of an image")


def check_label(label: str) -> None:
    """Raises Invalid."""
    if not _LABEL.fullmatch(label):
        raise errors.Invalid(
            f"label: {text.shortened(label)!r} is not 1 to 64 letters, digits, dots, hyphens and underscores, the first"
            " a letter or digit"
        )


def check_channel(channel: str) -> None:
    """Raises Invalid; Conflict for ``latest``, which nobody moves."""
    if channel == LATEST:
        raise errors.Conflict(
            "channel latest is always the newest version that may be used: add, deprecate or deactivate versions to"
            " move it"
        )
    if not _CHANNEL.fullmatch(channel):
        raise errors.Invalid(
            f"channel: {text.shortened(channel)!r} is not 1 to 32 small letters, digits, dots, hyphens and underscores,"
            " the first a letter or digit"
        )
