"""The work: reading an image to its end, under a lease, in a thread of its own."""

from __future__ import annotations

import logging
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from datetime import timedelta

from glancecore.domain import errors
from glancecore.domain.events import EventName, ExtensionEvent, Initiator
from glancecore.domain.image import Image
from glancecore.domain.lease import Lease
from glancecore.ports.extension import Held, Kernel
from glancecore.sdk.checkpoints import checkpoint
from glancecore_ext_census.counts import Count, Counts

LOG = logging.getLogger(__name__)
OPERATION, EVENT = "census_count", EventName("census.count")


class Counting:
    """``start`` and ``stop``: see ``glancecore.ports.extension.Background``."""

    def __init__(self, kernel: Kernel, counts: Counts, at_once: int, keep: timedelta) -> None:
        self._kernel = kernel
        self._counts = counts
        self._keep = keep
        self._at_once = at_once
        self._pool: ThreadPoolExecutor | None = None
        self._lock = threading.Lock()
        self._stopping = threading.Event()

    def start(self) -> None:
        """Its threads begin with the first work."""

    def stop(self) -> None:
        self._stopping.set()
        if self._pool is not None:
            self._pool.shutdown(cancel_futures=True)

    def begin(self, image: Image, initiator: Initiator) -> None:
        """Count it; goes on after this returns. Raises ImageBusy."""
        stack = ExitStack()
        self._submit(stack, stack.enter_context(self._kernel.operations.hold(image, None, OPERATION)), initiator)

    def resume(self, lease: Lease) -> None:
        """The process that was at it has died."""
        stack = ExitStack()
        self._submit(stack, stack.enter_context(self._kernel.operations.resume(lease)), None)

    def _submit(self, stack: ExitStack, held: Held, initiator: Initiator | None) -> None:
        with self._lock:
            if self._pool is None:
                self._pool = ThreadPoolExecutor(self._at_once, "census")
        self._pool.submit(self._run, stack, held, initiator)

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
        for piece in self._kernel.data.open(held.image):
            held.check()
            if self._stopping.is_set():
                raise errors.Suspended("the process ends")
            size += len(piece)
            zeros += piece.count(0)
        checkpoint("census.before_finish")
        count = Count(held.image.id, size, zeros, held.image.hash_value)
        saving = self._counts.saving(held.image, count, self._kernel.clock() + self._keep)
        held.finish(lambda image: image, saving, events=lambda image: [ExtensionEvent(EVENT, image.id, count.shown())], initiator=initiator)
        checkpoint("census.after_finish")
