"""This process's holdings: taking an image for an operation, and saying that we live while it runs."""

from __future__ import annotations

import logging
import os
import socket
import threading
import uuid
from collections.abc import Callable
from dataclasses import replace

from glancecore.domain import errors
from glancecore.domain.image import Image, Status
from glancecore.domain.lease import BlobRef, Lease
from glancecore.ports.repository import ImageRepository, LeaseTaken

LOG = logging.getLogger(__name__)


class Leases:
    """One per process. The heartbeat thread starts with the first lease and runs while there is one."""

    def __init__(self, images: ImageRepository, ttl: float) -> None:
        self._images = images
        self.ttl = ttl
        self.holder = f"{socket.gethostname()}:{os.getpid()}:{uuid.uuid4().hex[:12]}"
        self._mine: dict[str, bool] = {}  # token -> still ours
        self._lock = threading.Lock()
        self._wake = threading.Event()
        self._thread: threading.Thread | None = None
        self._seen: frozenset[str] = frozenset()
        #: Operations that ended since the last heartbeat.
        self._over: dict[str, Lease] = {}

    def new(
        self, image: Image, operation: str, stable: Status, *, blobs: tuple[BlobRef, ...] = (), reserved: int = 0
    ) -> Lease:
        """A lease of this process; give ``taken`` to the commit that begins the operation."""
        return Lease(image.id, operation, self.holder, stable, image.owner, blobs, reserved)

    def taken(self, lease: Lease, replacing: str | None = None) -> LeaseTaken:
        """The change that takes it. From here on the heartbeat extends it, until ``forget``."""
        with self._lock:
            self._mine[lease.token] = True
            if self._thread is None:
                self._thread = threading.Thread(target=self._beat, name="lease-heartbeat", daemon=True)
                self._thread.start()
        return LeaseTaken(lease, self.ttl, replacing)

    def forget(self, lease: Lease) -> None:
        """The operation is over, well or badly. A lease that could not be ended expires."""
        with self._lock:
            self._mine.pop(lease.token, None)
            if self._thread is not None:
                self._over[lease.token] = lease

    def check(self, lease: Lease) -> Callable[[], None]:
        """A function that raises LeaseLost once somebody else has taken the lease over; cheap enough for every
        piece."""
        mine, token, image_id = self._mine, lease.token, lease.image_id

        def check() -> None:
            if not mine.get(token, False):
                raise errors.LeaseLost(f"image {image_id} was taken over by another operation")

        return check

    def _beat(self) -> None:
        while True:
            self._wake.wait(self.ttl / 3)
            with self._lock:
                known, over = set(self._mine), self._over
                self._over = {}
                if not known:
                    self._thread = None
                    return
            try:
                held = self._images.extend(self.holder, self.ttl)
            except Exception as exc:  # whatever a driver raises: without us all leases would expire
                LOG.warning(
                    "the leases of %d operations can't be extended now: %s",
                    len(known),
                    exc,
                    exc_info=not isinstance(exc, errors.GlanceError),
                )
                with self._lock:
                    self._over = over | self._over
                continue
            for token in over.keys() & held:
                self._leave(over[token])
            with self._lock:
                for token in known - held:
                    # a lease that was taken but not yet committed, or is just ending, is not stored either: its own
                    # commit decides; only one that has been seen in the database can be lost
                    if token in self._seen and token in self._mine:
                        self._mine[token] = False
                self._seen = held

    def _leave(self, lease: Lease) -> None:
        """The heartbeat extends all that this process holds: what nobody works on any more must not be held by it."""
        try:
            stored = self._images.lease(lease.image_id)
            if stored is not None and stored.token == lease.token:
                left = replace(stored, holder=f"{self.holder}:left", token=uuid.uuid4().hex)
                self._images.commit(LeaseTaken(left, self.ttl, stored.token))
        except errors.LeaseLost:
            pass
        except errors.GlanceError as exc:
            LOG.warning("image %s: the lease of an operation that is over can't be left now: %s", lease.image_id, exc)
            with self._lock:
                self._over[lease.token] = lease
