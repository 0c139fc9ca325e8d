"""Where the pieces of an upload wait: in the store of the image, when that takes parts of a blob; else each is a blob
of its own in the staging store, and they are written again when the image is made."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator
from itertools import chain

from glancecore.domain import errors
from glancecore.domain.image import Location
from glancecore.domain.lease import BlobRef
from glancecore.domain.upload_session import UploadSession
from glancecore.features.uploads.records import UploadRecords
from glancecore.kernel.transfer.store_facade import StoreFacade
from glancecore.kernel.transfer.stores import Stores
from glancecore.kernel.transfer.streams import MeteredSource
from glancecore.ports.store import StoredPart

LOG = logging.getLogger(__name__)
#: A part of any size has at least this share of all that came before.
_SHARE = 1000
#: As many that wait become one: each costs something when they are read, and when they are removed.
_GATHER = 100


class UploadParts:
    def __init__(self, stores: Stores, records: UploadRecords) -> None:
        self._stores = stores
        self._records = records

    @property
    def store(self) -> StoreFacade:
        """Where new sessions keep their parts. Raises StoreUnavailable."""
        return self._stores.staging

    def put(self, session: UploadSession, number: int, pieces: Iterable[bytes], left: int | None) -> UploadSession:
        """The session with one more part, of all ``pieces``. ``left``: bytes that the request has, if that is known. It
        is durable when this returns, and counts for nothing when it raises. What waited in the staging store is of no
        use when it is in the target now: ``drop`` it when that is noted. Raises StoreError, LeaseLost, LimitExceeded,
        and what ``pieces`` raise."""
        source = iter(pieces)
        if session.blob is not None:
            store = self._stores.recorded(session.target)
            ahead, enough = _ahead(source, self.wanted(session))
            if enough and (left is None or not store.least_part or session.waiting + left >= self.share(session)):
                if store.most_parts is not None and session.taken >= store.most_parts:  # the last number is for the end
                    raise session.too_many()
                return self._taken(session, session.blob, chain(ahead, source))
            source = chain(ahead, source)
        gather = session.key is not None and sum(x.count for x in session.parts if x.url) >= _GATHER
        metered = MeteredSource(chain(self._waiting(session), source) if gather else source)
        url = self._stores.recorded(session.staging).put(session.part(number), metered).url
        return session.gathered(number, metered.seen, url) if gather else session.grown(number, metered.seen, url)

    def wanted(self, session: UploadSession) -> int:
        """Bytes with which the target takes one more part, beside those that wait."""
        return 0 if session.key is None else self._stores.recorded(session.target).least_part - session.waiting

    def share(self, session: UploadSession) -> int:
        """Bytes that a part has so that there are not too many: a share of all before it."""
        if session.key is None:
            return session.offset // _SHARE
        most = self._stores.recorded(session.target).most_parts
        return (session.offset - session.waiting) // (_SHARE if most is None else max(1, min(_SHARE, most // 10)))

    def end(self, session: UploadSession) -> UploadSession:
        """All of it is in the target: what waited is its last part. Raises StoreError, LeaseLost."""
        assert session.blob is not None  # noqa: S101
        return self._taken(session, session.blob, ())

    def _taken(self, session: UploadSession, blob: BlobRef, pieces: Iterable[bytes]) -> UploadSession:
        store = self._stores.recorded(blob.store)
        handle = session.handle or store.begin_parts(blob.key, session.length, owner=blob.owner)
        try:
            size = store.put_part(
                blob.key,
                handle,
                session.taken - 1,
                session.offset - session.waiting,
                chain(self._waiting(session), pieces),
            )
        except errors.BlobInUse as exc:
            raise errors.LeaseLost(f"a newer request goes on with the upload to image {session.image_id}") from exc
        return session.took(size, handle)

    def _waiting(self, session: UploadSession) -> Iterator[bytes]:
        store, seen, size = (
            self._stores.recorded(session.staging),
            0,
            sum(x.count * x.size for x in session.parts if x.url),
        )
        for url in session.urls():
            for piece in store.open(url):
                seen += len(piece)
                yield piece
        if seen != size:  # what the image is to be would not be what was sent
            raise errors.StoreError(
                f"store {store.id}: what waits there of the upload to image {session.image_id} has {seen} bytes, and"
                f" not {size}",
                store.id,
                "open",
            )

    def drop(self, before: UploadSession, after: UploadSession) -> None:
        """Remove what waited ``before`` and is elsewhere ``after``. What can't be removed now is removed with the
        session."""
        if before.key is None:
            return
        store, kept = self._stores.recorded(before.staging), set(after.urls())
        for url in before.urls():
            if url not in kept:
                try:
                    store.delete(url)
                except errors.BlobNotFound:
                    continue
                except errors.StoreError as exc:
                    LOG.warning("image %s: a part that nobody needs can't be removed now: %s", before.image_id, exc)

    def open(self, session: UploadSession) -> Iterator[bytes]:
        """The bytes of all parts that count; of a joint session those of what it is joined of. Raises StoreError,
        UploadNotFound."""
        for partial in session.joined or ():
            yield from self.open(self._records.get(partial))
        if session.key is not None and session.handle is not None:
            yield from self._stores.recorded(session.target).open_parts(session.key, session.handle, _stored(session))
        yield from self._waiting(session)

    def complete(self, session: UploadSession) -> Location:
        """The blob of all parts, which the target has taken. Also when it was made before. Raises StoreError: whatever
        is wrong with them, it is not what was sent."""
        assert session.key is not None  # noqa: S101
        assert session.handle is not None  # noqa: S101
        store = self._stores.recorded(session.target)
        try:
            return store.complete_parts(session.key, session.handle, _stored(session))
        except errors.SizeMismatch as exc:
            raise errors.StoreError(f"store {store.id}: {exc}", store.id, "complete_parts") from exc

    def discard_taken(self, session: UploadSession) -> None:
        """What the target was given in vain, which no lease names. What can't be removed now stays."""
        assert session.blob is not None  # noqa: S101
        try:
            self._stores.discard(session.blob)
        except errors.StoreError as exc:
            LOG.warning("image %s: a part that nobody needs can't be removed now: %s", session.image_id, exc)

    def discard(self, session: UploadSession, *, taken: bool = False) -> None:
        """Remove all parts from the staging store, also of writers that are dead, and of what the session is joined of,
        or might have been. What the target has taken is named by the lease; ``taken``: it goes as well. Raises
        StoreError: then some are left."""
        if taken:
            self.discard_taken(session)
        for partial in self.partials(session):
            self.discard(partial)
        store = self._stores.recorded(session.staging)
        for url in session.urls():
            store.delete(url)  # cheaper than to look what there is
        count = {number for run in session.parts if run.url for number in range(run.first, run.first + run.count)}
        for number in range(session.next) if session.staged else ():
            if number not in count:
                store.discard(session.part(number))

    def partials(self, session: UploadSession) -> list[UploadSession]:
        """Those of a joint session; else none."""
        return [] if session.joined is None else self._records.partials(session)

    def discard_one(self, session: UploadSession, number: int) -> bool:
        """What a writer has made in vain: whether nothing is left of it that would count. What can't be removed now is
        removed with the session."""
        try:
            self._stores.recorded(session.staging).discard(session.part(number))
        except errors.StoreError as exc:
            LOG.warning("image %s: a part that nobody needs can't be removed now: %s", session.image_id, exc)
            return False
        return True


def _ahead(source: Iterator[bytes], size: int) -> tuple[list[bytes], bool]:
    """Pieces that have ``size`` bytes together; or all of them, and False."""
    pieces, seen = list[bytes](), 0
    while seen < size:
        piece = next(source, None)
        if piece is None:
            return pieces, False
        pieces.append(piece)
        seen += len(piece)
    return pieces, True


def _stored(session: UploadSession) -> list[StoredPart]:
    """What the target has taken."""
    return [StoredPart(run.first + n, run.size) for run in session.parts if not run.url for n in range(run.count)]
