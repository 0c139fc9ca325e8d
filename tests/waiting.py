"""Waiting in tests: for something to become true, never for a time."""

from __future__ import annotations

from glancecore.testing.waiting import until

__all__ = ["until"]
