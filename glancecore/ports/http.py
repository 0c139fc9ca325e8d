"""What the server is told of a request before a thread is spent on it."""

from __future__ import annotations

import enum


class Lane(enum.StrEnum):
    """The threads that a request gets. Those of one lane can't take those of another."""

    #: Health, readiness, metrics.
    PROBE = "probe"
    #: Metadata: ends in milliseconds.
    QUICK = "quick"
    #: Moves image data, or waits for a store or a name server.
    TRANSFER = "transfer"
