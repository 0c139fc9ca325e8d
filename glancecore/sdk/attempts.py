"""Wrong passwords that may be tried, so that nobody is found out by trying and nobody is locked out by somebody else's
trying."""

from __future__ import annotations

import contextlib
import threading
from collections import Counter
from collections.abc import Iterator

from limits import RateLimitItem, RateLimitItemPerMinute
from limits.storage import MemoryStorage
from limits.strategies import MovingWindowRateLimiter

from glancecore.domain import errors

#: How many times the limits of an address, and of a user wherever from, who has tried no wrong one for this user from
#: this address may go beyond.
FRESH = 5


class Attempts:
    """In one process. Thread-safe. What is not answered yet counts as wrong: what comes together is no more than what
    comes one by one.

    ``per_pair``: wrong ones in a minute for one user from one address. ``per_address``: from one address, whoever is
    tried, and for one user, wherever from. Beyond that, only those are let in who have tried nothing wrong for this
    user from this address, up to ``FRESH`` times as many: colleagues behind the same address, whose names nobody tries,
    log in. 0: no limit."""

    def __init__(self, per_pair: int, per_address: int) -> None:
        self._pair = RateLimitItemPerMinute(per_pair) if per_pair else None
        self._most = per_address
        self._wide = RateLimitItemPerMinute(per_address * FRESH) if per_address else None
        # what is fresh is asked also where pairs have no limit
        self._tried = self._pair or RateLimitItemPerMinute(1)
        self._wrong = MovingWindowRateLimiter(MemoryStorage())
        self._lock = threading.Lock()
        self._open: Counter[tuple[str, ...]] = Counter()

    @contextlib.contextmanager
    def one(self, address: str, user: str) -> Iterator[None]:
        """A try. NotAuthenticated inside says that it was a wrong one; else it counts no more. Raises
        TooManyAttempts."""
        pair, wide = ("pair", address, user), (("address", address), ("user", user))
        keys = [pair, *wide]
        with self._lock:
            count = self._count(self._tried, pair)
            most = self._most * (1 if count else FRESH)
            if (self._pair and count >= self._pair.amount) or (
                self._wide and any(self._count(self._wide, x) >= most for x in wide)
            ):
                raise errors.TooManyAttempts("too many wrong passwords; try again in a minute")
            self._open.update(keys)
        wrong = False
        try:
            yield
        except errors.NotAuthenticated:
            wrong = True
            raise
        finally:
            with self._lock:
                self._open.subtract(keys)
                for key in keys:
                    if not self._open[key]:
                        del self._open[key]
                if wrong:
                    self._wrong.hit(self._tried, *pair)
                    if self._wide:
                        for key in wide:
                            self._wrong.hit(self._wide, *key)

    def _count(self, limit: RateLimitItem, key: tuple[str, ...]) -> int:
        """Wrong ones of the last minute, and those under way."""
        return limit.amount - self._wrong.get_window_stats(limit, *key).remaining + self._open[key]
