"""What a client sends, cut into parts that are made durable one after the other. Whatever ends it, what has come until then is kept."""

from __future__ import annotations

import hashlib
import hmac
import time
from collections.abc import Callable, Iterable, Iterator

from glancecore.domain import errors
from glancecore.domain.image import Image
from glancecore.domain.upload_session import PieceDigest, UploadSession
from glancecore.features.uploads.parts import UploadParts
from glancecore.features.uploads.turns import Turn
from glancecore.kernel.operations import Reservation
from glancecore.kernel.transfer.inspection import BEGINNING, Inspector
from glancecore.sdk.checkpoints import checkpoint

#: Seconds after which what has come of a slow client is made durable, and the least bytes that are.
PART_SECONDS, LEAST_PART = 5.0, 1 << 20
#: A part that is cut in the middle of a request has at least this share of all that came before: so that there are not too many.
_SHARE = 1000


class Incoming:
    """The pieces of one request. ``judge`` is asked about each, with the bytes that have come with it; it raises LeaseLost and BadContent, which end
    everything, and others, before which all was well."""

    def __init__(self, pieces: Iterable[bytes], judge: Callable[[bytes], None]) -> None:
        self._pieces = iter(pieces)
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
            yield piece


class Receiving:
    """``cap``: most bytes of an image."""

    def __init__(self, parts: UploadParts, inspector: Callable[[Image], Inspector], cap: int, part_size: int) -> None:
        self.parts = parts
        self._inspector = inspector
        self._cap = cap
        self._part_size = part_size

    def receive(self, turn: Turn, image: Image, pieces: Iterable[bytes], digest: PieceDigest | None, grown: Callable[[UploadSession], UploadSession],
                reservation: Reservation | None) -> Exception | None:
        """Append ``pieces``; the turn's session has grown by what is durable. ``grown`` is what a session becomes with a part. What has ended it before its
        end, or None. Raises LeaseLost, StoreError, DatabaseUnavailable; BadContent when the data can't become the image's; HashMismatch when it has another
        digest: nothing of it is kept then."""
        begun, incoming = turn.session.offset, Incoming(pieces, self._judge(turn, image, reservation))
        while incoming.more():
            number = turn.session.next - 1
            size, url = self._stored(turn, number, incoming, digest)
            checkpoint("session.part_stored")
            try:
                turn.save(grown(turn.session.grown(number, size, url)).claimed())
            except (errors.LeaseLost, errors.ConcurrentChange, errors.LimitExceeded):
                self.parts.discard_one(turn.session, number)
                raise
            checkpoint("session.part_noted")
        if digest is not None and turn.session.offset == begun and incoming.failure is None:
            _compare(hashlib.new(digest.algorithm, usedforsecurity=False).digest(), digest)
        return incoming.failure

    def _judge(self, turn: Turn, image: Image, reservation: Reservation | None) -> Callable[[bytes], None]:
        """What each piece must be."""
        total, length = turn.session.offset, turn.session.length
        inspector = self._inspector(image) if total < BEGINNING else None
        if inspector is not None:
            for piece in self.parts.open(turn.session):
                inspector.update(piece)

        def judge(piece: bytes) -> None:
            nonlocal total, inspector
            turn.check()
            if turn.stop.is_set():
                raise errors.Conflict("a newer request goes on with this upload")
            if length is not None and total + len(piece) > length:
                raise errors.SizeMismatch(f"the upload was declared to have {length} bytes, but more came")
            if total + len(piece) > self._cap:
                raise errors.TooLarge(f"the data is larger than image_size_cap, {self._cap} bytes")
            if reservation is not None:
                reservation.need(total + len(piece))
            if inspector is not None:
                inspector.update(piece)
            if total == turn.session.offset:
                checkpoint("session.first_piece")
            total += len(piece)
            if total >= BEGINNING:
                inspector = None

        return judge

    def _stored(self, turn: Turn, number: int, incoming: Incoming, digest: PieceDigest | None) -> tuple[int, str]:
        begun, size = time.monotonic(), 0
        share = turn.session.offset // _SHARE

        def enough(seen: int) -> bool:
            late = time.monotonic() - begun > PART_SECONDS
            return digest is None and seen >= max(LEAST_PART if late else self._part_size, share)

        def counted() -> Iterator[bytes]:
            nonlocal size
            for piece in incoming.part(enough):
                size += len(piece)
                yield piece

        source = counted() if digest is None else _verified(incoming, counted(), digest)
        url = self.parts.put(turn.session, number, source)
        return size, url


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
        raise errors.HashMismatch(f"the piece has another {digest.algorithm} digest than its header says; nothing of it is kept")
