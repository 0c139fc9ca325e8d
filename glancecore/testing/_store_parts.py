"""Rules of the store kit about blobs that come in parts."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import suppress

import pytest

from glancecore.domain import errors
from glancecore.ports.store import Cap, Store, StoredPart
from glancecore.testing import _store_process
from glancecore.testing._store_base import StoreKit
from glancecore.testing._store_harness import MIB, Backdoor, Reach, SourceBroke, broken, needs, reaches, sample
from glancecore.testing._store_machine import split

#: Bytes of the least part from which on the beginning needs not be read again.
UNREAD = 8 * MIB


class PartsRules(StoreKit):
    #: Bytes that a part of the rules has at least; filled by the kit from what the store wants.
    least: int = MIB

    @pytest.fixture(autouse=True)
    def _large_enough(self, store: Store) -> None:
        self.least = max(MIB, store.least_part)

    def part(self, number: int) -> bytes:
        """The bytes of a part, of another size than its neighbours'."""
        return sample(self.least + 7 + number, number)

    def begun(self, store: Store, key: str, *parts: bytes) -> tuple[str, list[StoredPart]]:
        """The handle, and these parts, which have come."""
        handle, found = store.begin_parts(None, key), list[StoredPart]()
        for data in parts:
            self.add(store, key, handle, found, len(found), data)
        return handle, found

    def add(self, store: Store, key: str, handle: str, parts: list[StoredPart], number: int, data: bytes) -> None:
        store.put_part(key, handle, number, sum(x.size for x in parts), split(data, [0, 1, 700]))
        parts.append(StoredPart(number, len(data)))

    def completed(self, store: Store, key: str, handle: str, parts: Sequence[StoredPart]) -> str:
        url = store.complete_parts(key, handle, parts)
        self._urls.append(url)
        return url

    @needs(Cap.PARTS)
    @pytest.mark.parametrize("size", [1, 1000, "like the others"])
    def test_parts_become_the_blob(self, store: Store, backdoor: Backdoor | None, size: int | str) -> None:
        """Whatever process they go on in; the last one is as small as it comes, and numbers may be missing."""
        key, numbers = self.key(), [0, 1, 5, 7]
        contents = [self.part(x) if x != 7 or isinstance(size, str) else sample(size) for x in numbers]
        total = sum(map(len, contents))
        handle, parts = store.begin_parts(None, key, total), list[StoredPart]()
        assert len(handle) <= 1000
        for number, data in zip(numbers, contents, strict=True):
            other = self.again(store)
            self.add(other, key, handle, parts, number, data)
            other.close()
        url = self.completed(store, key, handle, parts)
        self.assert_stored(store, backdoor, url, b"".join(contents))
        assert store.canonical(url) == url
        if Cap.LIST in store.caps:
            assert [(x.key, x.size) for x in store.list()] == [(key, total)]

    @needs(Cap.PARTS, Cap.WRITE, Cap.DELETE)
    def test_parts_can_not_be_opened_before_they_are_complete(self, store: Store, backdoor: Backdoor | None) -> None:
        key = self.key()
        url = self.put(store, b"first", key=key)
        store.delete(url)
        handle, parts = self.begun(store, key)
        for number in range(2):
            self.assert_absent(store, backdoor, url)
            self.add(store, key, handle, parts, number, self.part(number))
            if Cap.LIST in store.caps:
                assert list(store.list()) == [], "an unfinished blob is listed"
        self.assert_absent(store, backdoor, url)
        assert self.completed(store, key, handle, parts) == url

    @reaches(Reach.PROCESSES)
    @needs(Cap.PARTS)
    def test_parts_outlive_a_writer_that_is_killed(self, store: Store, backdoor: Backdoor | None) -> None:
        key = self.key()
        handle, parts = self.begun(store, key, self.part(0))
        answer = _store_process.run(
            store, "part and die", self.patience, key=key, handle=handle, number=1, offset=parts[0].size, size=1000
        )
        assert answer is None
        self.assert_stored(
            store,
            backdoor,
            self.completed(store, key, handle, [*parts, StoredPart(1, 1000)]),
            self.part(0) + sample(1000),
        )

    @needs(Cap.PARTS)
    def test_a_part_that_failed_counts_for_nothing(self, store: Store, backdoor: Backdoor | None) -> None:
        """Nor one that is not named in the end. What comes in its place may be smaller, and may be zeros."""
        key, broke = self.key(), SourceBroke()
        handle, parts = self.begun(store, key, self.part(0))
        with pytest.raises(SourceBroke) as caught:
            store.put_part(key, handle, 1, parts[0].size, broken(self.part(9) * 2, broke))
        assert caught.value is broke
        self.add(store, key, handle, parts, 1, bytes(len(self.part(1))))
        store.put_part(key, handle, 2, sum(x.size for x in parts), [self.part(8)])
        self.add(store, key, handle, parts, 3, b"end")
        self.assert_stored(
            store, backdoor, self.completed(store, key, handle, parts), self.part(0) + bytes(len(self.part(1))) + b"end"
        )

    @needs(Cap.PARTS)
    @pytest.mark.parametrize("complete", [False, True])
    def test_what_a_writer_sends_that_was_overtaken_changes_nothing(
        self, store: Store, backdoor: Backdoor | None, *, complete: bool
    ) -> None:
        """However late it wakes up: the bytes of the newer part are hashed already."""
        key, overtaken, over = self.key(), threading.Event(), threading.Event()
        handle, parts = self.begun(store, key, self.part(0))
        at, other = parts[0].size, self.again(store)

        def late() -> Iterator[bytes]:
            yield sample(1000, 9)
            overtaken.set()
            over.wait(self.patience)
            yield sample(max(MIB, store.least_part), 9)

        def older() -> None:
            with suppress(errors.StoreError):
                other.put_part(key, handle, 1, at, late())

        thread = threading.Thread(target=older)
        thread.start()
        assert overtaken.wait(self.patience)
        self.add(store, key, handle, parts, 2, self.part(2))
        if complete:
            self.completed(store, key, handle, parts)
        over.set()
        thread.join(self.patience)
        assert not thread.is_alive()
        other.close()
        self.assert_stored(
            store,
            backdoor,
            store.complete_parts(key, handle, parts) if complete else self.completed(store, key, handle, parts),
            self.part(0) + self.part(2),
        )

    @needs(Cap.PARTS)
    def test_parts_can_be_read_before_they_are_complete(self, store: Store) -> None:
        """Or the first part has all that tells the format."""
        key = self.key()
        if store.least_part >= UNREAD:
            return
        handle, parts = self.begun(store, key, self.part(0), self.part(1))
        other = self.again(store)
        for count in (1, 2):
            assert b"".join(other.open_parts(key, handle, parts[:count])) == b"".join(
                self.part(x) for x in range(count)
            )
        other.close()
        store.discard(key)
        with pytest.raises(errors.BlobNotFound):
            b"".join(store.open_parts(key, handle, parts))

    @needs(Cap.PARTS)
    def test_who_completes_again_is_told_the_same(self, store: Store, backdoor: Backdoor | None) -> None:
        """The first one may have died before it was told."""
        key = self.key()
        handle, parts = self.begun(store, key, self.part(0), self.part(1))
        url, other = self.completed(store, key, handle, parts), self.again(store)
        assert other.complete_parts(key, handle, parts) == url
        other.close()
        self.assert_stored(store, backdoor, url, self.part(0) + self.part(1))

    @needs(Cap.PARTS, Cap.DELETE)
    def test_nothing_is_left_of_parts_that_were_discarded(self, store: Store, backdoor: Backdoor | None) -> None:
        """Also of a key that was begun twice, by who was not told."""
        before, key = self.names(store, backdoor), self.key()
        for contents in ([], [self.part(0)], [self.part(0), self.part(1)]):
            handle, parts = self.begun(store, key, *contents)
            store.begin_parts(None, key)
            store.discard(key)
            assert self.names(store, backdoor) == before
            with pytest.raises(errors.BlobNotFound):
                store.put_part(key, handle, 8, 0, [b"late"])
            with pytest.raises(errors.BlobNotFound):
                store.complete_parts(key, handle, parts or [StoredPart(0, 1)])
        handle, parts = self.begun(store, key, b"all")
        store.begin_parts(None, key)
        store.delete(store.complete_parts(key, handle, parts))
        assert self.names(store, backdoor) == before

    @needs(Cap.PARTS, Cap.WRITE)
    def test_parts_never_replace_a_blob(self, store: Store, backdoor: Backdoor | None) -> None:
        key = self.key()
        handle, parts = self.begun(store, key, b"other")
        url = self.put(store, b"blob", key=key)
        for _ in range(2):
            with pytest.raises(errors.BlobExists):
                store.complete_parts(key, handle, parts)
        with pytest.raises(errors.BlobExists):
            store.begin_parts(None, key)
        self.assert_stored(store, backdoor, url, b"blob")
        store.discard(key)

    @needs(Cap.PARTS, Cap.WRITE, Cap.DELETE)
    def test_parts_that_are_not_all_there_become_no_blob(self, store: Store, backdoor: Backdoor | None) -> None:
        key = self.key()
        url = self.put(store, b"first", key=key)
        store.delete(url)
        handle, parts = self.begun(store, key, self.part(0), b"end")
        with pytest.raises(errors.SizeMismatch):
            store.complete_parts(key, handle, [*parts, StoredPart(4, 1000)])
        self.assert_absent(store, backdoor, url)
        assert self.completed(store, key, handle, parts) == url
        self.assert_stored(store, backdoor, url, self.part(0) + b"end")
