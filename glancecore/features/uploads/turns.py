"""Whose turn an upload session is: one request, or the making of its image, works on it under the image's lease;
between them the lease rests.

A resting lease is nobody's and lives as long as the session is kept, so that the image is never without one. A newer
request takes the lease over, whoever holds it: what the older one commits afterwards fails, and what it has written
counts for nothing."""

from __future__ import annotations

import functools
import logging
import threading
import time
import uuid
from dataclasses import replace
from typing import TYPE_CHECKING

from glancecore.domain import errors
from glancecore.domain.clock import now
from glancecore.domain.image import Status
from glancecore.domain.lease import BlobRef, Lease, Operation
from glancecore.domain.upload_session import SessionState, UploadSession
from glancecore.features.uploads.records import UploadRecords, added, changed
from glancecore.kernel.leases import Leases
from glancecore.ports.repository import Change, ImageRepository, LeaseChanged, LeaseTaken

if TYPE_CHECKING:
    from glancecore.features.uploads.takeovers import Takeovers

LOG = logging.getLogger(__name__)
#: The holder of a lease that rests.
RESTING = "nobody: an upload waits for its next piece"
#: Seconds that an older transfer has to keep what has come, when a newer request asks for its session; and of them,
#: those in which it is left alone, to read what a broken connection has left.
SETTLE, ALONE = 2.0, 0.5
_LOOK = 0.05
#: Seconds that a lease rests at the least: an expiry that is over is for the reaper to see.
_LEAST = 0.1


class Turn:
    """A session that this process works on."""

    def __init__(self, turns: UploadTurns, session: UploadSession, lease: Lease) -> None:
        self.session = session
        self.lease = lease
        #: A newer request asks this one to end, and keep what has come.
        self.stop = threading.Event()
        #: It has not done so in time.
        self.overtaken = threading.Event()
        self.over = threading.Event()
        #: The part ``session.next - 1`` is this turn's to write, and nothing is there yet.
        self.unwritten = False
        self._turns = turns
        self._held = turns.leases.check(lease)

    @property
    def token(self) -> str | None:
        """Of this very holding."""
        return self.lease.token

    def check(self) -> None:
        """Raises LeaseLost once somebody else works on the session; cheap enough for each piece."""
        if self.overtaken.is_set():
            raise errors.LeaseLost(f"a newer request goes on with the upload to image {self.session.image_id}")
        self._held()

    def save(
        self,
        after: UploadSession,
        *changes: Change,
        reserved: int | None = None,
        blobs: tuple[BlobRef, ...] | None = None,
    ) -> None:
        """Commit what has become of the session, and of its lease. Raises LeaseLost, ConcurrentChange, and what
        ``changes`` say."""
        lease = replace(
            self.lease,
            reserved=self.lease.reserved if reserved is None else reserved,
            blobs=self.lease.blobs if blobs is None else blobs,
        )
        try:
            self._turns.images.commit(changed(self.session, after), LeaseChanged(lease), *changes)
        except (errors.RecordNotFound, errors.ImageNotFound) as exc:
            raise errors.LeaseLost(f"the upload to image {self.session.image_id} was ended") from exc
        self.session, self.lease = replace(after, version=self.session.version + 1), lease

    def in_vain(self, after: UploadSession) -> bool:
        """Whether what the target has taken of ``after`` is nobody's: the session was ended before that could be
        saved."""
        return self._turns.nobodys(after)

    def rest(self, seconds: float | None = None) -> None:
        """It is over, and another request may go on. ``seconds``: the reaper is to look at the session by then."""
        try:
            self._rest(_left(self.session) if seconds is None else seconds)
        except errors.LeaseLost:
            LOG.info("image %s: a newer request goes on with its upload", self.session.image_id)
        except errors.DatabaseUnavailable as exc:
            LOG.warning(
                "image %s: its upload can't be left now (%s); it goes on when its lease has expired",
                self.session.image_id,
                exc,
            )
        finally:
            self.end()

    def _rest(self, seconds: float) -> None:
        resting = LeaseTaken(_resting(self.session, self.lease), seconds, self.lease.token)
        if self.unwritten:
            after = self.session.unclaimed()
            try:
                self._turns.images.commit(resting, changed(self.session, after))
            except (errors.ConcurrentChange, errors.RecordNotFound):
                LOG.debug(
                    "image %s: the record of its upload has changed; the number stays used", self.session.image_id
                )
            else:
                self.session = replace(after, version=self.session.version + 1)
                return
        self._turns.images.commit(resting)

    def end(self) -> None:
        """Nobody works on it here any more."""
        self._turns.leases.forget(self.lease)
        self._turns.ended(self)


