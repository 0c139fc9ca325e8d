"""Which jobs somebody wants to be run beside their intervals."""

from __future__ import annotations

import threading


class RunRequests:
    """Jobs that somebody wants to be run: once, by a run that begins after the last wish."""

    def __init__(self) -> None:
        self._changing = threading.Lock()
        self._names: set[str] = set()
        self._busy: set[str] = set()

    def add(self, name: str) -> bool:
        """Whether the caller must see to it; else somebody does already."""
        with self._changing:
            self._names.add(name)
            mine = name not in self._busy
            self._busy.add(name)
            return mine

    def begin(self, name: str) -> None:
        """A run begins that serves all wishes so far."""
        with self._changing:
            self._names.discard(name)

    def more(self, name: str) -> bool:
        """Whether there are wishes since; when not, the next one's caller must see to it."""
        with self._changing:
            if name not in self._names:
                self._busy.discard(name)
            return name in self._names
