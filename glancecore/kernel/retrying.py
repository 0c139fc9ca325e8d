"""Doing a read-decide-commit again when somebody else's commit came between."""

from __future__ import annotations

import tenacity

from glancecore.domain.errors import ConcurrentChange

#: Bounded: under heavy contention on one image the last ConcurrentChange reaches the caller (409, retryable).
on_concurrent_change = tenacity.retry(
    retry=tenacity.retry_if_exception_type(ConcurrentChange),
    stop=tenacity.stop_after_attempt(30),
    wait=tenacity.wait_random(0, 0.02),
    reraise=True,
)
