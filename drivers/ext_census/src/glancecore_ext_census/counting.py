"""The work: reading an image to its end, under a lease, in a thread of its own."""

from __future__ import annotations

import logging
from contextlib import AbstractContextManager, ExitStack
from datetime import timedelta
from functools import partial

from glancecore.domain import errors
from glancecore.domain.context import Initiator
from glancecore.domain.events import EventName, ExtensionEvent
from glancecore.domain.image import Image
from glancecore.domain.lease import Lease
from glancecore.ports.extension import Held, Kernel
from glancecore.sdk.checkpoints import checkpoint
from glancecore.sdk.workers import Workers
from glancecore_ext_census.counts import Count, Counts

LOG = logging.getLogger(__name__)
OPERATION, EVENT = "census_count", EventName("census.count")


class Counting:
    def __init__(self, kernel: Kernel, counts: Counts, at_once: int, keep: timedelta) -> None:
        self._kernel = kernel
        self._counts = counts
        self._keep = keep
        self.workers = Workers("census", at_once)

    def begin(self, image: Image, initiator: Initiator) -> None:
        """Count it; goes on after this returns. Raises ImageBusy, ServerBusy."""
        self._submit(self._kernel.operations.hold(image, None, OPERATION), initiator)

    def resume(self, lease: Lease) -> None:
        """The process that was at it has died."""
        self._submit(self._kernel.operations.resume(lease), None)

    def _submit(self, holding: AbstractContextManager[Held], initiator: Initiator | None) -> None:
        stack = ExitStack()
        held = stack.enter_context(holding)
        try:
            self.workers.submit(partial(self._run, stack, held, initiator), held.image.owner)
        except BaseException:
            with stack:  # nobody works on it
                raise

    def _run(self, stack: ExitStack, held: Held, initiator: Initiator | None) -> None:
        try:
            with stack:  # whatever happens in it, the image is not stuck
                self._count(held, initiator)
        except errors.GlanceError as exc:
            LOG.info("image %s is not counted: %s", held.image.id, exc)
        except Exception:
            LOG.exception("image %s is not counted", held.image.id)

    def _count(self, held: Held, initiator: Initiator | None) -> None:
        size = zeros = 0
        checkpoint("census.begin")
        self._go_on(held)
        for piece in self._kernel.data.open(held.image):
            self._go_on(held)
            size += len(piece)
            zeros += piece.count(0)
        checkpoint("census.before_finish")
        count = Count(held.image.id, size, zeros, held.image.hash_value)
        saving = self._counts.saving(held.image, count, self._kernel.clock() + self._keep)
        held.finish(
            lambda image: image,
            saving,
            events=lambda image: [ExtensionEvent(EVENT, image.id, count.shown())],
            initiator=initiator,
        )
        checkpoint("census.after_finish")

    def _go_on(self, held: Held) -> None:
        """Raises LeaseLost, Suspended: then another process goes on with it."""
        held.check()
        if self.workers.stopping.is_set():
            raise errors.Suspended("the process ends")
