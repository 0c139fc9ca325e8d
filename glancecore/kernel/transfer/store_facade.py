"""One store behind a facade: error wrapping, metrics and health, once for every driver."""

from __future__ import annotations

import contextlib
import logging
import threading
import time
import weakref
from collections.abc import Callable, Container, Generator, Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from glancecore.domain import errors
from glancecore.domain.image import Location
from glancecore.kernel import metrics
from glancecore.kernel.outages import Outage
from glancecore.kernel.transfer.refusals import Refusals
from glancecore.kernel.transfer.store_settings import DirectDownload, StoreSettings
from glancecore.kernel.transfer.streams import MeteredSource, part
from glancecore.ports.store import Cap, Store, StoredBlob, StoredPart
from glancecore.sdk import tracing
from glancecore.sdk.tracing import Span

LOG = logging.getLogger(__name__)
#: They yield from inside: what begins meanwhile is somebody else's.
_STREAMS = frozenset({"read", "list"})


class _Held:
    """A started driver. Whatever uses it keeps this, so a driver that was left is closed when nothing does any more."""

    def __init__(self, store: Store) -> None:
        self.store = store


class StoreFacade:
    """One store as the use cases see it. What a driver raises beside the named errors becomes StoreError, once.

    ``store`` None: it is not available; ``start`` makes it, when what was wrong has passed."""

    def __init__(
        self,
        settings: StoreSettings,
        store: Store | None,
        start: Callable[[], Store] | None = None,
        check: Callable[[Store], None] | None = None,
        *,
        missing: bool = False,
        drains: Container[str] = (),
    ) -> None:
        """``check``: whether its data is still there; raises as ``start`` does when it is not. ``missing``: it was not
        when it was started. ``drains``: the ids of stores that take no new data, at the moment when it is asked."""
        self.settings = settings
        self._held = _Held(store) if store is not None else None
        self._swapping = threading.Lock()
        self._start = start
        self._check = check
        self._missing = missing
        self._drains = drains
        self._has_room = True
        self._refusals = Refusals(LOG, settings.id)
        self.unavailable_because = settings.unavailable_because
        self._outage = Outage(LOG, f"store {settings.id}", known=settings.unavailable_because is not None)
        self._tried = time.monotonic()

    @property
    def id(self) -> str:
        return self.settings.id

    @property
    def _told(self) -> Mapping[str, str]:
        """What spans tell of it."""
        return {"glance.store.id": self.id, "glance.store.driver": self.settings.driver}

    @property
    def _store(self) -> Store | None:
        return held.store if (held := self._held) else None

    @property
    def available(self) -> bool:
        return self._store is not None

    @property
    def writable(self) -> bool:
        return not self.settings.read_only and self.offers(Cap.WRITE) and not self.draining

    @property
    def draining(self) -> bool:
        """The operator takes it out of service: nothing new comes, what is there is read and deleted."""
        return self.id in self._drains

    @property
    def takes_data(self) -> bool:
        """Whether new data may come: it is writable, has room as far as it is known, and did not refuse what came
        last."""
        return self.available and self.writable and self._has_room and not self._refusals.last_was_refused

    def full(self, size: int | None) -> bool:
        """Whether it is known to have no room for so many bytes (None: for any). Asked before the bytes come."""
        if self._refusals.full_lately:
            return True
        try:
            free = self.free()
        except errors.StoreError:
            return False
        return free is not None and free < max(1, size or 0)

    def offers(self, cap: Cap) -> bool:
        store = self._store
        return store is not None and cap in store.caps

    @property
    def schemes(self) -> tuple[str, ...]:
        return store.schemes if (store := self._store) else ()

    @property
    def least_part(self) -> int:
        return store.least_part if (store := self._store) else 0

    @property
    def most_parts(self) -> int | None:
        return store.most_parts if (store := self._store) else None

    @property
    def places(self) -> Sequence[str]:
        return store.place.split("+") if (store := self._store) else ()

    @property
    def properties(self) -> Mapping[str, object]:
        return store.properties if (store := self._store) else {}

    def put(self, key: str, chunks: Iterable[bytes], size: int | None = None, *, owner: str | None = None) -> Location:
        """Store the bytes of a project's image; see ``Store.put_for``. The exceptions of ``chunks`` pass unchanged."""
        source = MeteredSource(chunks)
        with self._wrapped("put", source) as span, self._refusals.noting():
            url = self._writable("put").put_for(owner, key, source, size)
            span.note("glance.store.bytes", source.seen)
        metrics.STORE_BYTES.labels(self.id, "in").inc(source.seen)
        return self.location(url)

    def adopt(self, key: str, path: Path) -> Location:
        """Take over a local file; see ``Store.adopt``."""
        with self._wrapped("adopt"), self._refusals.noting():
            return self.location(self._writable("adopt").adopt(key, path))

    def begin_parts(self, key: str, size: int | None, *, owner: str | None) -> str:
        """The data of a project's image comes in parts; see ``Store.begin_parts``."""
        with self._wrapped("begin_parts"), self._refusals.noting():
            return self._writable("begin_parts").begin_parts(owner, key, size)

    def put_part(self, key: str, handle: str, number: int, offset: int, chunks: Iterable[bytes]) -> int:
        """One part, and its size; see ``Store.put_part``. The exceptions of ``chunks`` pass unchanged."""
        source = MeteredSource(chunks)
        with self._wrapped("put_part", source) as span, self._refusals.noting():
            driver = self._driver()
            if not self.writable and not self.draining:  # what was begun before it drains goes on
                self.require_writable("put_part")
            driver.put_part(key, handle, number, offset, source)
            span.note("glance.store.bytes", source.seen)
        metrics.STORE_BYTES.labels(self.id, "in").inc(source.seen)
        return source.seen

    def open_parts(self, key: str, handle: str, parts: Sequence[StoredPart]) -> Generator[bytes, None, None]:
        """See ``Store.open_parts``."""
        with self._wrapped("open_parts"):
            held = self._driver_held()
            pieces = held.store.open_parts(key, handle, parts)
        return self._reading(pieces, held)

    def complete_parts(self, key: str, handle: str, parts: Sequence[StoredPart]) -> Location:
        """See ``Store.complete_parts``."""
        with self._wrapped("complete_parts"), self._refusals.noting():
            return self.location(self._driver().complete_parts(key, handle, parts))

    def open(self, url: str, offset: int = 0, length: int | None = None) -> Generator[bytes, None, None]:
        """Bytes of a blob; a store without ranges reads and discards what lies before ``offset``."""
        with self._wrapped("open"):
            held = self._driver_held()
            store = held.store
            if (offset == 0 and length is None) or Cap.RANGE in store.caps:
                pieces = store.open(url, offset, length)
            else:
                pieces = part(store.open(url), offset, length)
        return self._reading(pieces, held)

    @property
    def vouches(self) -> bool:
        """Only this service changes its bytes: they are what they were when they came."""
        store = self._store
        return store is not None and Cap.EXTERNAL not in store.caps

    def canonical(self, url: str) -> str:
        """The one text for the blob that ``url`` names; see ``Store.canonical``."""
        with self._wrapped("canonical"):
            return self._driver().canonical(url)

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
        if not self.offers(Cap.LOCAL):
            return None
        with self._wrapped("local_path"):
            return self._driver().local_path(url)

    def direct_url(self, url: str, asked: bool | None) -> str | None:
        """A URL that a client may read the blob at by itself for a short time; None when it is to be passed on.
        ``asked``: what the client says about it, None for nothing."""
        mode = self.settings.direct_download
        if (
            mode is DirectDownload.NEVER
            or asked is False
            or (mode is DirectDownload.ASKED and not asked)
            or not self.offers(Cap.PRESIGN)
        ):
            return None
        with self._wrapped("presign"):
            return self._driver().presign(url, self.settings.direct_seconds)

    def ping(self) -> None:
        """Whether it answers, and its data is there; without its data it is not available from now on. Raises
        StoreError."""
        with self._wrapped("ping"):
            held = self._driver_held()
            driver = held.store
            self._answers(driver)
            if self._check is not None:
                try:
                    self._check(driver)
                except (errors.PlaceMissing, errors.ConfigError) as exc:
                    if not self._leave(held, exc):
                        raise errors.StoreUnavailable(f"store {self.id} was started anew meanwhile", self.id) from exc
                    raise errors.PlaceMissing(
                        f"store {self.id} is not available: its data is not there", self.id
                    ) from exc

    def _answers(self, driver: Store) -> None:
        try:
            driver.ping()
            free = driver.free()
            self._has_room = free != 0
            if free is not None:
                metrics.STORE_FREE.labels(self.id).set(free)
        except errors.StoreError as exc:
            self._outage.began(str(exc))
            raise
        except Exception as exc:  # whatever a plugin raises
            self._outage.began(f"{type(exc).__name__}: {exc}", unexpected=True)
            raise errors.StoreError(f"store {self.id} failed", self.id, "ping") from exc
        self._outage.ended()

    def location(self, url: str) -> Location:
        return Location(url=url, store=self.id, metadata={"store": self.id})

    def revive(self, taken: Mapping[str, str], rest: float) -> bool:
        """Start it, if it is not available and this was not tried in the last ``rest`` seconds: whether it is available
        now. ``taken``: the places of other stores; one that lies there is not started."""
        if self._store is not None or self._start is None or time.monotonic() - self._tried < rest:
            return False
        self._tried = time.monotonic()
        try:
            started = self._start()
        except errors.GlanceError as exc:
            self.unavailable_because, self._missing = errors.for_operators(exc), isinstance(exc, errors.PlaceMissing)
            self._outage.began(self.unavailable_because)
        except Exception as exc:  # noqa: BLE001 (whatever a plugin raises; it is logged)
            self._outage.began(f"{type(exc).__name__}: {exc}", unexpected=True)
        else:
            others = [taken[x] for x in started.place.split("+") if x in taken]
            if others:
                LOG.error("store %s has the same place for its data as %s: it stays unavailable", self.id, others[0])
                started.close()
                self._start = None
            else:
                with self._swapping:
                    self._held, self.unavailable_because, self._missing = _Held(started), None, False
                self._outage.ended()
                return True
        return False

    def close(self) -> None:
        if (store := self._store) is not None:
            store.close()

    # -- inside ------------------------------------------------------------------------------------
    def _leave(self, held: _Held, exc: errors.GlanceError) -> bool:
        """Until it is started anew. Transfers that are under way end as they can: its driver is closed after them.
        False when this was done before."""
        with self._swapping:
            if self._held is not held:
                return False
            self._held, self.unavailable_because, self._missing = None, errors.for_operators(exc), True
        self._outage.began(self.unavailable_because)
        weakref.finalize(held, _close_left, self.id, held.store).atexit = False
        return True

    def _driver(self) -> Store:
        return self._driver_held().store

    def _driver_held(self) -> _Held:
        held = self._held
        if held is None:
            LOG.debug("store %s is asked for while it is not available: %s", self.id, self.unavailable_because)
            if self._missing:
                raise errors.PlaceMissing(f"store {self.id} is not available: its data is not there", self.id)
            raise errors.StoreUnavailable(f"store {self.id} is not available", self.id)
        return held

    def _writable(self, operation: str) -> Store:
        driver = self._driver()
        self.require_writable(operation)
        return driver

    def require_writable(self, operation: str = "") -> None:
        """Raises StoreDraining, StoreReadOnly."""
        if self.draining:
            raise errors.StoreDraining(
                f"store {self.id} is draining: it takes no new data; name another store, or none", self.id, operation
            )
        if not self.writable:
            raise errors.StoreReadOnly(f"store {self.id} takes no new data", self.id, operation)

    def _reading(self, pieces: Iterator[bytes], held: _Held) -> Generator[bytes, None, None]:
        seen = 0
        try:
            with self._wrapped("read") as span:
                for piece in pieces:
                    seen += len(piece)
                    yield piece
                span.note("glance.store.bytes", seen)
        finally:
            metrics.STORE_BYTES.labels(self.id, "out").inc(seen)
            close = getattr(pieces, "close", None)
            if close:
                close()
            del held

    @contextlib.contextmanager
    def _wrapped(self, operation: str, source: MeteredSource | None = None) -> Iterator[Span]:
        held = self._held  # as long as this lasts
        start = time.monotonic()
        outcome = "ok"
        try:
            with tracing.span(
                f"store {operation}", attributes=self._told if tracing.on() else None, current=operation not in _STREAMS
            ) as span:
                yield span
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
            del held


def _close_left(store_id: str, store: Store) -> None:
    try:
        store.close()
    except Exception:  # whatever a plugin raises
        LOG.exception("the former driver of store %s could not be closed", store_id)