class PartialTurn(Turn):
    """Of a partial session, on which the image's lease lies at rest: who works on it stands in its record, and each
    save fails once that is another one."""

    def __init__(self, turns: UploadTurns, session: UploadSession, lease: Lease) -> None:
        super().__init__(turns, session, lease)
        self._held = _nothing

    @property
    def token(self) -> str | None:
        return self.session.busy

    def save(
        self,
        after: UploadSession,
        *changes: Change,
        reserved: int | None = None,
        blobs: tuple[BlobRef, ...] | None = None,
    ) -> None:
        """Commit what has become of the session. Raises LeaseLost, and what ``changes`` say. All of it is reserved from
        its beginning."""
        del reserved, blobs
        try:
            self._turns.images.commit(changed(self.session, after), *changes)
        except (errors.RecordNotFound, errors.ImageNotFound, errors.ConcurrentChange) as exc:
            raise errors.LeaseLost(
                f"the upload to image {self.session.image_id} was ended, or a newer request goes on with it"
            ) from exc
        self.session = replace(after, version=self.session.version + 1)

    def _rest(self, seconds: float) -> None:
        del seconds
        self.save(replace(self.session.unclaimed() if self.unwritten else self.session, busy=None))

    def end(self) -> None:
        """Nobody works on it here any more."""
        self._turns.ended(self)


def _nothing() -> None:
    """Each save sees by itself whether another one has come."""


