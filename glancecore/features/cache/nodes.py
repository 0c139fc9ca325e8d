"""Which node has which image in its cache, as records: what nodes tell of themselves, for people to look at. Nothing is
served by it."""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Collection, Sequence

from glancecore.domain import errors
from glancecore.ports.record_repository import Record, RecordAdded, RecordChange, RecordQuery, RecordRemoved
from glancecore.ports.repository import Database

#: No extension's: their names have no blank.
COLLECTION = "the service.cache_nodes"
#: Records that are read, and changes that are made, at once.
_PAGE, _BATCH = 1000, 100
#: Somebody else has done it meanwhile, or the image is gone, and with it what is said of it.
_DONE = (errors.RecordExists, errors.RecordNotFound, errors.ConcurrentChange, errors.ImageNotFound)


class CacheNodes:
    """``node``: the URL that a glance-api is known by, at most 255 characters. Every method raises
    DatabaseUnavailable."""

    def __init__(self, database: Database) -> None:
        self._images = database.images
        self._records = database.records

    def hold(self, image_id: str, node: str) -> None:
        """The node has the image. Nothing when that is known, or when there is no such image."""
        self._commit([RecordAdded(_record(image_id, node))])

    def replace(self, node: str, image_ids: Collection[str]) -> None:
        """The node has these images and no others; those that are no more are left out."""
        known, held = {str(x.image_id): x for x in self._of_node(node)}, set(image_ids)
        self._commit([RecordRemoved(x) for image_id, x in known.items() if image_id not in held])
        self._commit([RecordAdded(_record(x, node)) for x in sorted(held - known.keys())])

    def nodes(self, image_id: str) -> list[str]:
        """The nodes that have it, in order, at most 1,000; none when the image is no more."""
        return sorted(str(x.keys[0]) for x in self._records.of_image(image_id, COLLECTION))

    def _of_node(self, node: str) -> list[Record]:
        found: list[Record] = []
        while True:
            page = self._records.find(
                RecordQuery(COLLECTION, 0, [node], after=(node, found[-1].id) if found else None, limit=_PAGE)
            )
            found += page
            if len(page) < _PAGE:
                return found

    def _commit(self, changes: Sequence[RecordChange]) -> None:
        """All that are left to do: what can't be done at once is done one by one."""
        for begin in range(0, len(changes), _BATCH):
            batch = changes[begin : begin + _BATCH]
            try:
                self._images.commit(*batch)
            except _DONE:
                for change in batch if len(batch) > 1 else ():
                    with contextlib.suppress(*_DONE):
                        self._images.commit(change)


def _record(image_id: str, node: str) -> Record:
    return Record(
        COLLECTION, f"{image_id}.{hashlib.sha256(node.encode()).hexdigest()[:32]}", keys=(node,), image_id=image_id
    )
