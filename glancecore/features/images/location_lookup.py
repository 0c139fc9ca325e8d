"""Data at a location that a caller names: which stores read it, whose it is, and what its beginning tells."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from urllib.parse import urlsplit

from glancecore.domain import errors
from glancecore.domain.context import Context
from glancecore.domain.image import Attachment, Image, Location
from glancecore.kernel.lookups import Check, Lookups
from glancecore.kernel.transfer.blobs import Blobs
from glancecore.kernel.transfer.inspection import InspectionRules, Inspector
from glancecore.kernel.transfer.store_facade import StoreFacade
from glancecore.kernel.transfer.stores import Stores
from glancecore.ports.store import Cap

#: URLs that a caller may never name: they lead into the service's own machine, or to credentials of its configuration.
REFUSED_SCHEMES = frozenset({"file", "filesystem", "swift+config"})
#: Bytes that are read of data at a location before it is taken: enough to tell its format.
HEAD = 4 << 20


@dataclass(frozen=True, slots=True)
class NamedLocation:
    """A location as a caller gives it. ``checksum`` (md5) and the hash are what its data must have, lower-case hex."""

    url: str = field(repr=False)
    metadata: Mapping[str, str] = field(default_factory=dict)
    checksum: str | None = None
    hash_algo: str | None = None
    hash_value: str | None = None


class LocationLookup:
    """``hashing``: data of added locations is read and hashed."""

    def __init__(
        self, stores: Stores, blobs: Blobs, lookups: Lookups, *, hashing: bool, inspection: InspectionRules
    ) -> None:
        self._stores = stores
        self._blobs = blobs
        self._lookups = lookups
        self._hashing = hashing
        self._inspection = inspection

    def readers(self, ctx: Context, wanted: NamedLocation) -> Sequence[StoreFacade]:
        """The stores that read such URLs, of those that the caller may name data in; nobody is asked. Raises
        BadLocation, UnknownStore, Forbidden."""
        scheme = _scheme(wanted.url)
        if scheme in REFUSED_SCHEMES:
            raise errors.BadLocation(f"url: {scheme}:// locations are made by the service only")
        named = wanted.metadata.get("store")
        readers = [x for x in ([self._stores.get(named)] if named else self._stores) if scheme in x.schemes]
        if not readers:
            raise errors.BadLocation(
                f"url: no store here reads {scheme or 'such'} locations"
                if not named
                else f"url: store {named} reads no {scheme or 'such'} locations"
            )
        allowed = readers if "service" in ctx.roles else [x for x in readers if x.offers(Cap.EXTERNAL)]
        if not allowed:
            raise errors.Forbidden(
                "only a service may add a location in a store of the cloud; yours must be on a web server"
            )
        return allowed

    def find(
        self, ctx: Context, wanted: Sequence[tuple[Image, NamedLocation, Sequence[StoreFacade]]]
    ) -> Sequence[Attachment]:
        """Ask the stores, for all of them within one time limit. Raises BadLocation, BadContent, Conflict (another
        image's bytes), ServerBusy (too many at once)."""
        if not wanted:
            return ()
        return self._lookups.run(
            lambda check: [self._find(image, location, readers, check) for image, location, readers in wanted],
            ctx.project,
            outside=any(x.offers(Cap.EXTERNAL) for _, _, readers in wanted for x in readers),
        )

    def hashes(self, location: Location) -> bool:
        """Whether its data is read and hashed before or after it is used: always when others may change it."""
        return self._hashing or not self._stores.vouch(location)

    def look_at(self, store: StoreFacade, url: str, size: int, image: Image, check: Check) -> int | None:
        """Inspect the beginning; the whole is inspected when it is hashed."""
        inspector = Inspector(image.disk_format or "", image.container_format or "", self._inspection)
        if size:
            with contextlib.closing(store.open(url, 0, min(size, HEAD))) as pieces:
                for piece in pieces:
                    check()
                    inspector.update(piece)
        if size <= HEAD:
            return inspector.finish()
        if inspector.wants_end:
            with contextlib.closing(store.open(url, size - 512, 512)) as end:
                return inspector.ends(size, b"".join(end))
        return inspector.so_far() or (size if image.disk_format in ("raw", "iso") else None)

    # -- inside ------------------------------------------------------------------------------------
    def _find(self, image: Image, wanted: NamedLocation, readers: Sequence[StoreFacade], check: Check) -> Attachment:
        failure: errors.StoreError | None = None
        for store in readers:
            check()
            try:
                url = store.canonical(wanted.url)
                known = next((x for x in image.live_locations if (x.store, x.url) == (store.id, url)), None)
                if known is not None:
                    return named_again(image, known, wanted)
                if store.draining:
                    raise errors.Conflict(f"url: it leads to store {store.id}, which is draining: it takes no new data")
                self._blobs.check_free(image, store, url)
                size = store.size(url)
                virtual_size = self.look_at(store, url, size, image, check)
            except errors.StoreError as exc:
                failure = exc
                continue
            location = Location(url, store.id, {**wanted.metadata, "store": store.id})
            return Attachment(
                location,
                size,
                virtual_size,
                wanted.checksum,
                wanted.hash_algo,
                wanted.hash_value,
                (image.disk_format, image.container_format),
                unproved=wanted.hash_value is not None and self.hashes(location),
            )
        raise errors.BadLocation(f"url does not pass filtering: {failure}") from failure


def named_again(image: Image, known: Location, wanted: NamedLocation) -> Attachment:
    """A location that the image has; what is said of it may change."""
    return Attachment(replace(known, metadata={**wanted.metadata, "store": known.store}), image.size or 0)


def _scheme(url: str) -> str:
    try:
        return urlsplit(url).scheme
    except ValueError:
        return ""
