"""The kit that certifies a cache driver: one test per rule of ``glancecore.ports.cache``."""

from __future__ import annotations

import hashlib
import io
import math
import os
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import astuple
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, ClassVar, TypeVar
from uuid import uuid4

import pytest
from oslo_config import cfg

from glancecore.domain import errors
from glancecore.ports.cache import Cache, CacheSettings, Fill, RemovalReason, Seal, Tail
from glancecore.testing import _cache_process
from glancecore.testing._cache_process import Other
from glancecore.testing._store_harness import open_things, sample

__all__ = ["Backdoor", "CacheConformance", "make_cache"]

AnyCache = TypeVar("AnyCache", bound=Cache)
KIB = 1 << 10
#: The bound of the kit's caches.
ROOM = 1000 * KIB


class Backdoor:
    """Looks at the cache's room without the cache."""

    def used(self) -> int:
        """Bytes of image data in the room, whole or not, also of removed files that somebody has open."""
        raise NotImplementedError

    def names(self) -> set[str]:
        """All pieces of data that lie there, under whatever names."""
        raise NotImplementedError

    def change(self, image_id: str) -> None:
        """Flip a bit of the entry's data, as a mishap outside of the cache would."""
        raise NotImplementedError

    def litter(self) -> None:
        """Leave data that the cache does not know."""
        raise NotImplementedError

    def break_(self) -> None:
        """Take the room away."""
        raise NotImplementedError

    def mend(self) -> None:
        """Bring it back with all that was in it. Must also work when nothing was broken."""
        raise NotImplementedError


class Told:
    """What the cache has told for the metrics."""

    def __init__(self) -> None:
        self.all: list[tuple[RemovalReason, int]] = []

    def __call__(self, what: RemovalReason, size: int) -> None:
        self.all.append((what, size))


def make_cache(cls: type[AnyCache], folder: Path | None = None, max_size: int = ROOM, **options: Any) -> AnyCache:
    """A started cache of ``cls`` whose section holds ``options``, and nothing that the driver did not declare."""
    cache = _cache_process.build(cls, options, CacheSettings(max_size, folder, Told()))
    assert isinstance(cache, cls)
    cache.start()
    return cache


def seal(data: bytes) -> Seal:
    return Seal(len(data), "sha256", hashlib.sha256(data).hexdigest())


