"""All bytes of an upload are there: they become what it was begun for. Where its store has taken the parts, they are
complete with one step, and are read again only when this process has not seen them all come; else they go the very way
of an upload in one request. Or the upload is given up.

What was acknowledged is not lost: where a store or another service is in the way, it is tried again, by whoever lives,
until the session's time is over. What is wrong with the data ends the session."""

from __future__ import annotations

import contextlib
import logging
import threading
from dataclasses import replace
from datetime import timedelta
from functools import partial

from glancecore.domain import errors
from glancecore.domain.clock import now
from glancecore.domain.image import RECEIVING, Image, Location, Status
from glancecore.domain.quota import Limits
from glancecore.domain.staged import Digests, InspectionVerdict
from glancecore.domain.upload_session import SessionState, UploadSession
from glancecore.features.uploads.aims import Aim, Aims
from glancecore.features.uploads.examinations import Examinations
from glancecore.features.uploads.parts import UploadParts
from glancecore.features.uploads.records import changed, removed
from glancecore.features.uploads.turns import Turn
from glancecore.kernel.operations import Held, Operations
from glancecore.kernel.retrying import on_concurrent_change
from glancecore.kernel.transfer.examination import Judge
from glancecore.kernel.transfer.signatures import SignatureCheck
from glancecore.kernel.transfer.store_facade import StoreFacade
from glancecore.kernel.transfer.stores import Stores
from glancecore.kernel.transfer.uploads import Uploads
from glancecore.ports.quota import Quota
from glancecore.ports.repository import Change, ImageRepository, LeaseEnded, WithinLimits
from glancecore.sdk.checkpoints import checkpoint
from glancecore.sdk.workers import Workers

LOG = logging.getLogger(__name__)
#: Seconds until an image whose making was held up by something is made again.
PAUSE = 30.0
AT_ONCE = 0.1
#: Seconds for which an ended session can still be asked about, at the most.
TOLD_FOR = 3600.0
#: Seconds after which the sweep removes the parts of a session whose image is active, when who made the image has not.
_LEFT_FOR = 60.0


#: What is wrong with the data, or with who sent it: no other try would end otherwise. All else is tried again until the
#: session's time is over.
_FINAL = (
    errors.BadContent,
    errors.SignatureInvalid,
    errors.SizeMismatch,
    errors.TooLarge,
    errors.QuotaExceeded,
    errors.Forbidden,
    errors.WrongStatus,
    errors.Gone,
    errors.ImageNotFound,
)


class Outcome:
    """Of the making of one image. ``error``: why it is not made."""

    def __init__(self) -> None:
        self.known = threading.Event()
        self.error: Exception | None = None

    def wait(self, seconds: float) -> None:
        """Raises what the making has ended with; returns when it has ended well, or not yet."""
        if self.known.wait(seconds) and self.error is not None:
            raise self.error


