"""Rules of the store kit for mistakes that show late: behind megabytes, at other instances, after a while, in a log."""

from __future__ import annotations

import asyncio
import http.client
import logging
import random
import ssl
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from functools import partial

import pytest

from glancecore.domain import errors
from glancecore.ports.store import CHUNK, Cap, Store
from glancecore.testing import _store_process
from glancecore.testing._store_base import StoreKit
from glancecore.testing._store_harness import (
    MIB,
    REFUSALS,
    Backdoor,
    Reach,
    SourceBroke,
    broken,
    needs,
    open_things,
    reaches,
    sample,
)
from glancecore.testing._store_watch import at_once

#: Seconds that the port gives to ``ping``, and to ``markers`` behind it.
ANSWER = 5.0
#: How often it is tried on a machine that is busy with something else.
TRIES = 3


def _classes(root: type[Exception]) -> Iterator[type[Exception]]:
    for each in root.__subclasses__():
        if each.__module__.startswith(f"{errors.__name__}."):
            yield each
            yield from _classes(each)


def source_errors() -> list[BaseException]:
    """One of each class that may come out of ``chunks``: of sockets, of a client's protocol, of mistakes, and all of
    the core's."""
    system: list[BaseException] = [
        OSError("kit"),
        OSError(28, "No space left on device"),
        ConnectionError("kit"),
        ConnectionResetError(104, "kit"),
        ConnectionAbortedError(103, "kit"),
        ConnectionRefusedError(111, "kit"),
        BrokenPipeError(32, "kit"),
        TimeoutError("kit"),
        BlockingIOError(11, "kit"),
        InterruptedError(4, "kit"),
        FileNotFoundError(2, "kit"),
        FileExistsError(17, "kit"),
        PermissionError(13, "kit"),
        IsADirectoryError(21, "kit"),
        ssl.SSLError("kit"),
        http.client.IncompleteRead(b""),
        http.client.HTTPException("kit"),
        EOFError("kit"),
        ValueError("kit"),
        TypeError("kit"),
        KeyError("kit"),
        AttributeError("kit"),
        RuntimeError("kit"),
        MemoryError("kit"),
        StopAsyncIteration(),
        asyncio.CancelledError(),
        SystemExit(3),
        KeyboardInterrupt(),
    ]
    core: list[BaseException] = []
    for each in dict.fromkeys(_classes(errors.GlanceError)):
        error = each.__new__(each, "kit")  # some want more than a text; nobody reads it here
        Exception.__init__(error, "kit")
        core.append(error)
    return [SourceBroke("kit"), *system, errors.GlanceError("kit"), *core]


def fastest(operation: Callable[[], object]) -> float:
    """Seconds that ``operation`` takes, the least of at most ``TRIES``; one that answers in time is not tried again."""
    best = float("inf")
    for _ in range(TRIES):
        begun = time.monotonic()
        with suppress(errors.StoreError):
            operation()
        best = min(best, time.monotonic() - begun)
        if best <= ANSWER:
            break
    return best