class CacheConformance:
    """Certifies a cache driver. Subclass it in the driver's ``tests/test_conformance.py``::

        class TestFileCache(CacheConformance):
            @pytest.fixture
            def cache(self, tmp_path):
                return make_cache(FileCache, tmp_path / "cache")

            @pytest.fixture
            def backdoor(self, tmp_path):
                return FolderBackdoor(tmp_path / "cache")

    ``cache`` is started, empty, and has the bound that ``make_cache`` gives it unless told otherwise. The kit closes
    it. A rule that can't hold for a cache is switched off by its name with the reason beside it."""

    #: How often an operation is repeated to see a leak, and how many descriptors or threads a driver may keep.
    repeats: ClassVar[int] = 20
    pool: ClassVar[int] = 6
    threads: ClassVar[int] = 16

    # -- fixtures and helpers ----------------------------------------------------------------------
    @pytest.fixture
    def cache(self) -> Cache:
        pytest.fail("the driver's tests must have a fixture `cache`")

    @pytest.fixture
    def backdoor(self) -> Backdoor:
        pytest.fail("the driver's tests must have a fixture `backdoor`")

    @pytest.fixture(autouse=True)
    def _closes(self, cache: Cache) -> Iterator[None]:
        yield
        cache.close()

    def again(self, cache: AnyCache) -> AnyCache:
        """Another instance on the same settings, as another process would have."""
        other = type(cache)(cache.conf, cache.settings)
        other.start()
        return other

    def fill(self, cache: Cache, data: bytes, image_id: str = "") -> str:
        """An entry with ``data``; its image id."""
        image_id = image_id or str(uuid4())
        fill = self.claimed(cache, image_id, data)
        for start in range(0, len(data), 64 * KIB):
            fill.write(data[start : start + 64 * KIB])
        fill.publish()
        return image_id

    def claimed(self, cache: Cache, image_id: str, data: bytes) -> Fill:
        fill = cache.claim(image_id, seal(data))
        assert isinstance(fill, Fill), "the first claim of an entry must be given its Fill"
        return fill

    def follow(self, cache: Cache, image_id: str, data: bytes) -> Tail:
        tail = cache.claim(image_id, seal(data))
        assert isinstance(tail, Tail), "a claim of an entry that is filled, or is there, must be given a Tail"
        return tail

    def read(self, cache: Cache, image_id: str, data: bytes) -> bytes | None:
        file = cache.open(image_id, seal(data), count=False)
        if file is None:
            return None
        with file:
            return file.read()

    def ids(self, cache: Cache) -> list[str]:
        return [x.image_id for x in cache.entries()]

    # -- what the driver says of itself ------------------------------------------------------------
    def test_options_can_be_declared_and_shown(self, cache: Cache) -> None:
        """Every option has a help text, and is no copy of what the core has."""
        for option in cache.options:
            assert isinstance(option, cfg.Opt)
            assert option.help
            assert not option.dest.startswith("image_cache_")

    # -- reading -----------------------------------------------------------------------------------
    def test_entry_has_the_bytes_that_were_filled(self, cache: Cache) -> None:
        data = sample(300 * KIB + 7)
        image_id = self.fill(cache, data)
        assert self.read(cache, image_id, data) == data
        assert self.read(self.again(cache), image_id, data) == data

    def test_entry_is_seekable(self, cache: Cache) -> None:
        data = sample(100 * KIB)
        file = cache.open(self.fill(cache, data), seal(data))
        assert file is not None
        with file:
            assert file.tell() == 0
            assert file.seek(70 * KIB) == 70 * KIB
            assert file.read(5) == data[70 * KIB : 70 * KIB + 5]

    def test_fileno_leads_to_the_bytes(self, cache: Cache) -> None:
        """sendfile is given the descriptor."""
        data = sample(10 * KIB)
        file = cache.open(self.fill(cache, data), seal(data))
        assert file is not None
        with file:
            try:
                number = file.fileno()
            except io.UnsupportedOperation:
                return
            assert os.pread(number, len(data) + 1, 0) == data

    def test_absent_entry_is_none(self, cache: Cache) -> None:
        assert cache.open(str(uuid4()), seal(b"x")) is None

    def test_unpublished_is_never_opened(self, cache: Cache) -> None:
        data = sample(10 * KIB)
        fill = self.claimed(cache, "a", data)
        fill.write(data)
        try:
            assert cache.open("a", seal(data)) is None, "the entry was opened before it was published"
            assert self.ids(cache) == []
        finally:
            fill.abort()
        assert cache.open("a", seal(data)) is None

    def test_entry_of_another_seal_is_dropped(self, cache: Cache) -> None:
        """The image was given other data: the old is never served."""
        image_id = self.fill(cache, b"old data")
        assert cache.open(image_id, seal(b"new data")) is None
        assert self.ids(cache) == []

    def test_claim_with_another_seal_begins_anew(self, cache: Cache) -> None:
        image_id = self.fill(cache, b"old data")
        self.fill(cache, b"new data", image_id)
        assert self.read(cache, image_id, b"new data") == b"new data"

    def test_changed_entry_is_dropped(self, cache: Cache, backdoor: Backdoor) -> None:
        """What was changed from outside is not served."""
        data = sample(100 * KIB)
        image_id = self.fill(cache, data)
        time.sleep(0.05)  # file systems tell times in steps of some milliseconds
        backdoor.change(image_id)
        assert cache.open(image_id, seal(data)) is None
        assert self.ids(cache) == []
        assert isinstance(cache.settings.on_removed, Told)
        assert cache.settings.on_removed.all == [(RemovalReason.CHANGED, len(data))]

    def test_changed_entry_is_not_followed(self, cache: Cache, backdoor: Backdoor) -> None:
        data = sample(100 * KIB)
        image_id = self.fill(cache, data)
        time.sleep(0.05)
        backdoor.change(image_id)
        self.claimed(cache, image_id, data).abort()

    def test_hits_are_counted(self, cache: Cache) -> None:
        image_id, before = self.fill(cache, b"data"), datetime.now(UTC)
        for count in (True, True, False):
            file = cache.open(image_id, seal(b"data"), count=count)
            assert file is not None
            file.close()
        (entry,) = cache.entries()
        assert entry.hits == 2
        assert entry.accessed >= before - timedelta(milliseconds=1)

    # -- filling -----------------------------------------------------------------------------------
    def test_one_filler_among_threads(self, cache: Cache) -> None:
        """Single flight: all others follow."""
        barrier = threading.Barrier(self.threads)

        def claim(_number: int) -> Fill | Tail | None:
            barrier.wait()
            return cache.claim("a", seal(b"data"))

        with ThreadPoolExecutor(self.threads) as pool:
            made = list(pool.map(claim, range(self.threads)))
        fills = [x for x in made if isinstance(x, Fill)]
        assert len(fills) == 1
        assert sum(isinstance(x, Tail) for x in made) == self.threads - 1
        fills[0].write(b"data")
        fills[0].publish()
        for tail in made:
            if isinstance(tail, Tail):
                assert tail.read(0, 4, 5) == b"data"
                tail.close()

    def test_one_filler_among_processes(self, cache: Cache) -> None:
        data = sample(KIB)
        with Other(cache) as one, Other(cache) as two:
            assert one.ask("claim", image_id="a", seal=astuple(seal(data))) == "fill"
            assert two.ask("claim", image_id="a", seal=astuple(seal(data))) == "tail"
            tail = self.follow(cache, "a", data)
            one.ask("write", data=data.hex())
            one.ask("publish")
            assert bytes.fromhex(two.ask("read", offset=0, length=KIB)) == data
            assert tail.read(0, KIB, 5) == data
            tail.close()
        assert self.read(cache, "a", data) == data

    def test_entry_is_seen_by_other_processes(self, cache: Cache) -> None:
        data = sample(KIB)
        with Other(cache) as other:
            self.fill(cache, data, "a")
            assert other.ask("entry", image_id="a", seal=astuple(seal(data))) == data.hex()
            cache.drop("a")
            assert other.ask("entry", image_id="a", seal=astuple(seal(data))) is None

    def test_tail_gives_what_there_is(self, cache: Cache) -> None:
        """While it is filled, except for the last byte: that comes when the entry is published."""
        data = sample(100 * KIB)
        fill = self.claimed(cache, "a", data)
        tail = self.follow(cache, "a", data)
        assert tail.read(0, 10, 0.05) == b""
        fill.write(data[:1000])
        assert tail.read(10, 500, 5) == data[10:510]
        fill.write(data[1000:])
        got = tail.read(1000, len(data), 5)
        while more := tail.read(1000 + len(got), len(data), 0.05):
            got += more
        assert got == data[1000:-1], "the last byte was given before the entry was published"
        fill.publish()
        assert tail.read(len(data) - 1, 10, 5) == data[-1:]
        tail.close()
        tail.close()

    def test_tail_of_a_complete_entry(self, cache: Cache) -> None:
        image_id = self.fill(cache, b"data")
        tail = self.follow(cache, image_id, b"data")
        assert tail.read(1, 10, 5) == b"ata"
        tail.close()

    @pytest.mark.parametrize(("damaged", "error"), [(False, errors.FillBroken), (True, errors.FillDamaged)])
    def test_tail_is_told_of_an_abort(self, cache: Cache, damaged: bool, error: type[Exception]) -> None:
        data = sample(10 * KIB)
        fill = self.claimed(cache, "a", data)
        tail = self.follow(cache, "a", data)
        fill.write(data[:100])
        assert tail.read(0, 100, 5) == data[:100]
        fill.abort(damaged=damaged)
        with pytest.raises(errors.CacheUnavailable) as caught:
            tail.read(100, 100, 5)
        assert type(caught.value) is error
        tail.close()

    def test_killed_filler_is_noticed_and_replaced(self, cache: Cache) -> None:
        data = sample(10 * KIB)
        with Other(cache) as other:
            assert other.ask("claim", image_id="a", seal=astuple(seal(data))) == "fill"
            other.ask("write", data=data[:100].hex())
            tail = self.follow(cache, "a", data)
            other.kill()
        with pytest.raises(errors.FillBroken):
            tail.read(100, 100, 10)
        tail.close()
        fill = self.claimed(cache, "a", data)
        fill.write(data)
        fill.publish()
        assert self.read(cache, "a", data) == data

    def test_abort_leaves_nothing(self, cache: Cache, backdoor: Backdoor) -> None:
        before = backdoor.names()
        data = sample(10 * KIB)
        fill = self.claimed(cache, "a", data)
        fill.write(data[:100])
        fill.abort()
        fill.abort()
        assert backdoor.names() == before
        self.claimed(cache, "a", data).abort()

    def test_short_entry_is_not_published(self, cache: Cache, backdoor: Backdoor) -> None:
        before = backdoor.names()
        fill = self.claimed(cache, "a", b"data")
        fill.write(b"dat")
        with pytest.raises(errors.SizeMismatch):
            fill.publish()
        assert backdoor.names() == before

    def test_long_entry_is_not_written(self, cache: Cache) -> None:
        fill = self.claimed(cache, "a", b"data")
        fill.write(b"dat")
        with pytest.raises(errors.SizeMismatch):
            fill.write(b"a.")
        fill.abort()

    # -- the bound ---------------------------------------------------------------------------------
    def test_too_large_is_not_taken(self, cache: Cache) -> None:
        kept = self.fill(cache, sample(100 * KIB))
        assert cache.claim("a", Seal(ROOM + 1, "sha256", "00")) is None
        assert self.ids(cache) == [kept]

    def test_least_recently_accessed_goes(self, cache: Cache) -> None:
        data = [sample(400 * KIB, x) for x in range(3)]
        ids = [self.fill(cache, data[x]) for x in range(2)]
        file = cache.open(ids[0], seal(data[0]))
        assert file is not None
        file.close()
        ids.append(self.fill(cache, data[2]))
        assert set(self.ids(cache)) == {ids[0], ids[2]}
        assert isinstance(cache.settings.on_removed, Told)
        assert cache.settings.on_removed.all == [(RemovalReason.EVICTED, 400 * KIB)]

    def test_what_is_read_is_not_evicted(self, cache: Cache) -> None:
        data = [sample(600 * KIB, x) for x in range(2)]
        image_id = self.fill(cache, data[0])
        file = cache.open(image_id, seal(data[0]))
        assert file is not None
        with file:
            assert cache.claim("a", seal(data[1])) is None, "there is no room while the first is read"
            assert file.read() == data[0]
        self.fill(cache, data[1])
        assert len(cache.entries()) == 1

    def test_nothing_goes_when_that_is_not_enough(self, cache: Cache) -> None:
        small, large = self.fill(cache, sample(100 * KIB, 1)), sample(600 * KIB, 2)
        fill = self.claimed(cache, "a", large)
        assert cache.claim("b", seal(sample(500 * KIB, 3))) is None
        assert self.ids(cache) == [small]
        fill.abort()

    def test_removed_bytes_count_while_they_are_read(self, cache: Cache, backdoor: Backdoor) -> None:
        data = sample(600 * KIB)
        image_id = self.fill(cache, data)
        file = cache.open(image_id, seal(data))
        assert file is not None
        with file:
            assert cache.drop(image_id)
            assert self.ids(cache) == []
            assert cache.claim("a", seal(sample(600 * KIB, 1))) is None
            assert file.read() == data
        self.fill(cache, sample(600 * KIB, 1))
        assert backdoor.used() <= ROOM

    def test_dead_filler_gives_its_room_back(self, cache: Cache) -> None:
        with Other(cache) as other:
            assert other.ask("claim", image_id="a", seal=astuple(seal(sample(900 * KIB)))) == "fill"
            assert cache.claim("b", seal(sample(900 * KIB, 1))) is None
            other.kill()
        self.fill(cache, sample(900 * KIB, 1))

    def test_bound_holds_under_parallel_fills(self, cache: Cache, backdoor: Backdoor) -> None:
        stop, most = threading.Event(), [0]

        def watch() -> None:
            while not stop.is_set():
                most[0] = max(most[0], backdoor.used())

        def work(number: int) -> None:
            for turn in range(6):
                data = sample((50 + 37 * (number + turn) % 400) * KIB, number * 100 + turn)
                fill = cache.claim(f"image-{number}-{turn}", seal(data))
                if isinstance(fill, Fill):
                    for start in range(0, len(data), 16 * KIB):
                        fill.write(data[start : start + 16 * KIB])
                    fill.publish()

        watcher = threading.Thread(target=watch)
        watcher.start()
        try:
            with ThreadPoolExecutor(8) as pool:
                list(pool.map(work, range(8)))
        finally:
            stop.set()
            watcher.join()
        assert cache.entries()
        assert sum(x.seal.size for x in cache.entries()) <= ROOM
        assert 0 < most[0] <= ROOM

    # -- care --------------------------------------------------------------------------------------
    def test_entries_tell_the_facts(self, cache: Cache) -> None:
        before = datetime.now(UTC) - timedelta(milliseconds=1)
        ids = [self.fill(cache, sample(10 * KIB, x)) for x in range(3)]
        found = cache.entries()
        assert [x.image_id for x in found] == ids[::-1], "the most recently accessed first"
        assert [x.seal for x in found] == [seal(sample(10 * KIB, x)) for x in (2, 1, 0)]
        for entry in found:
            assert entry.hits == 0
            for at in (entry.stored, entry.accessed, entry.verified):
                assert before <= at <= datetime.now(UTC)

    def test_verification_is_noted(self, cache: Cache) -> None:
        image_id = self.fill(cache, b"data")
        before = cache.entries()[0].verified
        time.sleep(0.002)
        cache.verified(image_id, seal(b"data"))
        assert cache.entries()[0].verified > before
        assert cache.entries()[0].accessed <= before

    def test_drop_removes_the_entry(self, cache: Cache, backdoor: Backdoor) -> None:
        before = backdoor.names()
        image_id = self.fill(cache, b"data")
        assert cache.drop(image_id)
        assert not cache.drop(image_id)
        assert cache.open(image_id, seal(b"data")) is None
        assert backdoor.names() == before

    def test_drop_stops_a_filler(self, cache: Cache, backdoor: Backdoor) -> None:
        """What was dropped while it was filled must not become an entry."""
        before = backdoor.names()
        fill = self.claimed(cache, "a", b"data")
        fill.write(b"da")
        assert cache.drop("a")

        def go_on() -> None:
            fill.write(b"ta")
            fill.publish()

        with pytest.raises(errors.FillBroken):
            go_on()
        fill.abort()
        cache.clean(math.inf)
        assert self.ids(cache) == []
        assert backdoor.names() == before

    def test_clear_removes_all_entries(self, cache: Cache, backdoor: Backdoor) -> None:
        before = backdoor.names()
        ids = [self.fill(cache, sample(10 * KIB, x)) for x in range(3)]
        removed = cache.clear()
        assert (removed.files, removed.bytes, set(removed.image_ids)) == (3, 30 * KIB, set(ids))
        assert self.ids(cache) == []
        assert backdoor.names() == before

    def test_prune_removes_down_to_the_target(self, cache: Cache) -> None:
        ids = [self.fill(cache, sample(100 * KIB, x)) for x in range(5)]
        removed = cache.prune(250 * KIB)
        assert (removed.files, removed.bytes, removed.image_ids) == (3, 300 * KIB, tuple(ids[:3]))
        assert self.ids(cache) == [ids[4], ids[3]]
        assert cache.prune(250 * KIB).files == 0

    @pytest.mark.parametrize("operation", ["prune", "clean"])
    def test_dry_run_tells_and_leaves(self, cache: Cache, backdoor: Backdoor, operation: str) -> None:
        ids = [self.fill(cache, sample(100 * KIB, x)) for x in range(3)]
        backdoor.litter()
        names = backdoor.names()
        run: dict[str, Callable[[bool], object]] = {
            "prune": lambda dry: cache.prune(100 * KIB, dry_run=dry),
            "clean": lambda dry: cache.clean(math.inf, dry_run=dry),
        }
        told = run[operation](True)
        assert self.ids(cache) == ids[::-1]
        assert backdoor.names() == names
        assert run[operation](False) == told
        assert backdoor.names() != names

    def test_clean_removes_what_dead_fillers_left(self, cache: Cache, backdoor: Backdoor) -> None:
        before = backdoor.names()
        with Other(cache) as other:
            other.ask("claim", image_id="a", seal=astuple(seal(sample(KIB))))
            other.ask("write", data=b"some".hex())
            assert cache.clean(math.inf).files == 0, "its filler lives"
            other.kill()
        removed = cache.clean(math.inf)
        assert (removed.files, removed.image_ids) == (1, ("a",))
        assert backdoor.names() == before

    def test_start_removes_what_dead_fillers_left(self, cache: Cache, backdoor: Backdoor) -> None:
        before = backdoor.names()
        with Other(cache) as other:
            other.ask("claim", image_id="a", seal=astuple(seal(sample(KIB))))
            other.kill()
        self.again(cache).close()
        assert backdoor.names() == before

    def test_clean_removes_what_stands_still(self, cache: Cache) -> None:
        fill = self.claimed(cache, "a", b"data")
        fill.write(b"da")
        time.sleep(0.1)
        assert cache.clean(60).files == 0
        assert cache.clean(0.05).files == 1
        with pytest.raises(errors.FillBroken):
            fill.write(b"ta")
        fill.abort()

    def test_clean_removes_litter(self, cache: Cache, backdoor: Backdoor) -> None:
        image_id = self.fill(cache, b"data")
        before = backdoor.names()
        backdoor.litter()
        assert backdoor.names() != before
        assert cache.clean(math.inf).files == 1
        assert backdoor.names() == before
        assert self.read(cache, image_id, b"data") == b"data"

    # -- the queue ---------------------------------------------------------------------------------
    def test_queue_is_first_in_first_out(self, cache: Cache) -> None:
        ids = [f"image-{x}" for x in (3, 1, 2)]
        for image_id in [*ids, ids[0]]:
            cache.queue(image_id)
        assert list(cache.queued()) == ids
        assert cache.unqueue(ids[1])
        assert not cache.unqueue(ids[1])
        assert list(cache.queued()) == [ids[0], ids[2]]
        assert cache.clear_queue() == 2
        assert list(cache.queued()) == []

    def test_queue_is_seen_by_other_processes(self, cache: Cache) -> None:
        cache.queue("a")
        with Other(cache) as other:
            assert other.ask("queued") == ["a"]
        assert list(self.again(cache).queued()) == ["a"]

    # -- trouble -----------------------------------------------------------------------------------
    def test_broken_cache_says_so(self, cache: Cache, backdoor: Backdoor) -> None:
        """Nothing but CacheUnavailable comes out, so that the service goes on without it."""
        image_id = self.fill(cache, b"data")
        backdoor.break_()
        try:
            for operation in (
                lambda: cache.claim("a", seal(b"more")),
                lambda: cache.open(image_id, seal(b"data")),
                cache.entries,
                cache.queued,
                lambda: cache.clean(math.inf),
                lambda: cache.drop(image_id),
            ):
                with pytest.raises(errors.CacheUnavailable):
                    operation()
        finally:
            backdoor.mend()
        assert self.read(cache, image_id, b"data") == b"data"

    def test_nothing_leaks(self, cache: Cache) -> None:
        data = sample(10 * KIB)

        def all_of_it(number: int) -> None:
            fill = self.claimed(cache, "a", data)
            tail = self.follow(cache, "a", data)
            fill.write(data)
            if number % 2:
                fill.abort()
            else:
                fill.publish()
            tail.close()
            file = cache.open("a", seal(data))
            if file is not None:
                file.close()
            cache.drop("a")

        all_of_it(0)
        before = open_things()
        for number in range(self.repeats):
            all_of_it(number)
        after = open_things()
        assert after[0] <= before[0] + self.pool
        assert after[1] <= before[1] + self.pool
