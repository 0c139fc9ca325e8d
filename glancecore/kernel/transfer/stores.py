"""All configured stores: which takes data, and which copy is read."""

from __future__ import annotations

import contextlib
import hashlib
import logging
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace

from glancecore.domain import errors
from glancecore.domain.image import Image, Location
from glancecore.domain.lease import BlobRef
from glancecore.kernel.transfer.store_facade import StoreFacade
from glancecore.ports.store import Cap

LOG = logging.getLogger(__name__)
#: Seconds between two tries to start a store that is not available.
_REVIVAL = 5.0


class Stores:
    """All configured stores, by id, in the operator's order."""

    def __init__(
        self,
        stores: Sequence[StoreFacade],
        default: str,
        staging: StoreFacade | None = None,
        *,
        fallbacks: Sequence[str] = (),
    ) -> None:
        """``fallbacks``: where data goes that was meant for the default store when that is full or draining, in this
        order."""
        self._stores = {x.id: x for x in stores}
        self._staging = staging
        self._reviving = threading.Lock()
        self._when_back: Callable[[str], None] | None = None
        self.default_id = default
        self._fallbacks = fallbacks

    @property
    def staging(self) -> StoreFacade:
        """Where data waits to be imported; never listed, never the user's choice. Raises StoreUnavailable."""
        if self._staging is None or not self._staging.available:
            raise errors.StoreUnavailable("the staging store is not available")
        return self._staging

    def __iter__(self) -> Iterator[StoreFacade]:
        return iter(self._stores.values())

    @property
    def ids(self) -> list[str]:
        return list(self._stores)

    def get(self, store_id: str | None) -> StoreFacade:
        """The named store, or the default. Raises UnknownStore naming those that there are."""
        found = self._stores.get(store_id or self.default_id)
        if found is None:
            raise errors.UnknownStore(f"no store {store_id!r}; there are: {', '.join(self._stores)}")
        return found

    def for_data(self, store_id: str | None, size: int | None = None) -> StoreFacade:
        """Where data of ``size`` bytes (None: not known) goes: the named store; without a name the default one, or the
        first fallback with room when that is full or draining. Raises UnknownStore."""
        wanted = self.get(store_id)
        if store_id is not None or not self._fallbacks:
            return wanted
        draining = wanted.draining
        if not draining and (not wanted.available or not wanted.full(size)):
            return wanted
        others = [x for x in map(self.get, self._fallbacks) if x.available and x.writable]
        for other in others:
            if not other.full(size):
                if not draining:
                    LOG.warning("store %s is full: the data goes to store %s", wanted.id, other.id)
                return other
        return others[0] if draining and others else wanted

    @property
    def unnamed(self) -> list[StoreFacade]:
        """Where data goes for which no store is named: the default store, then the fallbacks."""
        return [self.get(x) for x in (self.default_id, *self._fallbacks)]

    def holding(self, location: Location) -> StoreFacade:
        """The store of a recorded location. Raises StoreUnavailable when it is not configured any more."""
        return self.recorded(location.store)

    def recorded(self, store_id: str) -> StoreFacade:
        """The store of that id as it was recorded some time ago. Raises StoreUnavailable when it is not configured any
        more."""
        if self._staging is not None and store_id == self._staging.id:
            return self._staging
        found = self._stores.get(store_id)
        if found is None:
            raise errors.StoreUnavailable(f"store {store_id} is not configured", store_id)
        return found

    def reading(self, scheme: str) -> list[StoreFacade]:
        """The stores whose locations have that URL scheme."""
        return [x for x in self if scheme in x.schemes]

    def vouch(self, location: Location) -> bool:
        """Whether its bytes are surely what they were when they came."""
        store = self._stores.get(location.store)
        return store is not None and store.vouches

    def readable(self, image: Image, prefer: Sequence[str] = ()) -> list[Location]:
        """The image's good copies in the order to read them; those that somebody else may change at any time only when
        there is a hash to hold their bytes against that was found in them. Raises StoreUnavailable when that leaves
        none."""
        ordered = self.by_preference(image.good_locations, prefer)
        if image.hash_value is not None and not image.unproved and image.hash_algo in hashlib.algorithms_available:
            return ordered
        found = [x for x in ordered if self.vouch(x)]
        if ordered and not found:
            raise errors.StoreUnavailable(
                f"the data of image {image.id} lies on a server of somebody else and was not read and hashed yet, so"
                " nothing proves what would be sent; try again in a while"
            )
        return found

    def renamed(self, image: Image) -> Image:
        """The image with the canonical URLs of its locations, as far as their stores tell them now; each once."""
        found: dict[tuple[str, str], Location] = {}
        for location in image.locations:
            store = self._stores.get(location.store)
            if store is not None and store.available:
                with contextlib.suppress(errors.StoreError):
                    location = replace(location, url=store.canonical(location.url))
            found.setdefault((location.store, location.url), location)
        return replace(image, locations=tuple(found.values()))

    def discard(self, ref: BlobRef) -> None:
        """Remove what a dead writer left. Raises StoreError."""
        self.recorded(ref.store).discard(ref.key, owner=ref.owner)

    def remove(self, location: Location) -> None:
        """Delete a copy's bytes; those that a store only reads stay, and only the location goes.

        Raises StoreError: then they are still there."""
        store = self.holding(location)
        if store.offers(Cap.DELETE):
            store.delete(location.url)
        elif not store.offers(Cap.EXTERNAL):
            raise errors.StoreUnavailable(f"store {store.id} can't delete now", store.id, "delete")

    def by_preference(self, locations: Iterable[Location], prefer: Sequence[str] = ()) -> list[Location]:
        """Locations in the order to read them: preferred stores first, then heavier ones, then as recorded."""

        def rank(location: Location) -> tuple[int, int]:
            store = self._stores.get(location.store)
            first = prefer.index(location.store) if location.store in prefer else len(prefer)
            return first, -(store.settings.weight if store else -(1 << 30))

        return sorted(locations, key=rank)

    def when_back(self, call: Callable[[str], None]) -> None:
        """``call`` is told the id of each store that was away and is available again."""
        self._when_back = call

    def revive(self, rest: float = _REVIVAL) -> None:
        """Start those that were not available, if this was not tried in the last ``rest`` seconds."""
        with self._reviving:  # each of them once
            for store in [x for x in self._all if not x.available]:
                if (
                    store.revive({place: x.id for x in self._all for place in x.places}, rest)
                    and self._when_back is not None
                ):
                    self._when_back(store.id)

    def close(self) -> None:
        for store in self._all:
            store.close()

    @property
    def _all(self) -> Sequence[StoreFacade]:
        return [*self, *([self._staging] if self._staging is not None else [])]
