"""Uploads of one image that are received at the same time, and joined in the end.

The image is saving under one lease, which is that of the joint session: it rests while partial sessions get their
bytes, and reserves what they have all together. What is done to the joint session is done by who has taken that lease:
another partial session, the end of one, the join. A transfer to a partial session is held by the session's own record,
so that none waits for another. The join is one commit: whoever dies before it has joined nothing, and behind it all
goes on."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime

from glancecore.domain import errors
from glancecore.domain.context import Initiator
from glancecore.domain.image import Image
from glancecore.domain.upload_session import MOST_PARTIALS, SessionState, UploadSession
from glancecore.features.uploads.allowance import UploadAllowance
from glancecore.features.uploads.finishing import UploadFinishing
from glancecore.features.uploads.parts import UploadParts
from glancecore.features.uploads.records import UploadRecords, changed, removed
from glancecore.features.uploads.turns import Turn, UploadTurns
from glancecore.kernel.retrying import on_concurrent_change
from glancecore.ports.repository import Change
from glancecore.sdk.checkpoints import checkpoint

#: Seconds until the reaper looks at a joint session on which a request has failed.
_PAUSE = 0.05
_NOT_NAMED = "the upload was joined of others, and this one was not named"


class Joining:
    """``until``: when a session expires that somebody goes on with now."""

    def __init__(
        self,
        turns: UploadTurns,
        records: UploadRecords,
        parts: UploadParts,
        finishing: UploadFinishing,
        allowance: UploadAllowance,
        until: Callable[[], datetime],
    ) -> None:
        self._turns = turns
        self._records = records
        self._parts = parts
        self._finishing = finishing
        self._allowance = allowance
        self._until = until

    # -- partial sessions --------------------------------------------------------------------------
    def partial(
        self, joint: UploadSession, length: int, note: Mapping[str, str] | None, initiator: Initiator
    ) -> UploadSession:
        """One more of a joint session, which is not kept yet."""
        return replace(
            joint,
            id=secrets.token_urlsafe(32),
            tag=f"{joint.tag}_{secrets.token_hex(8)}",
            length=length,
            note=dict(note or {}),
            initiator=initiator,
            expires_at=self._until(),
            joined=None,
            version=1,
        )

    @on_concurrent_change
    def begun(
        self, image: Image, length: int, note: Mapping[str, str] | None, initiator: Initiator, most: int
    ) -> UploadSession | None:
        """One more of the image's joint session; None when it has none that is open. ``most``: bytes that all may have.
        Raises QuotaExceeded, LimitExceeded, TooLarge."""
        joint = self._open_of(image)
        if joint is None:
            return None
        others = self._records.partials(joint)
        if len(others) >= MOST_PARTIALS:
            raise errors.LimitExceeded(
                f"the image has {MOST_PARTIALS} partial uploads, and may have no more; join them, or end some"
            )
        if (together := (joint.length or 0) + length) > most:
            raise errors.TooLarge(
                f"with this one the partial uploads have {together} bytes; image_size_cap is {most}; end those that are"
                " not needed"
            )
        partial = self.partial(joint, length, note, initiator)
        within = self._allowance.of_bytes(image.owner)
        after = replace(joint, length=together, expires_at=partial.expires_at)
        checkpoint("join.before_partial")
        try:
            self._turns.joined_by(joint, after, partial, *within, seen=not all(x.live for x in others))
        except (errors.LeaseLost, errors.ImageBusy, errors.RecordNotFound) as exc:
            raise errors.ConcurrentChange(f"other requests work on the uploads to image {image.id}; try again") from exc
        checkpoint("join.after_partial")
        return partial

    @on_concurrent_change
    def remove(self, partial: UploadSession) -> None:
        """Nothing stays of it; with the last one the image is queued again. Raises Conflict when it is joined already,
        StoreError."""
        partial = self._turns.settled(partial)
        joint = self._records.at([partial.leased])
        joint = None if joint is None else self._turns.settled(joint)
        if joint is None or not (joint.live or self._turns.held(joint)):
            self._parts.discard(partial)
            self._turns.images.commit(removed(partial))
            return
        if joint.state is SessionState.FINISHING:
            if not partial.live:  # it was not named, and goes with the others
                return
            raise errors.Conflict("the upload was joined with others; give up the final one")
        turn = self._taken(joint)
        try:
            if turn.session.state is SessionState.FAILED:  # whoever ended it has not come to its end
                self._finishing.end(turn, turn.session.last_error, told=False)
            else:
                self._without(turn, partial.id)
        except BaseException:
            turn.rest(_PAUSE)
            raise

    # -- the end -----------------------------------------------------------------------------------
    @on_concurrent_change
    def join(
        self, image: Image, partials: Sequence[str], store: str | None, note: Mapping[str, str] | None
    ) -> Turn | UploadSession:
        """The joint session, all there, for this process to make the image of; or as it is, when somebody has joined
        the same ones before. Raises Invalid, Conflict, TooLarge."""
        for session in self._records.of_image(image.id):
            if (
                session.joined == tuple(partials)
                and session.owner == image.owner
                and session.state in (SessionState.FINISHING, SessionState.DONE)
            ):
                return session
        joint = self._open_of(image)
        known = {} if joint is None else {x.id: x for x in self._records.partials(joint)}
        found = [_complete(known.get(x), at) for at, x in enumerate(partials, 1)]
        if joint is None or len(set(partials)) != len(found):
            raise errors.Invalid("a final upload is joined of at least one partial one, each once")
        target = self._finishing.aims.of(joint).target(store or joint.target, sum(x.offset for x in found))
        after = replace(joint.joining(found, target.id, dict(note or {})), expires_at=self._until())
        checkpoint("join.before_join")
        left = [x for x in known.values() if x.live and x not in found]
        turn = self._taken(
            joint,
            after,
            [
                *(changed(x, x.finishing()) for x in found),
                *(changed(x, x.ended(SessionState.FAILED, _NOT_NAMED)) for x in left),
            ],
        )
        checkpoint("join.after_join")
        return turn

    # -- what is looked after ----------------------------------------------------------------------
    @on_concurrent_change
    def closed(self, turn: Turn, over: Callable[[UploadSession], bool], last_error: str | None) -> bool:
        """Whether each partial session that may still be joined is ``over``: then none of them takes a byte any more.
        What comes to one meanwhile is seen."""
        partials = [x for x in self._parts.partials(turn.session) if x.state is SessionState.OPEN]
        if not all(map(over, partials)):
            return False
        if partials:
            turn.save(turn.session, *(changed(x, x.ended(SessionState.FAILED, last_error)) for x in partials))
        return True

    @on_concurrent_change
    def closed_for_good(self, session: UploadSession) -> UploadSession:
        """As it is when its image goes: what a transfer to a partial session still saves fails, so that the transfer
        removes it."""
        if not session.partial:
            return session
        try:
            found = self._records.get(session.id)
            if not found.live:
                return found
            after = found.ended(SessionState.FAILED, "the image was deleted")
            self._turns.images.commit(changed(found, after))
        except (errors.UploadNotFound, errors.RecordNotFound):
            return session
        return replace(after, version=found.version + 1)

    def go_on(self, turn: Turn) -> None:
        """The reaper has taken an open joint session over: it rests again, without those that somebody has not come to
        the end of removing."""
        try:
            self._without(turn, None)
        except BaseException:
            turn.rest(_PAUSE)
            raise

    def taken_empty(self, session: UploadSession) -> Turn | None:
        """One that was empty, for this process to end, and nothing comes to it any more; None when a byte has come, or
        is on its way. Raises ConcurrentChange, LeaseLost."""
        turn = self._turns.take(session, session)
        try:
            if self.closed(turn, lambda x: not x.offset and not x.busy, None):
                return turn
        except BaseException:
            turn.rest(_PAUSE)
            raise
        turn.rest()
        return None

    def empty(self, session: UploadSession) -> bool:
        """Whether no byte has come, and none is on its way."""
        return (
            not session.offset
            and not session.partial
            and not any(x.offset or x.busy for x in self._parts.partials(session))
        )

    # -- inside ------------------------------------------------------------------------------------
    def _open_of(self, image: Image) -> UploadSession | None:
        """Its joint session, on which nobody works."""
        for session in self._records.uncleaned(image.id):
            if session.joined is not None and session.state is SessionState.OPEN and session.owner == image.owner:
                try:
                    settled = self._turns.settled(session)
                except errors.UploadNotFound:  # its last one was given up just now
                    continue
                if settled.state is SessionState.OPEN:
                    return settled
        return None

    def _taken(self, joint: UploadSession, after: UploadSession | None = None, changes: Sequence[Change] = ()) -> Turn:
        try:
            return self._turns.take(
                joint, joint if after is None else after, *changes, reserved=None if after is None else after.length
            )
        except (errors.LeaseLost, errors.RecordNotFound) as exc:
            raise errors.ConcurrentChange(
                f"other requests work on the uploads to image {joint.image_id}; try again"
            ) from exc

    def _without(self, turn: Turn, partial_id: str | None) -> None:
        """End the turn of a joint session without this partial session, and those that have ended; with the last one it
        ends itself."""
        self._mark(turn, partial_id)
        checkpoint("join.partial_ended")
        partials = self._parts.partials(turn.session)
        ended, left = [x for x in partials if not x.live], [x for x in partials if x.live]
        for partial in ended:
            self._parts.discard(partial)
        checkpoint("join.partial_bytes_gone")
        if not left:
            self._finishing.end(turn, None, told=False)
            return
        length = sum(x.length or 0 for x in left)
        after = replace(turn.session, length=length, expires_at=max(x.expires_at for x in left))
        turn.save(after, *map(removed, ended), reserved=length)
        turn.rest()

    @on_concurrent_change
    def _mark(self, turn: Turn, partial_id: str | None) -> None:
        """Nothing that a transfer to it still saves counts."""
        ending = [x for x in self._parts.partials(turn.session) if x.id == partial_id and x.live]
        if ending:
            turn.save(turn.session, *(changed(x, x.ended(SessionState.FAILED, "it was given up")) for x in ending))


def _complete(partial: UploadSession | None, at: int) -> UploadSession:
    if partial is None or not partial.live:
        raise errors.Invalid(
            f"the {at}. address is no partial upload of this image that could be joined: it has ended, or was never one"
        )
    if not partial.complete:
        raise errors.Conflict(
            f"the {at}. partial upload has {partial.offset} of its {partial.length} bytes: it can be joined when it is"
            " complete"
        )
    return partial
