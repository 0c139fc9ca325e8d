"""Is a store's data where it is expected? Each of its places has a marker, and the shared database knows which ones
belong to the store.

A place that is not mounted is an empty one that stands where it was. Without this check it would take uploads, and all
images would seem lost. See ``ports.place_repository`` and ``Store.markers``."""

from __future__ import annotations

import contextlib
import json
import logging
from collections.abc import Callable, Collection, Sequence
from dataclasses import asdict, dataclass, replace
from uuid import uuid4

from glancecore.domain import errors
from glancecore.domain.image import LocationStatus
from glancecore.ports.place_repository import Place, PlaceRepository, StorePlaces
from glancecore.ports.store import MARKER, MARKER_SIZE, Cap, PlaceMarker, Store

LOG = logging.getLogger(__name__)
#: Images whose data is looked for in a store that nothing is known of.
SAMPLE = 20
#: Former addresses that are kept of a place.
_ADDRESSES = 20
#: Nodes that start at the same time meet in the database, once or twice.
_TRIES = 5


@dataclass(frozen=True, slots=True)
class Marker:
    """What a place says of itself. ``store``: the id of the store that first used it."""

    place: str
    store: str

    def encode(self) -> bytes:
        return json.dumps(asdict(self)).encode()


@dataclass(frozen=True, slots=True)
class SeenPlace:
    """A place of a store as it was found."""

    where: str
    address: str
    marker: Marker | None


