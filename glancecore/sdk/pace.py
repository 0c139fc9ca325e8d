"""How slow the other end of a transfer may be."""

from __future__ import annotations

from dataclasses import dataclass


class TooSlow(TimeoutError):
    """It was silent for too long, or slower than the least rate."""


@dataclass(frozen=True, slots=True)
class PaceLimits:
    """``silence``: seconds in which nothing moves. ``least_rate``: bytes a second, over each ``window`` of seconds."""

    silence: float = 60.0
    least_rate: int = 500
    window: float = 60.0


class Pace:
    """One direction of one transfer. Only time in which we wait for the other end counts: when we are slow, that is not
    its fault."""

    __slots__ = ("_limits", "_moved", "_silent", "_waited")

    def __init__(self, limits: PaceLimits) -> None:
        self._limits = limits
        self._silent = self._waited = 0.0
        self._moved = 0

    def add(self, seconds: float, count: int) -> None:
        """``count`` bytes have moved in ``seconds`` of waiting. Raises TooSlow."""
        limits = self._limits
        self._silent = 0.0 if count else self._silent + seconds
        if self._silent >= limits.silence:
            raise TooSlow(f"nothing for {limits.silence:g} seconds")
        self._waited += seconds
        self._moved += count
        if self._waited >= limits.window:
            if self._moved < limits.least_rate * self._waited:
                raise TooSlow(f"less than {limits.least_rate} bytes a second")
            self._waited, self._moved = 0.0, 0
