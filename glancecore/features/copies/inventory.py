"""What lies in one store, counted image by image: how much, what is there only, and what is damaged."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from glancecore.domain.image import Image, LocationStatus, Status
from glancecore.ports.repository import Database

_PAGE = 100
_WRITING = frozenset({Status.SAVING, Status.IMPORTING})


@dataclass(slots=True)
class Inventory:
    """``bytes`` of all copies in the store. ``only``: images that have no good copy but there. ``damaged``: copies in
    the store that are known to be wrong; ``lost``: images with such a copy there and no good one anywhere."""

    store: str
    images: int = 0
    bytes: int = 0
    only: int = 0
    damaged: int = 0
    lost: int = 0

    def add(self, image: Image) -> str:
        """Count an image; what it is to the store: only, lost, damaged, or copy."""
        there = [x for x in image.live_locations if x.store == self.store]
        damaged = sum(x.status is LocationStatus.DAMAGED for x in there)
        good = {x.store for x in image.good_locations}
        self.images += 1
        self.bytes += (image.size or 0) * len(there)
        self.damaged += damaged
        if good == {self.store}:
            self.only += 1
            return "only"
        if damaged and not good:
            self.lost += 1
            return "lost"
        return "damaged" if damaged else "copy"


def held_in(database: Database, store_id: str) -> Iterator[Image]:
    """The images with data in the store, in whatever status, by id, a page at a time."""
    after = ""
    while page := database.places.holding(store_id, after, _PAGE):
        yield from page
        after = page[-1].id


def being_written_to(database: Database, store_id: str) -> Iterator[Image]:
    """Images whose data is on its way into the store: it is not theirs yet."""
    after = ""
    while page := database.images.scan(_WRITING, after, _PAGE):
        for image in page:
            lease = database.images.lease(image.id)
            named = lease is not None and any(x.store == store_id for x in lease.blobs)
            if named or (image.importing is not None and store_id in image.importing.stores_left):
                yield image
        after = page[-1].id