class UploadFinishing:
    def __init__(
        self,
        operations: Operations,
        uploads: Uploads,
        aims: Aims,
        parts: UploadParts,
        examinations: Examinations,
        stores: Stores,
        quota: Quota,
        workers: Workers,
    ) -> None:
        self._operations = operations
        self._images: ImageRepository = operations.repository
        self._uploads = uploads
        self.aims = aims
        self._parts = parts
        self._examinations = examinations
        self.stores = stores
        self._quota = quota
        self.workers = workers

    # -- the image ---------------------------------------------------------------------------------
    def submit(self, turn: Turn, token: str | None) -> Outcome:
        """Make the image of all parts, soon; the turn is ended by that. ``token``: the caller's, where there is one."""
        outcome = Outcome()
        try:
            self.workers.submit(partial(self._run, turn, token, outcome), turn.session.owner)
        except errors.ServerBusy:
            turn.rest(PAUSE)
            outcome.known.set()
        return outcome

    def _run(self, turn: Turn, token: str | None, outcome: Outcome) -> None:
        try:
            self._finish(turn, token)
        except errors.Suspended:  # another process goes on
            turn.rest(AT_ONCE)
        except (errors.LeaseLost, errors.ImageNotFound, errors.UploadNotFound):
            outcome.error = errors.Gone(
                f"image {turn.session.image_id} was deleted, or its upload was ended, before all of it was stored"
            )
            turn.end()
        except Exception as exc:  # noqa: BLE001 (whatever a driver raises; it is logged there)
            outcome.error = exc
            self._failed(turn, exc)
        finally:
            outcome.known.set()

    def _failed(self, turn: Turn, exc: Exception) -> None:
        """Try again later, or give up."""
        if isinstance(exc, _FINAL):
            try:
                self.end(turn, str(exc))
            except errors.GlanceError as other:
                LOG.warning(
                    "image %s: its upload can't be ended now (%s); the reaper will", turn.session.image_id, other
                )
                turn.rest(PAUSE)
            return
        if isinstance(exc, errors.GlanceError):
            LOG.warning(
                "image %s: all of its upload is there, and it can't be stored now (%s); it is tried again",
                turn.session.image_id,
                exc,
            )
        else:
            LOG.error(
                "image %s: all of its upload is there, and it could not be stored; it is tried again",
                turn.session.image_id,
                exc_info=exc,
            )
        turn.rest(PAUSE)

    def _finish(self, turn: Turn, token: str | None) -> None:
        aim, image = self.aims.of(turn.session), self._images.get_any(turn.session.image_id)
        image.require(aim.status)
        signature = aim.signature(image, token)
        parted = turn.session.handle is not None
        store = (
            self.stores.recorded(turn.session.target)
            if parted
            else aim.target(turn.session.target, turn.session.offset)
        )
        if not parted:
            free = store.free()
            if free is not None and free < turn.session.offset:  # before hours of copying
                raise errors.StoreFull(f"store {store.id} has no room for the image", store.id, "put")
            image = self._attempt(turn, aim, store)
        checkpoint("session.commit_begun")
        limits = aim.within(self._quota.limits(image.owner))
        held = Held(self._operations, image, turn.lease, None)
        held.check = partial(self._go_on, turn)
        location, digests, verdict = self._stored(turn, held, signature, aim.judge(image))
        try:
            checkpoint("session.before_finish")
            self._go_on(turn)
            done = turn.session.ended(SessionState.DONE)
            done = replace(
                done if done.staged else done.emptied(),
                expires_at=now() + timedelta(seconds=_LEFT_FOR if done.staged else TOLD_FOR),
            )
            within = [] if limits == Limits() else [WithinLimits(image.owner, limits)]
            blob = turn.lease.blobs[1]
            held.finish(
                lambda x: aim.made(x, location, blob, digests, verdict),
                changed(turn.session, done),
                *within,
                initiator=turn.session.initiator,
                events=aim.events_made,
            )
        except errors.DatabaseUnavailable:  # nobody knows what was saved: who takes the lease over does
            raise errors.Suspended("the database did not answer") from None
        except BaseException:
            if not parted:  # else whoever goes on makes the image of the same blob, or the lease names it
                self._discard(store, location, image)
            raise
        checkpoint("session.after_finish")
        turn.session = replace(done, version=turn.session.version + 1)
        turn.end()
        if done.cleaned:
            return
        try:
            self.clean(turn.session)
        except errors.StoreError as exc:
            LOG.warning(
                "image %s: what its upload has left in the staging store can't be removed now (%s); it is tried again",
                image.id,
                exc,
            )
        except errors.DatabaseUnavailable as exc:
            LOG.info("image %s: that nothing is left of its upload can't be noted now (%s)", image.id, exc)
        checkpoint("session.parts_gone")

    def _stored(
        self, turn: Turn, held: Held, signature: SignatureCheck | None, judge: Judge
    ) -> tuple[Location, Digests, InspectionVerdict | None]:
        session = turn.session
        if session.handle is None:
            location, digests = self._uploads.transfer(
                held, turn.lease.blobs[1], self._parts.open(session), session.offset, signature, judge
            )
            return location, digests, judge.verdict
        found: tuple[Digests, InspectionVerdict | None] | None = None
        examination = self._examinations.take(session)
        if examination is not None and (signature is None or signature.algorithm in examination.algorithms):
            found = self._uploads.judged(examination, signature), examination.verdict
        if session.waiting:
            if not session.ends:
                turn.save(replace(session, ends=True) if turn.unwritten else session.ending())
            turn.unwritten = False
            after = self._parts.end(turn.session)
            checkpoint("session.end_stored")
            turn.save(after)
            checkpoint("session.ended")
        location = self._parts.complete(turn.session)
        checkpoint("session.completed")
        if found is None:
            found = self._uploads.read(held, location, session.offset, signature, judge), judge.verdict
        return location, *found

    def clean(self, done: UploadSession) -> None:
        """Remove what is left of a session whose image is active. Raises StoreError, DatabaseUnavailable."""
        self._parts.discard(done)
        with contextlib.suppress(errors.ConcurrentChange, errors.RecordNotFound):  # somebody else has
            self._images.commit(
                changed(done, replace(done.emptied(), expires_at=now() + timedelta(seconds=TOLD_FOR))),
                *map(removed, self._parts.partials(done)),
            )

    def _go_on(self, turn: Turn) -> None:
        """Raises LeaseLost, Suspended."""
        turn.check()
        if self.workers.stopping.is_set():
            raise errors.Suspended("the process ends")

    @on_concurrent_change
    def _attempt(self, turn: Turn, aim: Aim, store: StoreFacade) -> Image:
        """The image when the lease names a blob that nobody has written to, before the first byte; what dead attempts
        have left is gone."""
        place, *left = turn.lease.blobs
        for ref in left:
            self.stores.discard(ref)
        image = self._images.get_any(turn.session.image_id)
        saved = self._operations.writer.image(image, replace(image, attempt=image.attempt + 1), touched=False)
        turn.save(turn.session, saved, blobs=(place, aim.blob(saved.after, store)))
        return saved.after

    def _discard(self, store: StoreFacade, location: Location, image: Image) -> None:
        """What was stored and did not become the image's."""
        try:
            found = self._images.get_any(image.id)
            if location.url not in {
                *(x.url for x in found.locations),
                found.staged.url if found.staged is not None else "",
            }:
                store.delete(location.url)
        except errors.ImageNotFound:
            store.delete(location.url)
        except errors.GlanceError as exc:
            LOG.warning("image %s: what was stored for it can't be removed now (%s); its lease names it", image.id, exc)

    # -- the end without an image ------------------------------------------------------------------
    def end(self, turn: Turn, last_error: str | None, *, told: bool = True) -> None:
        """Nothing stays of the upload, and the image is queued again, with ``last_error`` as the reason. ``told``: who
        asks for the session learns it for a while. Raises StoreError, DatabaseUnavailable: the lease is still held."""
        session = turn.session
        if session.live:
            until = min(session.expires_at, now() + timedelta(seconds=TOLD_FOR)) if told else session.expires_at
            checkpoint("session.before_end")
            self._ended(turn, replace(session.ended(SessionState.FAILED, last_error), expires_at=until))
        self._parts.discard(turn.session)
        for ref in turn.lease.blobs[1:]:
            self.stores.discard(ref)
        checkpoint("session.end_bytes_gone")
        self._queued_again(turn, told=told)
        turn.end()
        checkpoint("session.after_end")

    @on_concurrent_change
    def _ended(self, turn: Turn, after: UploadSession) -> None:
        """No request goes on with it, or with what it was to be joined of."""
        turn.save(
            after,
            *(
                changed(x, x.ended(SessionState.FAILED, after.last_error))
                for x in self._parts.partials(turn.session)
                if x.live
            ),
        )

    @on_concurrent_change
    def _queued_again(self, turn: Turn, *, told: bool) -> None:
        image = self._images.get_any(turn.session.image_id)
        changes: list[Change] = [changed(turn.session, turn.session.emptied()) if told else removed(turn.session)]
        changes += map(removed, self._parts.partials(turn.session))
        if image.status in RECEIVING:
            changes.append(self._operations.writer.image(image, image.give_up(Status.QUEUED, turn.session.last_error)))
        self._operations.writer.save(*changes, LeaseEnded(turn.lease))
