"""Where the pieces of an upload wait: each a blob of its own in the staging store, joined when the image is made."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator

from glancecore.domain import errors
from glancecore.domain.upload_session import UploadSession
from glancecore.features.uploads.records import UploadRecords
from glancecore.kernel.transfer.store_facade import StoreFacade
from glancecore.kernel.transfer.stores import Stores

LOG = logging.getLogger(__name__)


class UploadParts:
    def __init__(self, stores: Stores, records: UploadRecords) -> None:
        self._stores = stores
        self._records = records

    @property
    def store(self) -> StoreFacade:
        """Where new sessions keep their parts. Raises StoreUnavailable."""
        return self._stores.staging

    def put(self, session: UploadSession, number: int, pieces: Iterable[bytes]) -> str:
        """Make a part of all ``pieces``: its location. It is durable when this returns, and not there when it raises. Raises StoreError, and what ``pieces``
        raise."""
        return self._stores.recorded(session.staging).put(session.part(number), pieces).url

    def open(self, session: UploadSession, length: int | None = None) -> Iterator[bytes]:
        """The bytes of all parts that count, or the first ``length`` of them; of a joint session those of what it is joined of. Raises StoreError, UploadNotFound."""
        for partial in session.joined or ():
            yield from self.open(self._records.get(partial))
        store, left = self._stores.recorded(session.staging), length
        for url in session.urls():
            if left is not None and left <= 0:
                return
            for piece in store.open(url):
                yield piece if left is None else piece[:left]
                if left is not None:
                    left -= len(piece)
                    if left <= 0:
                        return

    def discard(self, session: UploadSession) -> None:
        """Remove all parts, also of writers that are dead, and of what the session is joined of, or might have been. Raises StoreError: then some are left."""
        for partial in self.partials(session):
            self.discard(partial)
        store = self._stores.recorded(session.staging)
        for url in session.urls():
            store.delete(url)  # cheaper than to look what there is
        count = {number for run in session.parts for number in range(run.first, run.first + run.count)}
        for number in range(session.next):
            if number not in count:
                store.discard(session.part(number))

    def partials(self, session: UploadSession) -> list[UploadSession]:
        """Those of a joint session; else none."""
        return [] if session.joined is None else self._records.partials(session)

    def discard_one(self, session: UploadSession, number: int) -> bool:
        """What a writer has made in vain: whether nothing is left of it. What can't be removed now is removed with the session."""
        try:
            self._stores.recorded(session.staging).discard(session.part(number))
        except errors.StoreError as exc:
            LOG.warning("image %s: a part that nobody needs can't be removed now: %s", session.image_id, exc)
            return False
        return True