class Depth(StoreKit):
    # -- what lies far behind ----------------------------------------------------------------------
    def test_large_blob_is_right_at_every_edge(self, store: Store, backdoor: Backdoor | None) -> None:
        """One blob, whole and in ranges: around each power of two, over several rows or parts, to the end, and where
        nobody looks."""
        data = sample(self.large)
        url = self.blob(store, backdoor, data)
        assert store.size(url) == len(data)
        assert self.read(store, url) == data, "the store reads other bytes than were written"
        if backdoor is not None and Cap.WRITE in store.caps:
            assert backdoor.read(url) == data, "the backend holds other bytes than the store reads"
        if Cap.RANGE not in store.caps:
            return
        for offset, length in self.far_ranges():
            end = None if length is None else offset + length
            assert self.read(store, url, offset, length) == data[offset:end], f"offset {offset}, length {length}"

    def far_ranges(self) -> Iterator[tuple[int, int | None]]:
        """Offsets and lengths within ``large``, the same ones in every run."""
        edges = [1 << power for power in range(self.large.bit_length()) if 1 << power < self.large]
        for edge in edges:
            yield edge - 1, 3
        for edge in edges:
            if edge >= CHUNK // 2:
                yield edge, 1
                yield edge + 1, 2
                yield edge - 1, 2 * edge + 3  # over three edges of rows of this size
        yield MIB + 1, None
        yield self.large // 2 + 1, None
        yield self.large - 1, None
        chance = random.Random(0)  # noqa: S311
        for _ in range(8):
            yield chance.randrange(self.large), chance.randrange(1, 3 * MIB)

    @needs(Cap.WRITE)
    def test_every_class_of_error_of_the_source_passes_unchanged(self, store: Store, backdoor: Backdoor | None) -> None:
        """The very object, whatever it is: also what the store's own library raises, and catches, when its connection
        breaks."""
        before, key = self.names(store, backdoor), self.key()
        for error in source_errors():
            with pytest.raises(type(error)) as caught:
                store.put(key, broken(b"0123456789", error))
            assert caught.value is error, f"{type(error).__name__} came out as another object"
        assert self.names(store, backdoor) == before

    # -- other instances ---------------------------------------------------------------------------
    def test_place_does_not_depend_on_the_name(self, store: Store) -> None:
        """Else two stores of different names on one place are not refused at start, and one destroys the other's
        data."""
        if not {Cap.WRITE, Cap.DELETE} & store.caps:
            return
        other = _store_process.build(
            type(store), "kit-by-another-name", {opt.dest: store.conf[opt.dest] for opt in store.options}
        )
        other.start()
        place = other.place
        other.close()
        assert place == store.place, "one place has two names"

    @needs(Cap.WRITE, Cap.DELETE)
    def test_put_is_seen_at_once_by_who_was_there_before(self, store: Store, backdoor: Backdoor | None) -> None:
        """When put returns the bytes are where everybody looks: nothing is written behind."""
        other = self.again(store)
        for size in (0, 1, CHUNK + 1):
            url = self.put(store, sample(size))
            assert other.size(url) == size
            assert self.read(other, url) == sample(size)
            again = self.put(store, sample(size, 1))
            if Cap.LIST in other.caps:
                assert again in {blob.url for blob in other.list()}
            if backdoor is not None:
                assert backdoor.read(self.put(store, sample(size, 2))) == sample(size, 2)
        other.close()

    @reaches(Reach.PROCESSES)
    @needs(Cap.WRITE, Cap.DELETE)
    def test_blob_outlives_a_writer_that_is_killed_behind_put(self, store: Store, backdoor: Backdoor | None) -> None:
        """kill -9 as soon as put has returned: what it promised is there."""
        key = self.key()
        url = self.put(store, b"first", key=key)
        store.delete(url)
        assert _store_process.run(store, "put and die", self.patience, key=key, size=CHUNK + 1) is None
        self.assert_stored(store, backdoor, url, sample(CHUNK + 1))
        store.discard(key)

    @needs(Cap.WRITE, Cap.DELETE)
    def test_nothing_of_a_blob_is_remembered(self, store: Store, backdoor: Backdoor | None) -> None:
        """Another process may delete it, and write another one under the same key."""
        key, other = self.key(), self.again(store)
        url = self.put(store, sample(1000), key=key)
        for seed, size in enumerate((1500, 0, CHUNK + 1), 1):
            self.assert_stored(store, backdoor, url, store_bytes := self.read(store, url))
            other.delete(url)
            self.assert_absent(store, backdoor, url)
            url = self.put(other, sample(size, seed), key=key)
            self.assert_stored(store, backdoor, url, sample(size, seed))
            assert store_bytes != sample(size, seed)
            if Cap.RANGE in store.caps:
                assert self.read(store, url, size // 2, None) == sample(size, seed)[size // 2 :]
            if Cap.LIST in store.caps:
                assert [(blob.url, blob.size) for blob in store.list()] == [(url, size)]
        other.close()

    # -- many at once, and for long ----------------------------------------------------------------
    @needs(Cap.WRITE, Cap.DELETE)
    def test_puts_do_not_wait_for_each_other(self, store: Store) -> None:
        """Two clients that send slowly: each waits for the other's next piece, and meanwhile a third one is served."""
        held, served = threading.Barrier(3), threading.Event()

        def source() -> Iterator[bytes]:
            yield sample(CHUNK)
            with suppress(threading.BrokenBarrierError):
                held.wait(self.patience)
            served.wait(self.patience)
            yield sample(CHUNK, 1)

        def third() -> str:
            try:
                held.wait(self.patience)
                url = store.put(keys[2], iter([b"third"]))
                assert self.read(store, url) == b"third"
                store.delete(url)
            finally:
                served.set()
            return ""

        keys = [self.key() for _ in range(3)]
        for url in filter(
            None, at_once(2 * self.patience, *(partial(store.put, key, source()) for key in keys[:2]), third)
        ):
            self._urls.append(url)
            assert self.read(store, url) == sample(CHUNK) + sample(CHUNK, 1)

    @needs(Cap.WRITE, Cap.DELETE)
    def test_successful_operations_leak_nothing(self, store: Store) -> None:
        keys = [self.key(), self.key()]

        def work() -> None:
            for key, size in zip(keys, (None, CHUNK + 1), strict=True):
                url = store.put(key, iter([sample(CHUNK), sample(1)]), size)
                store.size(url)
                self.read(store, url)
                if Cap.LIST in store.caps:
                    list(store.list())
                store.delete(url)
                store.discard(key)
            store.ping()
            store.free()

        self.assert_no_leak(work)

    def test_started_instances_leak_nothing(self, store: Store) -> None:
        """``close`` gives back what ``start`` and the first use have taken."""

        def work() -> None:
            other = self.again(store)
            other.ping()
            other.close()

        self.assert_no_leak(work)

    def assert_no_leak(self, work: Callable[[], None]) -> None:
        work()  # what is made at the first use stays
        fds, threads = open_things()
        for _ in range(self.repeats):
            work()
        after = open_things()
        assert after[0] <= fds + self.pool, "file descriptors leak"
        assert after[1] <= threads + self.pool, "threads leak"

    # -- time --------------------------------------------------------------------------------------
    def test_ping_answers_in_time(self, store: Store) -> None:
        """The readiness check waits for it."""
        assert fastest(store.ping) <= ANSWER, "ping takes longer than the port allows"
        if Cap.MARK in store.caps:
            assert fastest(store.markers) <= ANSWER, "markers takes longer than the port allows"

    @reaches(Reach.BREAK)
    def test_ping_of_a_backend_that_is_away_answers_in_time(self, store: Store, backdoor: Backdoor | None) -> None:
        assert backdoor is not None
        try:
            backdoor.break_()
            assert fastest(store.ping) <= ANSWER, "ping takes longer than the port allows"
        finally:
            backdoor.mend()
        store.ping()

    # -- silence -----------------------------------------------------------------------------------
    def test_output_and_logs_have_no_url_and_no_credential(
        self,
        store: Store,
        backdoor: Backdoor | None,
        capfd: pytest.CaptureFixture[str],
        caplog: pytest.LogCaptureFixture,
    ) -> None:
        """Nothing at all goes to the standard output, which is a command's answer. Logs are sent away and kept: at INFO
        and above whoever writes, and at DEBUG the driver itself."""
        caplog.set_level(logging.DEBUG)
        capfd.readouterr()
        own = (
            type(store).__module__.partition(".")[0]
            if type(store).__module__.startswith("glancecore_")
            else type(store).__module__
        )
        hidden = self.secrets(store) | set(self.all_operations(store, backdoor))
        out, err = capfd.readouterr()
        assert out == "", "the store writes to the standard output"
        texts = [err] + [
            f"{record.name}: {record.getMessage()} {record.exc_text or ''}"
            for record in caplog.records
            if record.levelno >= logging.INFO or f"{record.name}.".startswith(f"{own}.")
        ]
        for text in texts:
            for value in hidden - {""}:
                assert value not in text, f"{value!r} in {text!r}"

    def all_operations(self, store: Store, backdoor: Backdoor | None) -> Iterable[str]:
        """Call everything, well and badly; the URLs that had to do with it."""
        other = self.again(store)
        other.ping()
        other.free()
        other.close()
        url = self.blob(store, backdoor, sample(CHUNK + 1))
        urls = [url, store.canonical(url), f"{url}-absent"]
        self.read(store, url)
        if Cap.RANGE in store.caps:
            self.read(store, url, 1, 1)
        if Cap.LIST in store.caps:
            urls += [blob.url for blob in store.list()]
        if Cap.MARK in store.caps:
            store.mark(store.markers()[0].where, b"mark")
        if Cap.PRESIGN in store.caps:
            urls.append(store.presign(url, 60))
        for operation in (store.size, store.open):
            with suppress(*REFUSALS, errors.StoreError):
                operation(f"{url}-absent")
        if {Cap.WRITE, Cap.DELETE} <= store.caps:
            key = self.key()
            urls.append(self.put(store, b"x", key=key))
            with suppress(errors.BlobExists):
                store.put(key, iter([b"y"]))
            with suppress(SourceBroke):
                store.put(self.key(), broken(b"x", SourceBroke()))
            with suppress(errors.SizeMismatch):
                store.put(self.key(), iter([b"x"]), 2)
            store.delete(urls[-1])
            with suppress(errors.BlobNotFound):
                store.delete(urls[-1])
            store.discard(key)
        return urls
