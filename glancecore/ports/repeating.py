"""What is known of the methods of a port: which only read, and which may be called again when their answer is lost."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

F = TypeVar("F", bound=Callable[..., Any])
_REPEATABLE, _READS = "__repeatable__", "__reads__"


def reads(method: F) -> F:
    """It changes nothing, so it may be called again."""
    setattr(method, _READS, True)
    return repeatable(method)


def repeatable(method: F) -> F:
    """Twice has the effect of once, and the second answer is as good as the first. What has no such mark is never
    repeated blindly."""
    setattr(method, _REPEATABLE, True)
    return method


def only_reads(method: object) -> bool:
    return getattr(method, _READS, False) is True


def is_repeatable(method: object) -> bool:
    return getattr(method, _REPEATABLE, False) is True
