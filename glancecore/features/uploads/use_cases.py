"""Uploads in pieces: the use case behind every dialect of them. See ``glancecore.ports.extension.UploadSessions``.

The image is saving (uploading, when its data is staged) from the beginning to the end, as in an upload in one request,
held by a lease that names where the parts lie and what is reserved. Only what is durable is acknowledged. Any process
of the deployment serves any request of a session: its state is a record, its parts are where each process reaches them.
"""

from __future__ import annotations

import contextlib
import logging
import secrets
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from glancecore.domain import errors
from glancecore.domain.clock import now
from glancecore.domain.context import Context
from glancecore.domain.image import RECEIVING, Image, Status
from glancecore.domain.upload_session import PieceDigest, SessionState, UploadSession
from glancecore.features.uploads.allowance import UploadAllowance
from glancecore.features.uploads.finishing import UploadFinishing
from glancecore.features.uploads.joining import Joining
from glancecore.features.uploads.limits import UploadLimits
from glancecore.features.uploads.receiving import Receiving
from glancecore.features.uploads.records import UploadRecords, added, removed
from glancecore.features.uploads.turns import Turn, UploadTurns
from glancecore.features.uploads.upkeep import UploadUpkeep
from glancecore.kernel.operations import Operations
from glancecore.policies.authorizer import Authorizer
from glancecore.ports.quota import Quota
from glancecore.ports.repository import ImageRepository, WithinLimits
from glancecore.ports.store import Cap
from glancecore.sdk.checkpoints import checkpoint

LOG = logging.getLogger(__name__)
#: Seconds for which a request begins again when others come between, and those before each time.
_BUSY_TIMEOUT, _PAUSE = 10.0, 0.05


