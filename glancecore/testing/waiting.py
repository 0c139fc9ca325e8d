"""Waiting in tests: for something to become true, never for a time."""

from __future__ import annotations

import time
from collections.abc import Callable


def until(condition: Callable[[], object], said: object = "", seconds: float = 90) -> None:
    """Wait until ``condition`` is true. ``said``: what the failure says, or makes it."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, said() if callable(said) else said
        time.sleep(0.02)
