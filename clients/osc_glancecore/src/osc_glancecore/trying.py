"""Asking again, for as long as there is hope."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable
from typing import Any, TypeVar

import requests
import tenacity
from keystoneauth1 import exceptions as keystone

from osc_glancecore.service import ServiceError

_T = TypeVar("_T")
#: Answers that may be others the next time: too many requests, and servers and proxies that are not well.
_PASSING = frozenset({408, 423, 429, 500, 502, 503, 504})
#: Seconds between two attempts, at most.
_LONGEST = 30.0
#: Connections that were not made, or have broken off.
BROKEN = (
    keystone.ConnectionError,
    keystone.RetriableConnectionFailure,
    requests.RequestException,
    ConnectionError,
    TimeoutError,
)


def passing(error: BaseException) -> bool:
    return isinstance(error, BROKEN) or (isinstance(error, ServiceError) and error.status in _PASSING)


def _wait(state: tenacity.RetryCallState) -> float:
    error = state.outcome.exception() if state.outcome else None
    grown: float = tenacity.wait_random_exponential(multiplier=0.5, max=_LONGEST)(state)
    return max(grown, getattr(error, "retry_after", None) or 0.0)


def _say(state: tenacity.RetryCallState) -> None:
    error = state.outcome.exception() if state.outcome else None
    print(f"{error}; trying again in {state.next_action.sleep if state.next_action else 0:.0f} s", file=sys.stderr)


def again(call: Callable[..., _T], *args: Any, patience: float, **more: Any) -> _T:
    """What ``call`` gives, called again after a failure that may pass, for ``patience`` seconds. Raises the last
    failure, and one that does not pass at once."""
    return tenacity.Retrying(
        retry=tenacity.retry_if_exception(passing),
        stop=tenacity.stop_after_delay(patience),
        wait=_wait,
        before_sleep=_say,
        reraise=True,
    )(call, *args, **more)


class Patience:
    """How long nothing may go on. ``stopped``: whoever waits is to end."""

    def __init__(self, seconds: float, stopped: threading.Event | None = None) -> None:
        self._seconds = seconds
        self._stopped = stopped or threading.Event()
        self._moved = time.monotonic()

    def moved(self) -> None:
        """Something has gone on."""
        self._moved = time.monotonic()

    def rest(self, failure: Exception) -> None:
        """A moment before it is tried again. Raises ``failure`` when nothing has gone on for too long, or somebody is
        to end."""
        stood = time.monotonic() - self._moved
        if stood > self._seconds or self._stopped.wait(
            min(_LONGEST, max(0.5, stood / 4, getattr(failure, "retry_after", None) or 0.0))
        ):
            raise failure