class UploadSessions:
    def __init__(
        self,
        operations: Operations,
        authorizer: Authorizer,
        quota: Quota,
        records: UploadRecords,
        receiving: Receiving,
        finishing: UploadFinishing,
        limits: UploadLimits,
    ) -> None:
        self._operations = operations
        self._images: ImageRepository = operations.repository
        self._policy = authorizer
        self._allowance = UploadAllowance(quota, records, limits.per_project)
        self._records = records
        self._parts = receiving.parts
        self._receiving = receiving
        self._finishing = finishing
        self._limits = limits
        self._turns = UploadTurns(self._images, records, operations.leases)
        self._joining = Joining(self._turns, records, receiving.parts, finishing, self._allowance, self._until)
        #: What looks after sessions beside requests.
        self.upkeep = UploadUpkeep(operations, records, receiving.parts, self._turns, self._joining, finishing)

    @property
    def largest(self) -> int:
        """Bytes that an image may have."""
        return self._limits.cap

    # -- what a user asks for ----------------------------------------------------------------------
    def begin(
        self,
        ctx: Context,
        image_id: str,
        length: int | None = None,
        *,
        store: str | None = None,
        note: Mapping[str, str] | None = None,
        partial: bool = False,
        stage: bool = False,
    ) -> UploadSession:
        """See ``ports.extension.UploadSessions``."""
        if partial and stage:
            raise ValueError("what is staged is not joined of partial uploads")
        image, aim = self._writable(ctx, image_id), self._finishing.aims.choose(to_stage=stage)
        if partial:
            self._limits.check_partial(length)
        image = self._without_empty(image, but_joint=partial)
        if partial:
            found = self._joining.begun(image, length or 0, note, ctx.initiator, self._limits.cap)
            if found is not None:
                return found
            # a joint session may have ended, or begun, just now
            seen, image = image, self._images.get(image_id, ctx.viewer)
            if image.status is Status.SAVING and image.version != seen.version:
                return self.begin(ctx, image_id, length, store=store, note=note, partial=True)
        image.require(Status.QUEUED)
        image.require_formats()
        self.upkeep.forget_oldest(image_id)
        target = aim.target(store, length)
        begun = aim.begun(image, ctx.token)
        self._allowance.check_number(image.owner, 1)
        within = self._allowance.at_beginning(image.owner)
        session = UploadSession(
            secrets.token_urlsafe(32),
            image_id,
            image.owner,
            secrets.token_hex(8),
            target.id,
            self._parts.store.id,
            self._until(),
            length=length,
            note={} if partial else dict(note or {}),
            initiator=ctx.initiator,
            joined=() if partial else None,
            key=aim.blob(begun, target).key if target.offers(Cap.PARTS) and not partial else None,
            to_stage=stage,
        )
        told = self._joining.partial(session, length or 0, note, ctx.initiator) if partial else session
        saved = self._operations.writer.image(image, begun)
        checkpoint("session.before_begin")
        try:
            self._operations.writer.save(
                saved,
                self._turns.first(session, length or 0),
                *map(added, {session.id: session, told.id: told}.values()),
                *within,
                events=aim.events_begun(saved.after, target),
            )
        except errors.ConcurrentChange as exc:
            if partial:  # another first one was faster
                return self.begin(ctx, image_id, length, store=store, note=note, partial=True)
            raise errors.WrongStatus(f"image {image.id} has changed meanwhile; look at its status") from exc
        checkpoint("session.after_begin")
        try:
            self._allowance.check_number(image.owner, 0)
        except errors.LimitExceeded:  # another one was begun at the same time
            with contextlib.suppress(errors.ConcurrentChange, errors.LeaseLost, errors.Gone):
                self._end(self._turns.take(session, session))
            raise
        return told

    def join(
        self,
        ctx: Context,
        image_id: str,
        partials: Sequence[str],
        *,
        store: str | None = None,
        note: Mapping[str, str] | None = None,
    ) -> UploadSession:
        """See ``ports.extension.UploadSessions``."""
        joined = self._joining.join(self._writable(ctx, image_id), partials, store, note)
        if isinstance(joined, UploadSession):
            return self._nothing_more(ctx, joined, joined.offset, 0)
        return self._finished(ctx, joined)

    def show(self, ctx: Context, image_id: str, session_id: str, *, settle: bool = True) -> UploadSession:
        """See ``ports.extension.UploadSessions``."""
        session, _ = self._asked(ctx, image_id, session_id)
        return self._turns.settled(session, self._turns.token(session)) if settle else session

    def of_image(self, ctx: Context, image_id: str) -> list[UploadSession]:
        """See ``ports.extension.UploadSessions``."""
        image = self._writable(ctx, image_id)
        return [x for x in self._records.of_image(image_id) if x.owner == image.owner and x.joined != ()]

    def append(
        self,
        ctx: Context,
        image_id: str,
        session_id: str,
        offset: int,
        pieces: Iterable[bytes],
        *,
        size: int | None = None,
        length: int | None = None,
        last: bool = False,
        digest: PieceDigest | None = None,
    ) -> UploadSession:
        """See ``ports.extension.UploadSessions``."""
        session, image = self._asked(ctx, image_id, session_id)
        if session.joined is not None:
            raise errors.Forbidden("a final upload is joined of others, and takes no bytes itself")

        def receive(turn: Turn) -> Exception | None:
            room = self._allowance.reservation(image.owner, turn)
            return self._receiving.receive(turn, image, () if size == 0 else pieces, size, digest, self._grown, room)

        arrived = self._turns.token(session)
        for _ in _again():
            session = self._turns.settled(session, arrived)
            if session.state is not SessionState.OPEN:
                return self._nothing_more(ctx, session, offset, size)
            if offset != session.offset:
                raise errors.OffsetMismatch(
                    f"the upload goes on at byte {session.offset}, not at {offset}", session.offset
                )
            told = session if length is None else session.of_length(length)
            self._limits.check(told, size)
            try:
                turn = self._take(image, session, told if size == 0 else told.claimed())
                turn.unwritten = size != 0
            except (errors.ConcurrentChange, errors.LeaseLost):
                continue
            except errors.RecordNotFound as exc:
                raise errors.UploadNotFound("no such upload: it has ended, or was never begun") from exc
            return self._received(ctx, turn, receive, last=last)
        raise errors.ImageBusy(f"too many requests for the upload to image {image_id} at once; try again")

    def terminate(self, ctx: Context, image_id: str, session_id: str) -> None:
        """See ``ports.extension.UploadSessions``."""
        session, _ = self._asked(ctx, image_id, session_id)
        if session.partial:
            with contextlib.suppress(errors.RecordNotFound, errors.UploadNotFound):  # it is gone already
                self._joining.remove(session)
            return
        for _ in _again():
            session = self._turns.settled(session)
            try:
                if not session.live and not self._turns.held(session):
                    if not session.cleaned:
                        self._parts.discard(session)
                    self._images.commit(removed(session))
                    return
                turn = self._turns.take(session, session)
            except (errors.ConcurrentChange, errors.LeaseLost):
                continue
            except errors.RecordNotFound:
                return
            self._end(turn)
            return
        raise errors.ImageBusy(f"too many requests for the upload to image {image_id} at once; try again")

    # -- inside ------------------------------------------------------------------------------------
    def _writable(self, ctx: Context, image_id: str) -> Image:
        """The image, for who may upload to it. Raises ImageNotFound, Forbidden."""
        image = self._images.get(image_id, ctx.viewer)
        self._policy.authorize(ctx, "get_image", image)
        self._policy.authorize(ctx, "upload_image", image)
        return image

    def _until(self) -> datetime:
        return now() + timedelta(seconds=self._limits.keep_for)

    def _without_empty(self, image: Image, *, but_joint: bool) -> Image:
        """Without a session that has got nothing: whoever began it may not have been told its id. ``but_joint``: a
        joint one stays."""
        for session in self._records.uncleaned(image.id) if image.status in RECEIVING else ():
            if (
                session.state is not SessionState.OPEN
                or session.offset
                or session.partial
                or (but_joint and session.joined is not None)
            ):
                continue
            if self._turns.rests(session) and self._joining.empty(session):
                with contextlib.suppress(errors.ConcurrentChange, errors.LeaseLost):
                    turn = self._joining.taken_empty(session)
                    if turn is not None:
                        self._end(turn)
        return self._images.get_any(image.id) if image.status in RECEIVING else image

    def _end(self, turn: Turn) -> None:
        """As if it had never been. Raises StoreError and others: then the reaper goes on with it."""
        try:
            self._finishing.end(turn, None, told=False)
        except BaseException:
            turn.rest(_PAUSE)
            raise

    def _asked(self, ctx: Context, image_id: str, session_id: str) -> tuple[UploadSession, Image]:
        """The session and its image, for who may upload to it; to others it looks as if there were none. Raises
        UploadNotFound, UploadGone."""
        session = self._records.get(session_id)
        try:
            image = self._writable(ctx, session.image_id)
        except (errors.ImageNotFound, errors.Forbidden) as exc:
            raise errors.UploadNotFound("no such upload: it has ended, or was never begun") from exc
        if session.image_id != image_id or session.owner != image.owner:
            raise errors.UploadNotFound("no such upload: it has ended, or was never begun")
        return session, image

    def _take(self, image: Image, session: UploadSession, after: UploadSession) -> Turn:
        """Once its length is known, all of it is reserved."""
        within: list[WithinLimits] = []
        reserved = None
        if after.length is not None and session.length is None:
            reserved, within = after.length, self._allowance.of_bytes(image.owner)
        if session.partial:  # no lease keeps it while its bytes come
            after = replace(after, expires_at=self._until())
        return self._turns.take(session, after, *within, reserved=reserved)

    def _received(
        self, ctx: Context, turn: Turn, receive: Callable[[Turn], Exception | None], *, last: bool
    ) -> UploadSession:
        """The session with what has come of the request; the turn is over, or the making of the image has it."""
        try:
            checkpoint("session.taken")
            failure = receive(turn)
            if last and failure is None:
                turn.save(self._grown(turn.session.of_length(turn.session.offset)))
            elif turn.session.complete and turn.session.state is SessionState.OPEN:
                # nothing has come, for nothing was missing
                turn.save(self._grown(turn.session))
        except errors.BadContent as exc:
            if not isinstance(exc, errors.HashMismatch):
                self._give_up(turn, exc)
            else:
                turn.rest()
            raise
        except errors.LeaseLost as exc:
            turn.rest()
            raise errors.Conflict("a newer request goes on with this upload, or it was ended") from exc
        except errors.DatabaseUnavailable:
            turn.end()  # whether the last part counts is seen by who takes the lease over
            raise
        except BaseException:
            turn.rest()
            raise
        if turn.session.state is SessionState.FINISHING:
            return self._finished(ctx, turn)
        turn.rest()
        checkpoint("session.rested")
        if failure is not None:
            raise failure
        return turn.session

    def _grown(self, session: UploadSession) -> UploadSession:
        """It is kept from now on for as long as from its beginning; with its last byte it is all there."""
        return replace(
            session.finishing() if session.complete and not session.partial else session, expires_at=self._until()
        )

    def _finished(self, ctx: Context, turn: Turn) -> UploadSession:
        """All is there. Whether the caller may is asked again: it may be hours after the first byte."""
        session = turn.session
        try:
            image = self._images.get(session.image_id, ctx.viewer)
            self._policy.authorize(ctx, "upload_image", image)
        except (errors.ImageNotFound, errors.Forbidden) as exc:
            self._give_up(turn, exc)
            raise
        except BaseException:
            turn.rest(_PAUSE)
            raise
        self._finishing.submit(turn, ctx.token).wait(self._limits.patience)
        try:
            return self._records.get(session.id)
        except errors.UploadNotFound as exc:
            raise errors.Gone(f"image {session.image_id} was deleted during its upload") from exc

    def _nothing_more(self, ctx: Context, session: UploadSession, offset: int, size: int | None) -> UploadSession:
        """A request for a session that takes no more bytes: one without any is answered as the last one was."""
        if session.state is SessionState.FAILED:
            raise errors.UploadGone(f"the upload has ended without its data: {session.last_error or 'it was ended'}")
        if offset != session.offset:
            raise errors.OffsetMismatch(f"the upload has all of its {session.offset} bytes", session.offset)
        if size != 0:
            raise errors.SizeMismatch(f"the upload has all of its {session.offset} bytes")
        if session.state is SessionState.FINISHING and not session.partial and self._turns.rests(session):
            try:
                return self._finished(ctx, self._turns.take(session, session))
            except (errors.ConcurrentChange, errors.LeaseLost):
                LOG.debug("image %s: somebody else makes it of its upload already", session.image_id)
        return session

    def _give_up(self, turn: Turn, exc: errors.GlanceError) -> None:
        LOG.info("the upload to image %s ends with %s: %s", turn.session.image_id, type(exc).__name__, exc)
        try:
            self._finishing.end(turn, str(exc))
        except errors.GlanceError as other:
            LOG.warning("image %s: its upload can't be ended now (%s); the reaper will", turn.session.image_id, other)
            turn.rest(_PAUSE)


def _again() -> Iterator[None]:
    """Once, and again with a pause while there is time."""
    until = time.monotonic() + _BUSY_TIMEOUT
    yield
    while time.monotonic() < until:
        time.sleep(_PAUSE)
        yield
