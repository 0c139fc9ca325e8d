"""Types of arguments that several commands take. Raise ArgumentTypeError: argparse names the argument."""

from __future__ import annotations

import argparse
import math

#: A hundred years: times before it can be told.
_DAYS = 36_500


def days(text: str) -> float:
    """An age; parts of a day may be given."""
    try:
        found = float(text)
    except ValueError:
        found = math.nan
    if not 0 <= found <= _DAYS:
        raise argparse.ArgumentTypeError(f"{text!r} is no age: give days from 0 to {_DAYS:,}")
    return found


def seconds(text: str) -> float:
    """How long; parts may be given."""
    try:
        found = float(text)
    except ValueError:
        found = math.nan
    if not 0 <= found <= _DAYS * 86400:
        raise argparse.ArgumentTypeError(f"{text!r}: give seconds, 0 or more")
    return found


def count(text: str) -> int:
    """At least one."""
    return _count(text, "1 or more")


def count_or_all(text: str) -> int:
    """At least one, or -1."""
    return -1 if text.strip() == "-1" else _count(text, "1 or more, or -1 for all")


def _count(text: str, allowed: str) -> int:
    try:
        found = int(text)
    except ValueError:
        found = 0
    if found < 1:
        raise argparse.ArgumentTypeError(f"{text!r}: give {allowed}")
    return found
