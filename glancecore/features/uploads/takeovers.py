"""How often a project takes uploads over from its own requests that have not ended."""

from __future__ import annotations

from limits import RateLimitItemPerMinute
from limits.storage import MemoryStorage
from limits.strategies import MovingWindowRateLimiter

from glancecore.domain import errors

#: Each may cost the store something that others pay as well, such as an entry of Ceph's blocklist. In one process.
MOST = RateLimitItemPerMinute(100, 10)


class Takeovers:
    def __init__(self) -> None:
        self._seen = MovingWindowRateLimiter(MemoryStorage())

    def note(self, project: str | None) -> None:
        """One more. Raises ServerBusy: clients of tus try again after a 503, and not after a 429."""
        if not self._seen.hit(MOST, project or ""):
            raise errors.ServerBusy(
                "your project has begun too many uploads anew while older requests still went on with them; end those,"
                " or try again in a minute"
            )
