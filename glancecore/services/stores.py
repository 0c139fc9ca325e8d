"""The stores behind one facade: error wrapping, metrics, health and choice, once for every driver."""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from glancecore.domain import errors
from glancecore.domain.image import Location
from glancecore.domain.lease import BlobRef
from glancecore.ports.store import Cap, Store, StoredBlob
from glancecore.services import metrics

LOG = logging.getLogger(__name__)
#: Seconds between two tries to start a store that is not available.
_REVIVAL = 5.0


class DirectDownload(StrEnum):
    """Which clients are sent to the backend itself: none, those that ask, all but those that ask not to be."""

    NEVER = "never"
    ASKED = "asked"
    ALWAYS = "always"


@dataclass(frozen=True, slots=True)
class StoreSettings:
    """The operator's word about one store. ``fault``: why its driver could not be loaded or started."""

    id: str
    driver: str
    description: str | None = None
    weight: int = 0
    read_only: bool = False
    fault: str | None = None
    direct_download: DirectDownload = DirectDownload.NEVER
    #: How long a signed URL is good.
    direct_seconds: float = 300


class StoreFacade:
    """One store as the use cases see it. What a driver raises beside the named errors becomes StoreError, once.

    ``store`` None: it is not available; ``start`` makes it, when what was wrong has passed."""

    def __init__(self, settings: StoreSettings, store: Store | None, start: Callable[[], Store] | None = None) -> None:
        self.settings = settings
        self._store = store
        self._start = start
        self._tried = time.monotonic()

    @property
    def id(self) -> str:
        return self.settings.id

    @property
    def available(self) -> bool:
        return self._store is not None

    @property
    def writable(self) -> bool:
        return not self.settings.read_only and self.can(Cap.WRITE)

    def can(self, cap: Cap) -> bool:
        return self._store is not None and cap in self._store.caps

    @property
    def schemes(self) -> tuple[str, ...]:
        return self._store.schemes if self._store else ()

    @property
    def places(self) -> Sequence[str]:
        return self._store.place.split("+") if self._store else ()

    @property
    def properties(self) -> Mapping[str, object]:
        return self._store.properties if self._store else {}

    def put(self, key: str, chunks: Iterable[bytes], size: int | None = None, *, owner: str | None = None) -> Location:
        """Store the bytes of a project's image; see ``Store.put_for``. The exceptions of ``chunks`` pass unchanged."""
        source = _Source(chunks)
        with self._wrapped("put", source):
            url = self._writable("put").put_for(owner, key, source, size)
        metrics.STORE_BYTES.labels(self.id, "in").inc(source.seen)
        return self.location(url)

    def adopt(self, key: str, path: Path) -> Location:
        """Take over a local file; see ``Store.adopt``."""
        with self._wrapped("adopt"):
            return self.location(self._writable("adopt").adopt(key, path))

    def open(self, url: str, offset: int = 0, length: int | None = None) -> Generator[bytes, None, None]:
        """Bytes of a blob; a store without ranges reads and discards what lies before ``offset``."""
        with self._wrapped("open"):
            store = self._driver()
            if (offset == 0 and length is None) or Cap.RANGE in store.caps:
                pieces = store.open(url, offset, length)
            else:
                pieces = _part(store.open(url), offset, length)
        return self._reading(pieces)

    def size(self, url: str) -> int:
        with self._wrapped("size"):
            return self._driver().size(url)

    def delete(self, url: str) -> None:
        """Remove a blob; one that is not there is as good as removed."""
        with self._wrapped("delete"), contextlib.suppress(errors.BlobNotFound):
            self._driver().delete(url)

    def discard(self, key: str, *, owner: str | None = None) -> None:
        """Remove what a dead writer left of the project's ``key``."""
        with self._wrapped("discard"):
            self._driver().discard_for(owner, key)

    def list(self) -> Iterator[StoredBlob]:
        """Every finished blob; see ``Store.list``."""
        with self._wrapped("list"):
            yield from self._driver().list()

    def free(self) -> int | None:
        """Bytes that still fit, None when it does not say."""
        with self._wrapped("free"):
            return self._driver().free()

    def local_path(self, url: str) -> Path | None:
        """A local file to send from, None when this store has none."""
        if not self.can(Cap.LOCAL):
            return None
        with self._wrapped("local_path"):
            return self._driver().local_path(url)

    def direct_url(self, url: str, asked: bool | None) -> str | None:
        """A URL that a client may read the blob at by itself for a short time; None when it is to be passed on. ``asked``: what
        the client says about it, None for nothing."""
        mode = self.settings.direct_download
        if mode is DirectDownload.NEVER or asked is False or (mode is DirectDownload.ASKED and not asked) or not self.can(Cap.PRESIGN):
            return None
        with self._wrapped("presign"):
            return self._driver().presign(url, self.settings.direct_seconds)

    def ping(self) -> None:
        with self._wrapped("ping"):
            self._driver().ping()

    def location(self, url: str) -> Location:
        return Location(url=url, store=self.id, metadata={"store": self.id})

    def revive(self, taken: Mapping[str, str], rest: float) -> None:
        """Start it, if it is not available and this was not tried in the last ``rest`` seconds. ``taken``: the places of other stores; one
        that lies there is not started."""
        if self._store is not None or self._start is None or time.monotonic() - self._tried < rest:
            return
        self._tried = time.monotonic()
        try:
            started = self._start()
        except (errors.StoreError, errors.ConfigError) as exc:
            LOG.info("store %s is still not available: %s", self.id, exc)
        except Exception:  # whatever a plugin raises
            LOG.exception("store %s is still not available", self.id)
        else:
            others = [taken[x] for x in started.place.split("+") if x in taken]
            if others:
                LOG.error("store %s has the same place for its data as %s: it stays unavailable", self.id, others[0])
                started.close()
                self._start = None
            else:
                LOG.warning("store %s is available now", self.id)
                self._store = started

    def close(self) -> None:
        if self._store:
            self._store.close()

    # -- inside ------------------------------------------------------------------------------------------------------
    def _driver(self) -> Store:
        if self._store is None:
            LOG.warning("store %s is unavailable: %s", self.id, self.settings.fault)
            raise errors.StoreUnavailable(f"store {self.id} is not available", self.id)
        return self._store

    def _writable(self, operation: str) -> Store:
        driver = self._driver()
        if not self.writable:
            raise errors.StoreReadOnly(f"store {self.id} takes no new data", self.id, operation)
        return driver

    def _reading(self, pieces: Iterator[bytes]) -> Generator[bytes, None, None]:
        seen = 0
        try:
            with self._wrapped("read"):
                for piece in pieces:
                    seen += len(piece)
                    yield piece
        finally:
            metrics.STORE_BYTES.labels(self.id, "out").inc(seen)
            close = getattr(pieces, "close", None)
            if close:
                close()

    @contextlib.contextmanager
    def _wrapped(self, operation: str, source: _Source | None = None) -> Iterator[None]:
        start = time.monotonic()
        outcome = "ok"
        try:
            yield
        except GeneratorExit:
            raise
        except BaseException as exc:
            outcome = getattr(exc, "code", "error")
            if (source is not None and source.failure is exc) or isinstance(exc, errors.GlanceError):
                if isinstance(exc, errors.StoreError):
                    exc.store, exc.operation = exc.store or self.id, exc.operation or operation
                raise
            if not isinstance(exc, Exception):
                raise
            LOG.exception("store %s failed in %s", self.id, operation)
            raise errors.StoreError(f"store {self.id} failed", self.id, operation) from exc
        finally:
            metrics.STORE_SECONDS.labels(self.id, operation, outcome).observe(time.monotonic() - start)


