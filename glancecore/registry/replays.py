"""Which calls a process of the registry has seen: none is carried out twice.

Callers number their calls. As with IPsec's sliding window, of each caller the highest number is kept and which of those
shortly below it have been seen: a few bytes each, however many calls there are."""

from __future__ import annotations

import os
import secrets
import threading
import time
import weakref
from collections.abc import Callable
from dataclasses import dataclass

from glancecore.sdk.registry import signing as proof

#: How far below a caller's highest number another may come late.
WINDOW = 4096
_MASK = (1 << WINDOW) - 1
#: Seconds after which nothing that a caller has sent before is young enough.
_FORGET = 2 * proof.LEEWAY


@dataclass(slots=True)
class _Caller:
    highest: int
    #: Bit n: the call ``highest - n`` was seen.
    seen: int
    last: float


class Replays:
    """Thread-safe. A forked process is another instance, which has seen nothing."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._begin()
        forked = weakref.WeakMethod(self._begin)
        os.register_at_fork(after_in_child=lambda: (call := forked()) is not None and call())

    def _begin(self) -> None:
        """Also in a child, before anything else runs there: another thread of the parent may have had the lock."""
        self._lock = threading.Lock()
        #: Names this process for as long as it remembers.
        self.instance = secrets.token_hex(8)
        self._callers: dict[str, _Caller] = {}
        self._swept = self._clock()

    def first(self, caller: str, number: int) -> bool:
        """Whether the call was never seen, as far as can be told; from now on it was."""
        now = self._clock()
        with self._lock:
            self._sweep(now)
            known = self._callers.get(caller)
            if known is None:
                self._callers[caller] = _Caller(number, 1, now)
                return True
            known.last = now
            ahead = number - known.highest
            if ahead > 0:
                known.seen = (known.seen << ahead | 1) & _MASK if ahead < WINDOW else 1
                known.highest = number
                return True
            bit = 1 << -ahead if -ahead < WINDOW else 0
            if not bit or known.seen & bit:
                return False
            known.seen |= bit
            return True

    def _sweep(self, now: float) -> None:
        if now - self._swept > _FORGET:
            self._swept = now
            self._callers = {name: x for name, x in self._callers.items() if now - x.last <= _FORGET}
