"""Hands events to the notifiers after the commit that made them true."""

from __future__ import annotations

import logging
from collections.abc import Collection, Sequence

from glancecore.domain.events import Event
from glancecore.ports.notifier import Notifier

LOG = logging.getLogger(__name__)


class Notifications:
    """All configured notifiers. A failing one is logged: the user's operation has happened."""

    def __init__(self, notifiers: Sequence[Notifier], disabled: Collection[str] = ()) -> None:
        self._notifiers = notifiers
        self._disabled = frozenset(disabled)

    def send(self, *events: Event) -> None:
        for event in events:
            if self._off(event.type.value):
                continue
            for notifier in self._notifiers:
                try:
                    notifier.notify(event)
                except Exception:  # whatever a plugin raises
                    LOG.exception("notifier %s failed on %s", type(notifier).__name__, event.type.value)

    def _off(self, name: str) -> bool:
        """``image`` switches off image.create and all others that begin so."""
        parts = name.split(".")
        return any(".".join(parts[:n]) in self._disabled for n in range(1, len(parts) + 1))
