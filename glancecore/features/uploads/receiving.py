"""What a client sends, cut into parts that are made durable one after the other. Whatever ends it, what has come until
then is kept."""

from __future__ import annotations

import hashlib
import hmac
import time
from collections.abc import Callable, Iterable, Iterator

from glancecore.domain import errors
from glancecore.domain.image import Image
from glancecore.domain.upload_session import PieceDigest, UploadSession
from glancecore.features.uploads.examinations import Examinations
from glancecore.features.uploads.parts import UploadParts
from glancecore.features.uploads.turns import Turn
from glancecore.kernel.operations import Reservation
from glancecore.kernel.transfer.inspection import BEGINNING
from glancecore.sdk.checkpoints import checkpoint

#: Seconds after which what has come of a slow client is made durable, and the least bytes that are.
PART_SECONDS, LEAST_PART = 5.0, 1 << 20


class Incoming:
    """The pieces of one request, of ``size`` bytes if that is known. ``judge`` is asked about each, with the bytes that
    have come with it; it raises LeaseLost and BadContent, which end everything, and others, before which all was
    well."""

    def __init__(self, pieces: Iterable[bytes], size: int | None, judge: Callable[[bytes], None]) -> None:
        self._pieces = iter(pieces)
        #: Bytes that are to come yet in parts that are not begun; None: not known.
        self.left = size
        self._judge = judge
        self._ahead: bytes | None = None
        #: Why it has ended before its end.
        self.failure: Exception | None = None
        self.ended = False

    def more(self) -> bool:
        """Whether another piece has come; waits for it."""
        while self._ahead is None and not self.ended:
            try:
                piece = next(self._pieces)
            except StopIteration:
                self.ended = True
            except Exception as exc:  # noqa: BLE001 (whatever breaks a connection: it is raised when what has come is kept)
                self.failure, self.ended = exc, True
            else:
                self._judged(piece)
        return self._ahead is not None

    def _judged(self, piece: bytes) -> None:
        if not piece:
            return
        try:
            self._judge(piece)
        except (errors.LeaseLost, errors.BadContent):
            raise
        except errors.GlanceError as exc:
            self.failure, self.ended = exc, True
        else:
            self._ahead = piece

    def part(self, enough: Callable[[int], bool]) -> Iterator[bytes]:
        """The pieces until ``enough`` is true of the bytes of this part, or none are left."""
        seen = 0
        while not (seen and enough(seen)) and self.more():
            piece, self._ahead = self._ahead, None
            assert piece is not None  # noqa: S101
            seen += len(piece)
            self.left = None if self.left is None else self.left - len(piece)
            yield piece


class Receiving:
    """``cap``: most bytes of an image."""

    def __init__(self, parts: UploadParts, examinations: Examinations, cap: int, part_size: int) -> None:
        self.parts = parts
        self.examinations = examinations
        self.cap = cap
        self._part_size = part_size

    def receive(
        self,
        turn: Turn,
        image: Image,
        pieces: Iterable[bytes],
        size: int | None,
        digest: PieceDigest | None,
        grown: Callable[[UploadSession], UploadSession],
        reservation: Reservation | None,
    ) -> Exception | None:
        """Append ``pieces``, of ``size`` bytes if that is known; the turn's session has grown by what is durable.
        ``grown`` is what a session becomes with a part. What has ended it before its end, or None. Raises LeaseLost,
        StoreError, DatabaseUnavailable; BadContent when the data can't become the image's; HashMismatch when it has
        another digest: nothing of it is kept then."""
        begun, judge = turn.session.offset, _Judge(self, turn, image, reservation, whole=digest is not None)
        incoming = Incoming(pieces, size, judge)
        try:
            self._receive(turn, incoming, judge, digest, grown)
        finally:
            judge.leave()
        if digest is not None and turn.session.offset == begun and incoming.failure is None:
            _compare(hashlib.new(digest.algorithm, usedforsecurity=False).digest(), digest)
        return incoming.failure

    def _receive(
        self,
        turn: Turn,
        incoming: Incoming,
        judge: _Judge,
        digest: PieceDigest | None,
        grown: Callable[[UploadSession], UploadSession],
    ) -> None:
        while incoming.more():
            number = turn.session.next - 1
            turn.unwritten = False
            try:
                after = self._stored(turn, number, incoming, digest)
                if judge.verdict is not None:
                    raise judge.verdict
            except errors.StoreError:
                raise
            except errors.GlanceError:  # of what came: the store has kept nothing
                turn.unwritten = self.parts.discard_one(turn.session, number)
                if turn.in_vain(turn.session):  # it was ended, and the target has been begun with since
                    self.parts.discard_taken(turn.session)
                raise
            checkpoint("session.part_stored")
            try:
                before = turn.session
                if after.complete and not incoming.more() and isinstance(incoming.failure, errors.SizeMismatch):
                    turn.unwritten = self.parts.discard_one(turn.session, number)
                    break
                turn.save(grown(after) if after.complete else grown(after).claimed())
                turn.unwritten = not after.complete
            except (errors.LeaseLost, errors.ConcurrentChange, errors.LimitExceeded):
                self.parts.discard_one(turn.session, number)
                if turn.in_vain(after):
                    self.parts.discard_taken(after)
                raise
            checkpoint("session.part_noted")
            self.parts.drop(before, after)

    def _stored(self, turn: Turn, number: int, incoming: Incoming, digest: PieceDigest | None) -> UploadSession:
        begun, share = time.monotonic(), self.parts.share(turn.session)
        size = max(self._part_size, self.parts.wanted(turn.session))

        def enough(seen: int) -> bool:
            late = time.monotonic() - begun > PART_SECONDS
            return digest is None and seen >= max(LEAST_PART if late else size, share)

        pieces = incoming.part(enough)
        return self.parts.put(
            turn.session, number, pieces if digest is None else _verified(incoming, pieces, digest), incoming.left
        )


