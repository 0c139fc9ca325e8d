"""Logins that one address may try."""

from __future__ import annotations

import contextlib
import threading
from collections import Counter
from collections.abc import Iterator, Sequence

from limits import RateLimitItem
from limits.storage import MemoryStorage
from limits.strategies import MovingWindowRateLimiter

from glancecore.domain import errors


class Attempts:
    """Counts wrong ones, and those that nobody has answered yet: what comes together is no more than what comes one by one. Thread-safe."""

    def __init__(self) -> None:
        self._wrong = MovingWindowRateLimiter(MemoryStorage())
        self._lock = threading.Lock()
        self._open: Counter[str] = Counter()

    @contextlib.contextmanager
    def one(self, limits: Sequence[tuple[RateLimitItem, Sequence[str]]]) -> Iterator[None]:
        """``limits``: each with whom it counts for. NotAuthenticated inside says that it was a wrong one; else it counts no more. Raises TooManyAttempts."""
        keys = [limit.key_for(*whom) for limit, whom in limits]
        with self._lock:
            if not all(self._wrong.test(limit, *whom, cost=self._open[key] + 1) for (limit, whom), key in zip(limits, keys, strict=True)):
                raise errors.TooManyAttempts("too many wrong logins; try again in a minute")
            self._open.update(keys)
        wrong = False
        try:
            yield
        except errors.NotAuthenticated:
            wrong = True
            raise
        finally:
            with self._lock:
                for (limit, whom), key in zip(limits, keys, strict=True):
                    self._open[key] -= 1
                    if not self._open[key]:
                        del self._open[key]
                    if wrong:
                        self._wrong.hit(limit, *whom)