class UploadTurns:
    def __init__(self, images: ImageRepository, records: UploadRecords, leases: Leases) -> None:
        self.images = images
        self.leases = leases
        self._records = records
        self._live: dict[str, Turn] = {}

    @functools.cached_property
    def _takeovers(self) -> Takeovers:
        from glancecore.features.uploads.takeovers import Takeovers  # most processes see none, and its library is large

        return Takeovers()

    def nobodys(self, session: UploadSession) -> bool:
        """Whether no image has what the target has taken of the session, and none is to get it: no lease names it for
        whoever removes it."""
        if session.key is None:
            return False
        try:
            lease = self.images.lease(session.image_id)
            if lease is not None and any(x.key == session.key for x in lease.blobs):
                return False
            image = self.images.get_any(session.image_id)
        except errors.ImageNotFound:
            return True
        except errors.DatabaseUnavailable:
            return False
        if image.staged is not None and image.staged.key == session.key:
            return False
        return not any(session.key in x.url for x in image.locations) and (
            image.blob_key != session.key or image.status is Status.QUEUED
        )

    def first(self, session: UploadSession, reserved: int) -> LeaseTaken:
        """The change that begins a session: its lease rests."""
        blobs = [BlobRef(session.staging, session.place), *([session.blob] if session.blob is not None else [])]
        lease = Lease(
            session.image_id, Operation.SESSION, RESTING, Status.QUEUED, session.owner, tuple(blobs), reserved
        )
        return LeaseTaken(lease, _left(session))

    def take(self, session: UploadSession, after: UploadSession, *within: Change, reserved: int | None = None) -> Turn:
        """The session as ``after``, for this process to work on. Raises ConcurrentChange, LeaseLost when others came
        between; Gone when the image was deleted; and what ``within`` says."""
        lease = self.images.lease(session.image_id)
        if lease is None or not belongs(lease, session):
            raise errors.Gone(f"image {session.image_id} was deleted, or its upload has ended")
        if session.partial:
            after = replace(after, busy=uuid.uuid4().hex)
            self.images.commit(changed(session, after), *within)
            return self.took_over(replace(after, version=session.version + 1), lease)
        mine = replace(
            lease,
            operation=Operation.SESSION,
            holder=self.leases.holder,
            token=uuid.uuid4().hex,
            reserved=lease.reserved if reserved is None else reserved,
        )
        try:
            self.images.commit(changed(session, after), self.leases.taken(mine, lease.token), *within)
        except BaseException:
            self.leases.forget(mine)
            raise
        return self.took_over(replace(after, version=session.version + 1), mine)

    def took_over(self, session: UploadSession, lease: Lease) -> Turn:
        """The reaper has."""
        older = self._live.get(session.id)
        if older is not None:
            older.overtaken.set()
        turn = self._live[session.id] = (PartialTurn if session.partial else Turn)(self, session, lease)
        return turn

    def ended(self, turn: Turn) -> None:
        if self._live.get(turn.session.id) is turn:
            del self._live[turn.session.id]
        turn.over.set()

    def token(self, session: UploadSession) -> str | None:
        """Of who holds it now: no request that comes later has that one."""
        if session.partial:
            return session.busy or RESTING
        lease = self.images.lease(session.image_id)
        return lease.token if lease is not None and belongs(lease, session) else None

    def settled(self, session: UploadSession, arrived: str | None = None) -> UploadSession:
        """The session when no transfer goes on: an older one is asked to end, and keeps what has come if it does so
        soon. One whose image is being made goes on. ``arrived``: the token when the caller's request came; raises
        Conflict when another one has begun since, which may be newer. Raises UploadNotFound,
        ServerBusy."""
        begun = time.monotonic()
        while True:
            session = self._records.get(session.id)
            lease = self.images.lease(session.image_id)
            if lease is None or not belongs(lease, session) or session.state is not SessionState.OPEN:
                return session
            holder = session.busy if session.partial else None if lease.holder == RESTING else lease.token
            if holder is None:
                return session
            if arrived is not None and holder != arrived:
                raise errors.Conflict("a newer request goes on with this upload")
            live = self._live.get(session.id)
            if live is not None and live.token != holder:
                live = None  # one that was overtaken
            passed = time.monotonic() - begun
            if live is not None and passed > ALONE:
                live.stop.set()
            if passed < SETTLE:
                (live.over.wait if live is not None else time.sleep)(_LOOK)
                continue
            self._takeovers.note(session.owner)
            if live is not None:
                live.overtaken.set()
            try:
                left = (
                    _left(session) if session.joined is None else _LEAST
                )  # of a joint one the reaper is to see what the older one has left
                rests = [] if session.partial else [LeaseTaken(_resting(session, lease), left, lease.token)]
                self.images.commit(changed(session, replace(session, busy=None)), *rests)
            except (errors.ConcurrentChange, errors.LeaseLost, errors.RecordNotFound):
                continue  # it has ended just now

    def joined_by(
        self, joint: UploadSession, after: UploadSession, partial: UploadSession, *within: Change, seen: bool
    ) -> None:
        """Commit that a resting joint session becomes ``after``, with one partial session more, for which room is
        reserved. ``seen``: the reaper is to look at it soon. Raises ConcurrentChange, LeaseLost, ImageBusy when others
        came between; and what ``within`` says."""
        lease = self.images.lease(joint.image_id)
        if lease is None or not belongs(lease, joint) or lease.holder != RESTING:
            raise errors.ImageBusy(f"another request works on the upload to image {joint.image_id}; try again")
        self.images.commit(
            changed(joint, after),
            added(partial),
            LeaseTaken(_resting(after, lease), _LEAST if seen else _left(after), lease.token),
            *within,
        )

    def rests(self, session: UploadSession) -> bool:
        """Whether nobody works on it."""
        lease = self.images.lease(session.image_id)
        return lease is not None and belongs(lease, session) and lease.holder == RESTING

    def held(self, session: UploadSession) -> bool:
        """Whether its lease is still there: whoever takes that over ends the session, or goes on with it."""
        lease = self.images.lease(session.image_id)
        return lease is not None and belongs(lease, session)


def belongs(lease: Lease, session: UploadSession) -> bool:
    """Whether it is this session's lease, and not another operation's on the same image."""
    return lease.operation == Operation.SESSION and any(x.key == session.leased for x in lease.blobs)


def _resting(session: UploadSession, lease: Lease) -> Lease:
    """Nobody's; what is reserved is what has come, or all of it where that is known."""
    reserved = session.offset if session.length is None else session.length
    return replace(lease, operation=Operation.SESSION, holder=RESTING, token=uuid.uuid4().hex, reserved=reserved)


def _left(session: UploadSession) -> float:
    return max(_LEAST, (session.expires_at - now()).total_seconds())