class Places:
    def __init__(self, repository: PlaceRepository) -> None:
        self._repository = repository
        self._agreed: dict[str, frozenset[str]] = {}
        #: Places that take no marker, and that the operator was told of.
        self._unmarked: set[tuple[str, str]] = set()

    def known(self, store_id: str) -> bool:
        """Whether the store was in use before."""
        return self._repository.get(store_id) is not None

    def used(self, store_id: str) -> bool:
        """Whether there is something that must be there."""
        return self.known(store_id) or bool(self._repository.holding(store_id, limit=1))

    def start(
        self, store: Store, *, read_only: bool = False, look: bool = False, judge: Callable[[Store], None] | None = None
    ) -> None:
        """Start it, and see that its data is there. The place of a store that was never used is made, and marked,
        unless ``judge`` raises. ``look``: nothing is made, marked or recorded.

        Raises StoreError, ConfigError, with the operator's part of the message as a note; the store is closed then."""
        if not look and not self.used(store.name):
            store.create()
        store.start()
        try:
            if judge is not None:
                judge(store)
            if look:
                self.compare(store)
            else:
                self._settle(store, read_only=read_only)
        except BaseException:
            store.close()
            raise

    def check(self, store: Store, *, read_only: bool = False) -> None:
        """Is its data still there? Asks the store, and the database only when its answer is another one than before.
        Raises as ``start``."""
        if Cap.MARK in store.caps and frozenset(x.marker.place for x in survey(store) if x.marker) != self._agreed.get(
            store.name
        ):
            self._settle(store, read_only=read_only)

    def compare(self, store: Store) -> None:
        """Look at a started store; nothing is marked or recorded. Raises as ``start``."""
        if Cap.MARK in store.caps:
            self._compared(store)

    def adopt(self, store: Store, *, former: Sequence[str] = (), force: bool = False) -> StorePlaces:
        """Record the places of a started store as they are now, and mark those that are not: the operator has moved the
        data.

        ``former``: more addresses that its only place had. Some of the data that images have in the store must be
        there, unless ``force``. Raises PlaceMissing, ConfigError, ConcurrentChange."""
        record, seen = self._repository.get(store.name), survey(store)
        self._refuse_taken(store.name, seen, record)
        addresses = {x.id: x.addresses for x in record.places} if record else {}
        gone = [x for x in addresses if x not in {y.marker.place for y in seen if y.marker}]
        fresh = [x for x in seen if x.marker is None or x.marker.place not in addresses]
        inherited = addresses[gone[0]] if len(gone) == len(fresh) == 1 else ()  # moved without its marker
        if former and len(seen) != 1:
            raise errors.ConfigError(
                f"--formerly: store {store.name} has {len(seen)} places, and it is not known which of them had that"
                " address; run it without --formerly, with --force"
            )
        for each in seen:
            known = addresses.get(each.marker.place, ()) if each.marker else ()
            store.moved_from(each.where, [*known, *(inherited if each in fresh else ()), *former])
        if not force:
            self._look_for_data(store, seen)
        marked = self._marked(store, seen)
        for before, each in zip(seen, marked, strict=True):
            if each.marker:
                more = [*(inherited if before in fresh else ()), *former]
                addresses[each.marker.place] = tuple(dict.fromkeys([*addresses.get(each.marker.place, ()), *more]))
        after = _recorded(store.name, marked, addresses)
        self._repository.replace(store.name, record, after)
        return after

    # -- inside ------------------------------------------------------------------------------------
    def _settle(self, store: Store, *, read_only: bool) -> None:
        if Cap.MARK not in store.caps:
            return
        for _ in range(_TRIES):
            with contextlib.suppress(errors.ConcurrentChange):
                self._agree(store, read_only=read_only)
                return
        raise errors.StoreUnavailable(
            f"store {store.name}: other processes keep changing the record of its places", store.name
        )

    def _agree(self, store: Store, *, read_only: bool) -> None:
        """Raises ConcurrentChange when another process has recorded something meanwhile."""
        record, seen = self._compared(store)
        marked = [x for x in seen if x.marker] if read_only else self._marked_as_far_as_it_goes(store, seen)
        former = {x.id: x.addresses for x in record.places} if record else {}
        if marked:
            after = _recorded(store.name, marked, former)
            self._repository.replace(store.name, record, after)
            for each in after.places:
                [where] = [x.where for x in marked if x.marker and x.marker.place == each.id]
                store.moved_from(where, each.addresses[1:])
        if read_only or len(marked) == len(seen):
            self._agreed[store.name] = frozenset(x.marker.place for x in marked if x.marker)
        else:
            self._agreed.pop(store.name, None)  # the next check tries again

    def _compared(self, store: Store) -> tuple[StorePlaces | None, list[SeenPlace]]:
        record, seen = self._repository.get(store.name), survey(store)
        self._refuse_taken(store.name, seen, record)
        _refuse_strangers(store.name, seen, record)
        if record is not None:
            _refuse_missing(store.name, seen, record)
        elif any(x.marker is None for x in seen):
            self._look_for_data(store, seen)
        return record, seen

    def _refuse_taken(self, store_id: str, seen: Sequence[SeenPlace], record: StorePlaces | None) -> None:
        """Raises ConfigError when a place, or what it is a copy of, is recorded of another store: each would delete the
        other's data."""
        ours = {x.id for x in record.places} if record else set()
        foreign = [x for x in seen if x.marker and x.marker.place not in ours]
        if not foreign:
            return
        owners = {place.id: x.store for x in self._repository.all() if x.store != store_id for place in x.places}
        for each in foreign:
            owner = owners.get(each.marker.place) if each.marker else None
            if owner is not None:
                raise errors.ConfigError(
                    f"[{store_id}] {each.where}: it is a place of store {owner}, or a copy of one, as its {MARKER}"
                    f" says: name another place; when it is a copy, remove {MARKER} from it; when store {owner} is"
                    f" gone, run: glance-manage store forget {owner}"
                )

    def _marked(self, store: Store, seen: Sequence[SeenPlace]) -> list[SeenPlace]:
        found = []
        for each in seen:
            if each.marker is None:
                marker = _parsed(
                    store.name,
                    PlaceMarker(each.where, store.mark(each.where, Marker(uuid4().hex, store.name).encode())),
                )
                if marker is None or marker.store != store.name:
                    raise errors.ConcurrentChange(f"store {store.name}: another store was quicker to take the place")
                LOG.info("store %s: %s is its place %s", store.name, each.where, marker.place)
                found.append(replace(each, marker=marker))
            else:
                found.append(each)
        return found

    def _marked_as_far_as_it_goes(self, store: Store, seen: Sequence[SeenPlace]) -> list[SeenPlace]:
        """Without places that take no data now: a store that is full, or that may only be read, can still be read."""
        found = []
        for each in seen:
            try:
                found += self._marked(store, [each])
            except (errors.StoreFull, errors.StoreForbidden, errors.StoreReadOnly) as exc:
                if (store.name, each.where) not in self._unmarked:
                    LOG.warning(
                        "store %s: %s gets no marker for now, so it is used without: %s; this is tried again",
                        store.name,
                        each.where,
                        errors.for_operators(exc),
                    )
                    self._unmarked.add((store.name, each.where))
        return found

    def _look_for_data(self, store: Store, seen: Sequence[SeenPlace]) -> None:
        """Some of the data that images have in the store must be there. Raises PlaceMissing."""
        images = self._repository.holding(store.name, limit=SAMPLE)
        urls = [
            x.url
            for image in images
            for x in image.locations
            if x.store == store.name and x.status is not LocationStatus.DELETING
        ]
        if urls and not any(_there(store, x) for x in urls[:SAMPLE]):
            where = next((x.where for x in seen if x.marker is None), seen[0].where)
            raise _away(
                store.name,
                where,
                f"images have data in this store, and none of {len(urls[:SAMPLE])} that were looked for is there",
                "--force ",
            )