class _Judge:
    """Says of each piece whether it can become a part of the image. ``whole``: all pieces count, or none does; a
    ``verdict`` about the format waits for the end then, when it is known whether they came as they were sent. Of what a
    partial session gets the format is judged when it is joined."""

    def __init__(
        self, receiving: Receiving, turn: Turn, image: Image, reservation: Reservation | None, *, whole: bool
    ) -> None:
        self.verdict: errors.BadContent | None = None
        self._turn = turn
        self._parts = receiving.parts
        self._cap = receiving.cap
        self._reservation = reservation
        self._whole = whole
        self._total = turn.session.offset
        self._earlier = turn.session
        self._examinations = receiving.examinations
        self._examination = self._examinations.going_on(image, turn.session)

    def __call__(self, piece: bytes) -> None:
        length, total = self._turn.session.length, self._total + len(piece)
        if length is not None and total > length:
            raise errors.SizeMismatch(f"the upload was declared to have {length} bytes, but more came")
        self._go_on()
        if total > self._cap:
            raise errors.TooLarge(f"the data is larger than image_size_cap, {self._cap} bytes")
        if self._reservation is not None:
            self._reservation.need(total)
        first = self._total == self._earlier.offset
        self._examine(piece, first=first)
        if first:
            checkpoint("session.first_piece")
        self._total = total

    def _go_on(self) -> None:
        self._turn.check()
        if self._turn.stop.is_set():
            raise errors.Conflict("a newer request goes on with this upload")

    def _examine(self, piece: bytes, *, first: bool) -> None:
        """What came in earlier requests is read again when the first byte of this one is there, unless it was examined
        by this process."""
        if self._examination is None:
            return
        try:
            for earlier in self._parts.open(self._earlier) if first and self._examination.seen < self._total else ():
                self._go_on()
                self._examination.update(earlier)
            self._examination.update(piece)
        except errors.BadContent as exc:
            if not self._whole:
                raise
            self.verdict = exc
            self.leave()
        else:
            if self._earlier.key is None and self._total + len(piece) >= BEGINNING:
                self.leave()

    def leave(self) -> None:
        """There is nothing more to judge in this request."""
        if self._examination is not None:
            self._examinations.keep(self._turn.session, self._examination)
            self._examination = None


def _verified(incoming: Incoming, pieces: Iterator[bytes], digest: PieceDigest) -> Iterator[bytes]:
    """Raises at the end unless they came whole, and are what was said."""
    found = hashlib.new(digest.algorithm, usedforsecurity=False)
    for piece in pieces:
        found.update(piece)
        yield piece
    if incoming.failure is not None:
        raise incoming.failure
    _compare(found.digest(), digest)


def _compare(found: bytes, digest: PieceDigest) -> None:
    if not hmac.compare_digest(found, digest.value):
        raise errors.HashMismatch(
            f"the piece has another {digest.algorithm} digest than its header says; nothing of it is kept"
        )
