"""Loading libraries late and light."""

from __future__ import annotations

import contextlib
import logging
import sys
import threading
import warnings
from collections.abc import Iterator

#: Two at once would take the other's mark for a module, or away while it is needed.
_ONE = threading.RLock()


@contextlib.contextmanager
def without_eventlet() -> Iterator[None]:
    """TaskFlow, tooz and the futurist of both import eventlet wherever something else has brought it, and use nothing
    of it here: ten megabytes in a process that serves, its warning, and a second copy of ``threading``, which takes the
    thread that loads it for its main thread: nobody could ever wait for that one's end."""
    with _without("eventlet"):
        yield


@contextlib.contextmanager
def without_opentelemetry() -> Iterator[None]:
    """oslo.middleware imports it wherever it is installed, and uses nothing of it here: who has traces switched off
    shall not pay for them."""
    with _without("opentelemetry"):
        yield


@contextlib.contextmanager
def _without(name: str) -> Iterator[None]:
    with _ONE:
        absent = name not in sys.modules
        if absent:
            sys.modules[name] = None  # type: ignore[assignment]
        try:
            yield
        finally:
            if absent:
                sys.modules.pop(name, None)


def quiet_taskflow() -> None:
    """It imports a module of oslo.utils that warns of its own end, and tries eventlet, which warns of its own, where
    that is installed."""
    for text in ("eventletutils module is deprecated", r"\s*Eventlet is deprecated"):
        warnings.filterwarnings("ignore", text, Warning)
    logging.getLogger("alembic.runtime.plugins").setLevel(logging.WARNING)  # it tells of each of its parts
