"""What all rules of the store kit stand on: bounds of the work, fixtures, and ways to write, read and look."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import ClassVar, TypeVar
from uuid import uuid4

import pytest

from glancecore.domain import errors
from glancecore.ports.store import CHUNK, MARKER, Cap, Store
from glancecore.testing._store_harness import MIB, Backdoor, Reach
from glancecore.testing._store_watch import watch

AnyStore = TypeVar("AnyStore", bound=Store)


class StoreKit:
    reach: ClassVar[frozenset[Reach]] = frozenset({Reach.PROCESSES})
    #: Bytes of a blob of "several pieces"; odd on purpose.
    big: ClassVar[int] = 5 * MIB + 7
    #: Bytes of the one blob that is looked at around every power of two below.
    large: ClassVar[int] = 16 * MIB + 7
    #: Bytes of the blob that must not fit in ``memory``, the growth allowed to the process.
    huge: ClassVar[int] = 256 * MIB
    memory: ClassVar[int] = 48 * MIB
    threads: ClassVar[int] = 16
    #: Blobs that one thread writes, and blobs that ``list`` must tell.
    rounds: ClassVar[int] = 3
    many: ClassVar[int] = 25
    #: How often an operation is repeated to see a leak, and how many descriptors or threads a driver may keep (pools).
    repeats: ClassVar[int] = 20
    pool: ClassVar[int] = 6
    #: Seconds after which a URL signed for one second must have stopped working.
    expiry: ClassVar[float] = 15.0
    examples: ClassVar[int] = 30
    steps: ClassVar[int] = 30

    #: Seconds after which an operation hangs. No measure of speed: a good store never comes near it.
    patience: ClassVar[float] = 120.0
    #: Rule -> the reach that it wants and the harness has not; filled by the kit.
    unreached: ClassVar[dict[str, Reach]] = {}

    _keys: list[str]
    _urls: list[str]

    # -- fixtures and helpers ----------------------------------------------------------------------
    @pytest.fixture
    def store(self) -> Store:
        pytest.fail("the driver's tests must have a fixture `store`")

    @pytest.fixture
    def neighbour(self) -> Store:
        pytest.fail("the driver's tests must have a fixture `neighbour`: an equal store on another place")

    @pytest.fixture
    def backdoor(self) -> Backdoor | None:
        return None

    @pytest.fixture
    def adoptable(self, tmp_path: Path) -> Path:
        return tmp_path

    @pytest.fixture(autouse=True)
    def _ends_empty(self, store: Store, backdoor: Backdoor | None) -> Iterator[None]:
        self._keys, self._urls = [], []
        watch(store, self.patience)
        before = self.names(store, backdoor)
        yield
        try:
            if Cap.DELETE in store.caps:
                for url in self._urls:
                    with suppress(errors.BlobNotFound):
                        store.delete(url)
                assert self.names(store, backdoor) == before, "the test left something in the backend"
        finally:
            if Cap.DELETE in store.caps:
                for key in self._keys:
                    store.discard(key)
            store.close()
            if backdoor is not None:
                backdoor.unmark()

    def names(self, store: Store, backdoor: Backdoor | None) -> set[str]:
        """All that is known to lie in the backend, but markers: those stay."""
        names = {x for x in backdoor.names() if not x.endswith(MARKER)} if backdoor is not None else set()
        return names | {blob.url for blob in store.list()} if Cap.LIST in store.caps else names

    def key(self, name: str = "") -> str:
        """A key that is discarded after the test."""
        key = name or f"kit-{uuid4()}"
        self._keys.append(key)
        return key

    def put(self, store: Store, data: bytes, key: str = "", size: int | None = None, piece: int = CHUNK) -> str:
        """Store ``data``; it is deleted after the test."""
        url = store.put(key or self.key(), (data[start : start + piece] for start in range(0, len(data), piece)), size)
        self._urls.append(url)
        return url

    def blob(self, store: Store, backdoor: Backdoor | None, data: bytes) -> str:
        """A blob to read: written by the store, or through the back door when it only reads."""
        if Cap.WRITE in store.caps:
            return self.put(store, data)
        assert backdoor is not None, "a store that only reads needs a back door with `make`"
        return backdoor.make(data)

    def again(self, store: AnyStore) -> AnyStore:
        """Another instance on the same settings, as another process would have."""
        other = type(store)(store.name, store.conf)
        watch(other, self.patience)
        other.start()
        return other

    def read(self, store: Store, url: str, offset: int = 0, length: int | None = None) -> bytes:
        return b"".join(store.open(url, offset, length))

    def assert_stored(self, store: Store, backdoor: Backdoor | None, url: str, data: bytes) -> None:
        """``data`` is there by every way of looking."""
        assert store.size(url) == len(data)
        assert self.read(store, url) == data, "the store reads other bytes than were written"
        if backdoor is not None:
            assert backdoor.read(url) == data, "the backend holds other bytes than the store reads"

    def assert_absent(self, store: Store, backdoor: Backdoor | None, url: str) -> None:
        for operation in (store.open, store.size):
            with pytest.raises(errors.BlobNotFound):
                operation(url)
        if backdoor is not None:
            assert backdoor.read(url) is None, "the blob is still in the backend"

    def secrets(self, store: Store) -> set[str]:
        """Values of options that are declared secret."""
        values = {str(store.conf[opt.dest]): opt for opt in store.options if store.conf[opt.dest]}
        return {value for value, opt in values.items() if opt.secret and len(value) > 2}
