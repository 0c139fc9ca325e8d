"""Whose bytes are they? Judged by the one URL that a store's driver gives a blob (``Store.canonical``), never by
another text for it."""

from __future__ import annotations

import logging
import re
from urllib.parse import unquote

from glancecore.domain import errors
from glancecore.domain.image import Image, Location, LocationStatus, Status
from glancecore.kernel.transfer.store_facade import StoreFacade
from glancecore.kernel.transfer.stores import Stores
from glancecore.ports.repository import ImageRepository
from glancecore.ports.store import Cap

LOG = logging.getLogger(__name__)
#: Names that this service, or Glance, gives: an image's id, and what tells its attempts apart. Others are other
#: people's.
_KEY = re.compile(r"([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})(?:\.\w+)?")


def image_named_by(key: str) -> str | None:
    """The id of the image that a blob of this name was written for; None when it is not one of our names."""
    found = _KEY.fullmatch(key)
    return found[1] if found else None


def names_in(url: str) -> list[str]:
    """The parts of a location that may be a blob's name."""
    return re.split(r"[/?#]", unquote(url))


class Blobs:
    def __init__(self, repository: ImageRepository, stores: Stores) -> None:
        self._repository = repository
        self._stores = stores

    def check_free(self, image: Image, store: StoreFacade, url: str) -> None:
        """Raises Conflict when the bytes at the canonical ``url`` are another image's, or will be: an operation names
        its data in its lease before the first byte, and ends the lease in the commit that gives the data to the image.
        So the lease is asked for first."""
        if not store.offers(Cap.DELETE):
            return  # a web server's: everybody may name it, nobody can remove it
        owners = {x for name in names_in(url) if (x := image_named_by(name)) is not None} - {image.id}
        leases = [lease for x in owners if (lease := self._repository.lease(x)) is not None]
        if any(ref.store == store.id for lease in leases for ref in lease.blobs) or set(
            self._repository.located(url)
        ) - {image.id}:
            raise errors.Conflict("url: it is the location of another image's data")

    def remove(self, image: Image, location: Location) -> None:
        """Delete the bytes of one of the image's copies; those that another image has a location for stay, as do those
        that a store only reads. Raises StoreError: then they are still there."""
        store = self._stores.holding(location)
        if store.offers(Cap.DELETE) and self._needed(image, location, store):
            LOG.warning(
                "image %s: the bytes of its copy in store %s stay: another location leads to them", image.id, store.id
            )
            return
        self._stores.remove(location)

    def _needed(self, image: Image, location: Location, store: StoreFacade) -> bool:
        url = store.canonical(location.url)
        own = (
            x
            for x in image.locations
            if x.url != location.url and x.store == location.store and x.status is not LocationStatus.DELETING
        )
        if any(store.canonical(x.url) == url for x in own):
            return True
        others = {*self._repository.located(url), *self._repository.located(location.url)} - {image.id}
        return any(self._keeps(other, {url, location.url}) for other in others)

    def _keeps(self, image_id: str, urls: set[str]) -> bool:
        """Of two images that are deleted at the same time, neither does."""
        try:
            image = self._repository.get_any(image_id)
        except errors.ImageNotFound:
            return False
        return image.status is not Status.DELETING and any(
            x.url in urls and x.status is not LocationStatus.DELETING for x in image.locations
        )