def needed_but_not_configured(repository: PlaceRepository, configured: Collection[str]) -> dict[str, str]:
    """Stores that images have data in, and that the configuration does not name: what the operator is told of each."""
    return {
        x: (
            f"[DEFAULT] enabled_backends: {repository.count(x)} images have data in store {x}, which is not among them:"
            " it can neither be read nor deleted; name the store again with its section"
        )
        for x in repository.needed()
        if x not in configured
    }


def survey(store: Store) -> list[SeenPlace]:
    """The store's places as they are. Raises ConfigError for what is no marker, or one place twice; StoreError."""
    found = [SeenPlace(x.where, x.address, _parsed(store.name, x)) for x in store.markers()]
    seen: dict[str, str] = {}
    for each in found:
        other = seen.setdefault(each.marker.place, each.where) if each.marker else each.where
        if other != each.where:
            raise errors.ConfigError(
                f"[{store.name}] {each.where}: its marker is that of {other}: one is a copy of the other; name one of"
                f" them, or remove {MARKER} from the copy"
            )
    return found


def _parsed(store_id: str, place: PlaceMarker) -> Marker | None:
    """Raises ConfigError."""
    if place.content is None:
        return None
    try:
        if len(place.content) > MARKER_SIZE:
            raise ValueError
        value = json.loads(place.content)
        marker = Marker(value["place"], value["store"])
    except (KeyError, TypeError, ValueError):
        marker = Marker("", "")
    if not (isinstance(marker.place, str) and isinstance(marker.store, str) and marker.place and marker.store):
        raise errors.ConfigError(
            f"[{store_id}] {place.where}: {MARKER} there is no marker of this service: name the right place, or"
            " remove it"
        )
    return marker


def _recorded(store_id: str, marked: Sequence[SeenPlace], former: dict[str, tuple[str, ...]]) -> StorePlaces:
    places = []
    for each in marked:
        if each.marker:
            before = former.get(each.marker.place, ())
            known = [*([each.address] if each.address else []), *(x for x in before if x != each.address)]
            places.append(Place(each.marker.place, tuple(known[:_ADDRESSES])))
    return StorePlaces(store_id, tuple(sorted(places, key=lambda x: x.id)))


def _refuse_strangers(store_id: str, seen: Sequence[SeenPlace], record: StorePlaces | None) -> None:
    """Raises ConfigError when a place is another one than it should be."""
    for each in seen:
        if each.marker is None:
            continue
        if record is None and each.marker.store != store_id:
            raise errors.ConfigError(
                f"[{store_id}] {each.where}: it is a place of store {each.marker.store}, as its {MARKER} says: name"
                f" another place, or, when this one is right, run: glance-manage store adopt {store_id}"
            )
        if record is not None and all(x.id != each.marker.place for x in record.places):
            expected = " or ".join(
                f"{x.id}{f', last at {x.addresses[0]}' if x.addresses else ''}" for x in record.places
            )
            raise errors.ConfigError(
                f"[{store_id}] {each.where}: it is place {each.marker.place} of store {each.marker.store}, as its"
                f" {MARKER} says, and the data of this store lies in place {expected}: name the right place, or, when"
                f" this one is right, run: glance-manage store adopt {store_id}"
            )


def _refuse_missing(store_id: str, seen: Sequence[SeenPlace], record: StorePlaces) -> None:
    """Raises PlaceMissing when a place that is expected is not there."""
    there = {x.marker.place for x in seen if x.marker}
    missing = [x for x in record.places if x.id not in there]
    if missing:
        unmarked = [x.where for x in seen if x.marker is None]
        place = f"place {missing[0].id}{f', last at {missing[0].addresses[0]},' if missing[0].addresses else ''}"
        if unmarked:
            raise _away(store_id, unmarked[0], f"there is no {MARKER}, which {place} of this store has")
        raise _away(store_id, "places", f"{place} is none of those that are configured")


def _away(store_id: str, where: str, what: str, flag: str = "") -> errors.PlaceMissing:
    found = errors.PlaceMissing(f"store {store_id} is not available: its data is not there", store_id)
    found.add_note(
        f"[{store_id}] {where}: {what}: is it mounted? Mount it, or name the right place; when the data was moved on"
        f" purpose, or is gone for good, run: glance-manage store adopt {flag}{store_id}"
    )
    return found


def _there(store: Store, url: str) -> bool:
    try:
        store.size(url)
    except (errors.BlobNotFound, errors.BadLocation):
        return False
    return True