class _Source:
    """Remembers what its source raised, so that the facade can tell it from what the driver raised."""

    def __init__(self, chunks: Iterable[bytes]) -> None:
        self._chunks = chunks
        self.failure: BaseException | None = None
        self.seen = 0

    def __iter__(self) -> Iterator[bytes]:
        try:
            for piece in self._chunks:
                self.seen += len(piece)
                yield piece
        except GeneratorExit:
            raise
        except BaseException as exc:
            self.failure = exc
            raise


def _part(pieces: Iterator[bytes], offset: int, length: int | None) -> Iterator[bytes]:
    """Bytes ``offset`` to ``offset + length`` of a stream that can only be read from its beginning."""
    at, end = 0, None if length is None else offset + length
    try:
        for piece in pieces:
            first, at = at, at + len(piece)
            if at <= offset:
                continue
            yield piece[max(0, offset - first):None if end is None else end - first]
            if end is not None and at >= end:
                return
    finally:
        close = getattr(pieces, "close", None)
        if close:
            close()


class Stores:
    """All configured stores, by id, in the operator's order. ``many``: the deployment names its stores (multi-store)."""

    def __init__(self, stores: Sequence[StoreFacade], default: str, staging: StoreFacade | None = None) -> None:
        self._stores = {x.id: x for x in stores}
        self._staging = staging
        self._reviving = threading.Lock()
        self.default_id = default

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

    def holding(self, location: Location) -> StoreFacade:
        """The store of a recorded location. Raises StoreUnavailable when it is not configured any more."""
        return self.recorded(location.store)

    def recorded(self, store_id: str) -> StoreFacade:
        """The store of that id as it was recorded some time ago. Raises StoreUnavailable when it is not configured any more."""
        if self._staging is not None and store_id == self._staging.id:
            return self._staging
        found = self._stores.get(store_id)
        if found is None:
            raise errors.StoreUnavailable(f"store {store_id} is not configured", store_id)
        return found

    def reading(self, scheme: str) -> list[StoreFacade]:
        """The stores whose locations have that URL scheme."""
        return [x for x in self if scheme in x.schemes]

    def discard(self, ref: BlobRef) -> None:
        """Remove what a dead writer left. Raises StoreError."""
        self.recorded(ref.store).discard(ref.key, owner=ref.owner)

    def remove(self, location: Location) -> None:
        """Delete a copy's bytes; those that a store only reads stay, and only the location goes.

        Raises StoreError: then they are still there."""
        store = self.holding(location)
        if store.can(Cap.DELETE):
            store.delete(location.url)
        elif not store.can(Cap.EXTERNAL):
            raise errors.StoreUnavailable(f"store {store.id} can't delete now", store.id, "delete")

    def by_preference(self, locations: Iterable[Location], prefer: Sequence[str] = ()) -> list[Location]:
        """Locations in the order to read them: preferred stores first, then heavier ones, then as recorded."""
        def rank(location: Location) -> tuple[int, int]:
            store = self._stores.get(location.store)
            first = prefer.index(location.store) if location.store in prefer else len(prefer)
            return first, -(store.settings.weight if store else -(1 << 30))

        return sorted(locations, key=rank)

    def revive(self, rest: float = _REVIVAL) -> None:
        """Start those that were not available, if this was not tried in the last ``rest`` seconds."""
        with self._reviving:  # each of them once
            for store in [x for x in self._all if not x.available]:
                store.revive({place: x.id for x in self._all for place in x.places}, rest)

    def close(self) -> None:
        for store in self._all:
            store.close()

    @property
    def _all(self) -> Sequence[StoreFacade]:
        return [*self, *([self._staging] if self._staging is not None else [])]
