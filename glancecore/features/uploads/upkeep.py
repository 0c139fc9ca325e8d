"""Uploads whose processes have died, whose time is over, whose image goes, or that have ended: they go on, or nothing
is left of them."""

from __future__ import annotations

import contextlib
import logging
import time

from glancecore.domain import errors
from glancecore.domain.clock import now
from glancecore.domain.image import Image
from glancecore.domain.lease import Lease
from glancecore.domain.upload_session import SessionState, UploadSession
from glancecore.features.uploads.finishing import UploadFinishing
from glancecore.features.uploads.joining import Joining
from glancecore.features.uploads.parts import UploadParts
from glancecore.features.uploads.records import UploadRecords, removed
from glancecore.features.uploads.turns import UploadTurns
from glancecore.kernel.operations import Operations
from glancecore.ports.repository import ImageRepository

LOG = logging.getLogger(__name__)
#: Seconds between two looks for sessions that nobody asks about any more.
_SWEEP = 10.0
#: Sessions of one image that have ended and are still told of.
_MOST_ENDED = 20
_EXPIRED = "the upload was not gone on with in time; begin a new one"


class UploadUpkeep:
    def __init__(
        self,
        operations: Operations,
        records: UploadRecords,
        parts: UploadParts,
        turns: UploadTurns,
        joining: Joining,
        finishing: UploadFinishing,
    ) -> None:
        self._operations = operations
        self._images: ImageRepository = operations.repository
        self._records = records
        self._parts = parts
        self._turns = turns
        self._joining = joining
        self._finishing = finishing
        self._swept = time.monotonic()

    def abandoned(self, lease: Lease) -> bool | None:
        """The lease has expired: the process of a request has died, or the session's time is over. Goes on with what
        can go on."""
        session = self._records.at([x.key for x in lease.blobs])
        if session is None:  # its record is gone: the beginning of a deletion, or of nothing
            for ref in lease.blobs:
                self._finishing.stores.discard(ref)
            self._operations.release(lease, _EXPIRED)
            self._operations.leases.forget(lease)
            return None
        turn = self._turns.took_over(session, lease)
        if session.state is SessionState.FAILED or (
            session.expires_at <= now() and self._joining.closed(turn, lambda x: x.expires_at <= now(), _EXPIRED)
        ):
            LOG.info("image %s: its upload of %d bytes has ended", session.image_id, session.offset)
            self._finishing.end(turn, session.last_error or _EXPIRED, told=session.state is SessionState.FAILED)
        elif session.state is SessionState.FINISHING:
            LOG.info("image %s: all of its upload is there; its end goes on", session.image_id)
            self._finishing.submit(turn, None)
        elif session.joined is not None:
            self._joining.go_on(turn)
            return None
        else:
            turn.rest()
            return None
        return False

    def every_pass(self) -> None:
        """Sessions that have ended, and were told of for long enough, are forgotten; of those whose image is active
        nothing is left."""
        if time.monotonic() - self._swept < _SWEEP:
            return
        self._swept = time.monotonic()
        away: set[str] = set()
        for session in self._records.expired(now()):
            if not session.cleaned and (session.staging in away or self._turns.held(session)):
                continue  # who takes the lease over sees it
            try:
                self._swept_out(session)
            except errors.StoreUnavailable as exc:
                LOG.info(
                    "image %s: what its upload has left can't be removed now (%s); it is tried again",
                    session.image_id,
                    exc,
                )
                away.add(session.staging)
            except errors.StoreError as exc:
                LOG.info(
                    "image %s: what its upload has left can't be removed now (%s); it is tried again",
                    session.image_id,
                    exc,
                )

    def forget_oldest(self, image_id: str) -> None:
        """Of the image's sessions that have ended: who begins again and again leaves no more than some."""
        ended = sorted((x for x in self._records.of_image(image_id) if x.cleaned), key=lambda x: x.expires_at)
        for session in ended[: max(0, len(ended) - _MOST_ENDED + 1)]:
            with contextlib.suppress(errors.ConcurrentChange, errors.RecordNotFound):
                self._images.commit(removed(session))

    def _swept_out(self, session: UploadSession) -> None:
        if session.state is SessionState.DONE and not session.cleaned:
            self._finishing.clean(session)
            return
        if not session.cleaned:
            self._parts.discard(session, taken=self._turns.nobodys(session))
        with contextlib.suppress(errors.ConcurrentChange, errors.RecordNotFound):
            self._images.commit(removed(session))

    def deleting(self, image: Image) -> None:
        """The image goes, and what waits for it. Raises StoreError."""
        for session in [self._joining.closed_for_good(x) for x in self._records.uncleaned(image.id)]:
            if session.joined is None:
                self._parts.discard(session)
