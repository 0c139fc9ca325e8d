"""Reading, deciding and committing again when somebody else's commit came between."""

from __future__ import annotations

import functools
import random
import time
from collections.abc import Callable
from typing import ParamSpec, TypeVar

from glancecore.domain import errors

P = ParamSpec("P")
T = TypeVar("T")
#: Then the last ConcurrentChange reaches the caller: 409, and he may try again.
_ATTEMPTS = 40


class Stale(errors.ConcurrentChange):
    """The caller's own expectation is not what is there: nothing is tried again."""


def again(call: Callable[P, T]) -> Callable[P, T]:
    """``call`` reads what it changes; it is made again when its commit finds that changed."""

    @functools.wraps(call)
    def run(*args: P.args, **named: P.kwargs) -> T:
        for left in reversed(range(_ATTEMPTS)):
            try:
                return call(*args, **named)
            except Stale:
                raise
            except (errors.ConcurrentChange, errors.RecordExists):
                if not left:
                    raise
                time.sleep(random.uniform(0, 0.03))  # noqa: S311 (no secret)
        raise AssertionError("the last attempt returns or raises")

    return run
