"""Who is told of what happens, and asked before it does: the core's own capabilities and extensions alike."""

from __future__ import annotations

import logging
from collections.abc import Callable

from glancecore.domain.context import Context
from glancecore.domain.errors import DatabaseUnavailable
from glancecore.domain.image import Image
from glancecore.domain.lease import Lease
from glancecore.ports.notifier import Notification

LOG = logging.getLogger(__name__)
#: Told that a process has died; see ``Reaper``. False: nobody had given it up, it only waits.
Handler = Callable[[Lease], bool | None]


class Subscriptions:
    """See ``glancecore.ports.extension.Subscriptions``. All subscribe before the first request."""

    def __init__(self) -> None:
        self._committed: list[Callable[[Notification], None]] = []
        self._checks: list[Callable[[Context, Image | None, Image | None], None]] = []
        self._abandoned: dict[str, Handler] = {}
        self._passes: list[Callable[[], None]] = []
        self._removing: list[Callable[[Image], None]] = []
        self._removed: list[Callable[[str], None]] = []

    def committed(self, call: Callable[[Notification], None]) -> None:
        self._committed.append(call)

    def checks_image(self, call: Callable[[Context, Image | None, Image | None], None]) -> None:
        self._checks.append(call)

    def abandoned(self, operation: str, call: Handler) -> None:
        self._abandoned[operation] = call

    def every_pass(self, call: Callable[[], None]) -> None:
        self._passes.append(call)

    # -- for the core's own capabilities alone -----------------------------------------------------
    def removing_upload(self, call: Callable[[Image], None]) -> None:
        """Each image that is deleted during its upload, before its row goes: what waits for the image is removed.
        Raises StoreError."""
        self._removing.append(call)

    def removed(self, call: Callable[[str], None]) -> None:
        """The id of each image whose row has gone, in the process that has removed it. It must not raise."""
        self._removed.append(call)

    # -- for those who tell ------------------------------------------------------------------------
    def tell(self, notification: Notification) -> None:
        for call in self._committed:
            try:
                call(notification)
            except Exception:  # it has happened
                LOG.exception("%s: a subscriber failed", notification.event.type.value)

    def check_image(self, ctx: Context, before: Image | None, after: Image | None) -> None:
        """Raises what a subscriber refuses it with."""
        for call in self._checks:
            call(ctx, before, after)

    def handler(self, operation: str) -> Handler | None:
        return self._abandoned.get(operation)

    def remove_upload(self, image: Image) -> None:
        """Raises StoreError."""
        for call in self._removing:
            call(image)

    def tell_removed(self, image_id: str) -> None:
        for call in self._removed:
            call(image_id)

    def run_pass(self) -> None:
        for call in self._passes:
            try:
                call()
            except DatabaseUnavailable:
                raise
            except Exception:  # the others have their turn
                LOG.exception("something that is done in each pass of the reaper failed")
