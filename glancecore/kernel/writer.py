"""Saves changes together with the events that tell of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, Protocol

from glancecore.domain.context import Initiator
from glancecore.domain.events import Event
from glancecore.domain.image import Image
from glancecore.kernel.notifications import Notifications
from glancecore.ports.repository import ImageChanged


class Committing(Protocol):
    """A repository whose ``commit`` applies all changes or none."""

    def commit(self, *changes: Any) -> None: ...


class Writer:
    """The events of a change are true or untold: those for durable notifiers are in its commit, and the others are sent
    when it has succeeded."""

    def __init__(self, repository: Committing, notifications: Notifications) -> None:
        self._repository = repository
        self._notifications = notifications

    def save(self, *changes: object, events: Sequence[Event] = (), initiator: Initiator | None = None) -> None:
        """Commit all ``changes`` or none, then tell of ``events``, which are as they will be true. ``initiator``: who
        did it, when it is not who this thread works for. Raises what the changes say."""
        pending = self._notifications.prepare(*events, initiator=initiator)
        self._repository.commit(*changes, *pending.changes)
        pending.send()

    @staticmethod
    def image(before: Image, after: Image, *, touched: bool = True) -> ImageChanged:
        """The change that makes ``after`` the next version of ``before``. ``touched``: clients see that it was updated
        now."""
        made = replace(after, version=before.version + 1)
        return ImageChanged(before, replace(made, updated_at=datetime.now(UTC)) if touched else made)
