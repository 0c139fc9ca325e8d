"""Loading the libraries of the periodic jobs, late and light."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator


@contextlib.contextmanager
def without_eventlet() -> Iterator[None]:
    """Futurist, which tooz uses as well, imports eventlet wherever something else has brought it, and uses nothing of it here: ten
    megabytes in a process that serves, and its warning."""
    absent = "eventlet" not in sys.modules
    if absent:
        sys.modules["eventlet"] = None  # type: ignore[assignment]
    try:
        yield
    finally:
        if absent:
            sys.modules.pop("eventlet", None)
