"""Which methods of a port may be called again when their answer is lost."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

F = TypeVar("F", bound=Callable[..., Any])
_MARK = "__repeatable__"


def repeatable(method: F) -> F:
    """Twice has the effect of once, and the second answer is as good as the first. What has no such mark is never repeated blindly."""
    setattr(method, _MARK, True)
    return method


def is_repeatable(method: object) -> bool:
    return getattr(method, _MARK, False) is True
