"""The kit that certifies a store driver: one test per rule of ``glancecore.ports.store``."""

from __future__ import annotations

import hashlib
import itertools
import json
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any, NoReturn, TypeVar
from urllib.parse import quote, unquote, urlsplit

import pytest
from hypothesis import HealthCheck, settings
from hypothesis.stateful import run_state_machine_as_test
from oslo_config import cfg

from glancecore.domain import errors
from glancecore.ports.store import CHUNK, MARKER, MARKER_SIZE, Cap, Store
from glancecore.testing import _store_process
from glancecore.testing._store_depth import Depth
from glancecore.testing._store_harness import (
    MIB,
    REFUSALS,
    Backdoor,
    Reach,
    SourceBroke,
    broken,
    close,
    make_store,
    needs,
    open_things,
    reaches,
    refuses,
    sample,
)
from glancecore.testing._store_machine import StoreMachine, split
from glancecore.testing._store_parts import PartsRules
from glancecore.testing._store_watch import at_once

__all__ = ["Backdoor", "Reach", "StoreConformance", "make_store"]

AnyStore = TypeVar("AnyStore", bound=Store)


class StoreConformance(Depth, PartsRules):
    """Certifies a store driver. Subclass it in the driver's ``tests/test_conformance.py``::

        class TestFileStore(StoreConformance):
            reach = frozenset({Reach.PROCESSES, Reach.CUT, Reach.BREAK})

            @pytest.fixture
            def store(self, tmp_path):
                return make_store(FileStore, filesystem_store_datadir=str(tmp_path / "one"))

            @pytest.fixture
            def neighbour(self, tmp_path):
                return make_store(FileStore, "other", filesystem_store_datadir=str(tmp_path / "two"))

            @pytest.fixture
            def backdoor(self, tmp_path):
                return FolderBackdoor(tmp_path / "one")

    Fixtures:
      ``store``     a started store on an *empty* place of its own, made by ``make_store`` so that only declared options
                    are known. The kit closes it after the test.
      ``neighbour`` an equal store on another place: its locations are foreign to ``store``. Not needed by stores with
                    Cap.EXTERNAL. The kit closes it.
      ``backdoor``  a ``Backdoor``; optional for stores that write, but without one the kit must believe the store.
      ``adoptable`` a folder from which ``adopt`` works; ``tmp_path`` unless you say otherwise.

    ``reach`` says what the harness can do to the backend; rules that need more are not collected. The numbers below
    bound the work: lower them for a slow remote backend, never below what makes its driver use parts or pages (set the
    driver's own part and page size options low instead).

    A store without a capability takes the same tests: each then demands Unsupported. A rule that can't hold for a store
    is switched off by its name with the reason beside it: ``test_memory_stays_constant = None  # its data is memory``.

    Not tested, because the port makes it the caller's duty: two callers with one key at the same time. Not testable
    here: that bytes survive a power cut; show in your own tests which commit of the backend you wait for.
    A certificate of what was tested, and what was not: ``-p glancecore.testing.certificate --certificate FILE.json``.
    After each test the backend must be as empty as before.
    """

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        cls.unreached = {**cls.unreached}
        for name in dir(cls):
            reach = getattr(getattr(cls, name), "reach", None)
            if reach in set(Reach) - cls.reach:
                cls.unreached[name] = reach
                setattr(cls, name, None)
            elif cls.unreached.get(name) in cls.reach:  # more than its base class
                del cls.unreached[name]
                setattr(cls, name, getattr(StoreConformance, name))

    # -- what the driver says of itself ------------------------------------------------------------
    def test_declaration_is_well_formed(self, store: Store) -> None:
        """Schemes, capabilities and options are what the loader and the sample file need."""
        assert store.schemes, "a driver has a URL scheme"
        assert all(
            scheme == scheme.lower() and urlsplit(f"{scheme}://x/y").scheme == scheme for scheme in store.schemes
        )
        assert isinstance(store.caps, frozenset)
        assert all(isinstance(cap, Cap) for cap in store.caps)
        for opt in store.options:
            assert isinstance(opt, cfg.Opt)
            assert opt.help, f"option {opt.name} has no help"
        assert store.name == "kit", "make the store with make_store"

    @pytest.mark.parametrize("cap", list(Cap), ids=lambda cap: cap.value)
    def test_undeclared_capability_is_unsupported(self, store: Store, cap: Cap) -> None:
        """A caller that trusts ``caps`` never meets something that works by accident."""
        if cap not in store.caps:
            refuses(store, cap)

    def test_place_is_the_same_for_equal_settings(self, store: Store, backdoor: Backdoor | None) -> None:
        """Else two names for one room would not be refused at start."""
        place = store.place
        assert place
        self.blob(store, backdoor, b"x")
        other = self.again(store)
        assert place == store.place == other.place
        other.close()

    def test_place_tells_neighbours_apart(self, request: pytest.FixtureRequest, store: Store) -> None:
        """Else two stores that have nothing in common would be refused at start."""
        if Cap.EXTERNAL in store.caps:
            return
        neighbour: Store = request.getfixturevalue("neighbour")
        assert neighbour.place != store.place
        neighbour.close()

    def test_properties_are_json_without_secrets(self, store: Store) -> None:
        text = json.dumps(dict(store.properties))
        for secret in self.secrets(store):
            assert secret not in text

    def test_start_may_run_many_times_at_once(self, store: Store, backdoor: Backdoor | None) -> None:
        """Several processes start together on one configuration, while others work."""
        url = self.blob(store, backdoor, b"kept")
        for other in at_once(self.patience, *[lambda: self.again(store)] * 4):
            other.close()
        assert self.read(store, url) == b"kept"

    @needs(Cap.WRITE)
    def test_start_leaves_running_puts_alone(self, store: Store) -> None:
        """What looks like a leftover may belong to a living process."""

        def source() -> Iterator[bytes]:
            yield sample(CHUNK)
            self.again(store).close()
            yield sample(CHUNK)

        url = store.put(self.key(), source())
        self._urls.append(url)
        assert self.read(store, url) == sample(CHUNK) * 2

    def test_blobs_outlive_close(self, store: Store, backdoor: Backdoor | None) -> None:
        url = self.blob(store, backdoor, b"kept")
        other = self.again(store)
        assert self.read(other, url) == b"kept"
        other.close()
        assert self.read(store, url) == b"kept"

    def test_ping_of_a_healthy_backend_returns(self, store: Store) -> None:
        store.ping()

    def test_free_is_bytes_or_unknown(self, store: Store) -> None:
        free = store.free()
        assert free is None or free >= 0

    # -- places ------------------------------------------------------------------------------------
    @needs(Cap.MARK)
    def test_places_without_a_marker_say_so(self, store: Store) -> None:
        """Each place is named, by the words of the operator; looking makes no marker."""
        for _ in range(2):
            found = store.markers()
            assert found
            assert [x.content for x in found] == [None] * len(found)
            assert len({x.where for x in found}) == len(found)
            assert all(x.where.partition(" = ")[0] in {opt.dest for opt in store.options} for x in found), (
                "`where` is OPTION = VALUE"
            )
            assert not any(secret in x.where.partition(" = ")[2] for x in found for secret in self.secrets(store))

    @needs(Cap.MARK)
    @pytest.mark.parametrize("content", [b"{}", bytes(range(256)) * (MARKER_SIZE // 256)], ids=["short", "long"])
    def test_a_marker_is_read_as_it_was_written(self, store: Store, content: bytes) -> None:
        """In each place its own, also by another instance, and after a start."""
        wanted = {x.where: content[:-1] + bytes([number]) for number, x in enumerate(store.markers())}
        for where, mark in wanted.items():
            assert store.mark(where, mark) == mark
        other = self.again(store)
        for each in (store, other):
            assert {x.where: x.content for x in each.markers()} == wanted
        other.close()

    @needs(Cap.MARK)
    def test_a_marker_is_never_replaced(self, store: Store) -> None:
        for place in store.markers():
            assert store.mark(place.where, b"old") == b"old"
            assert store.mark(place.where, b"new") == b"old"
        assert {x.content for x in store.markers()} == {b"old"}

    @needs(Cap.MARK)
    def test_of_many_that_mark_at_once_one_does(self, store: Store) -> None:
        """Nodes that start together must agree on what their place is."""
        stores = [store, *(self.again(store) for _ in range(3))]
        for place in store.markers():
            told = set(
                at_once(
                    self.patience,
                    *(partial(x.mark, place.where, b"mark %d" % number) for number, x in enumerate(stores)),
                )
            )
            assert len(told) == 1
            assert [x.content for x in store.markers() if x.where == place.where] == [*told]
        for other in stores[1:]:
            other.close()

    @needs(Cap.MARK, Cap.WRITE, Cap.DELETE)
    def test_a_marker_is_no_blob(self, store: Store) -> None:
        """It is not listed, no location leads to it, and nothing removes it."""
        key = self.key("kit-beside-the-marker")
        url = self.put(store, b"kept", key=key)
        wanted = {x.where: store.mark(x.where, b"mark") for x in store.markers()}
        if Cap.LIST in store.caps:
            assert [blob.key for blob in store.list()] == [key]
        location = url.replace(key, MARKER)
        operations: list[Callable[[str], object]] = [store.size, store.open, store.delete]
        operations += [store.local_path] if Cap.LOCAL in store.caps else []
        operations += [lambda bad: store.presign(bad, 60)] if Cap.PRESIGN in store.caps else []
        for operation in operations:
            try:
                operation(location)
            except REFUSALS:
                continue
            self.worked(f"{operation} accepted {location!r}")
        store.delete(url)
        store.discard(key)
        assert {x.where: x.content for x in store.markers()} == wanted

    # -- put: what it stores -----------------------------------------------------------------------
    @needs(Cap.WRITE)
    @pytest.mark.parametrize("told", [True, False], ids=["size known", "size unknown"])
    @pytest.mark.parametrize("size", [0, 1, CHUNK - 1, CHUNK, CHUNK + 1, "big"])
    def test_what_is_put_is_what_is_read(
        self, store: Store, backdoor: Backdoor | None, size: int | str, told: bool
    ) -> None:
        data = sample(self.big if isinstance(size, str) else size)
        url = self.put(store, data, size=len(data) if told else None)
        assert urlsplit(url).scheme in store.schemes
        self.assert_stored(store, backdoor, url, data)

    @needs(Cap.WRITE)
    @pytest.mark.parametrize(
        "cuts",
        [
            [],
            [0, 0],
            [1],
            [1, 1, 2, 3, 3],
            [700, CHUNK - 1, CHUNK, CHUNK + 1],
            [CHUNK + 300] * 3,
            list(range(0, 3000, 7)),
        ],
        ids=lambda cuts: f"{len(cuts)} cuts",
    )
    def test_pieces_may_have_any_length(self, store: Store, backdoor: Backdoor | None, cuts: list[int]) -> None:
        """Empty ones included: an empty piece is not the end."""
        data = sample(CHUNK + 300)
        url = store.put(self.key(), split(data, cuts))
        self._urls.append(url)
        self.assert_stored(store, backdoor, url, data)

    @needs(Cap.WRITE)
    def test_pieces_may_be_memoryviews(self, store: Store, backdoor: Backdoor | None) -> None:
        data = sample(CHUNK + 300)
        views: list[Any] = [
            memoryview(data)[:1000],
            memoryview(data)[1000:1000],
            data[1000:5000],
            memoryview(data)[5000:],
        ]
        url = store.put(self.key(), views)
        self._urls.append(url)
        self.assert_stored(store, backdoor, url, data)

    @needs(Cap.WRITE)
    def test_source_is_iterated_once(self, store: Store) -> None:
        """It is a network stream: there is no second time."""
        begun = []

        class Once(Iterable[bytes]):
            def __iter__(self) -> Iterator[bytes]:
                begun.append(True)
                return iter([b"only", b"once"])

        url = store.put(self.key(), Once())
        self._urls.append(url)
        assert self.read(store, url) == b"onlyonce"
        assert len(begun) == 1

    @needs(Cap.WRITE, Cap.DELETE)
    @pytest.mark.parametrize(
        "key",
        [
            "a",
            "0",
            "_",
            "-",
            "-rf",
            "A.b_c-D",
            "a..b",
            "a...",
            "kit.part",
            "kit.tmp",
            "con",
            "x" * 100,
            "7f0b8a1e-52d5-4d4c-9c1e-0a4b6a0b5d3f",
        ],
        ids=lambda key: key[:20],
    )
    def test_every_allowed_key_works(self, store: Store, backdoor: Backdoor | None, key: str) -> None:
        url = self.put(store, b"data of " + key.encode(), key=self.key(key))
        self.assert_stored(store, backdoor, url, b"data of " + key.encode())
        store.delete(url)
        self.assert_absent(store, backdoor, url)

    @needs(Cap.WRITE)
    def test_keys_that_resemble_each_other_are_different(self, store: Store) -> None:
        """Case, prefixes and separators count."""
        keys = ["kit", "KIT", "kit.a", "kit-a", "kit_a", "kit.A", "kit..a", "kita", "kit.a.part", "kit.0"]
        urls = {key: self.put(store, key.encode(), key=self.key(key)) for key in keys}
        assert len(set(urls.values())) == len(keys)
        for key, url in urls.items():
            assert self.read(store, url) == key.encode()

    @needs(Cap.WRITE)
    def test_another_instance_sees_the_blob(self, store: Store) -> None:
        """Any process of any node serves any request: nothing is remembered in the instance."""
        url = self.put(store, sample(self.big))
        other = self.again(store)
        assert other.size(url) == self.big
        assert self.read(other, url) == sample(self.big)
        other.close()

    @reaches(Reach.PROCESSES)
    def test_another_process_sees_the_blob(self, store: Store, backdoor: Backdoor | None) -> None:
        url = self.blob(store, backdoor, sample(CHUNK + 1))
        answer = _store_process.run(store, "read", self.patience, url=url)
        assert answer == {"sha256": hashlib.sha256(sample(CHUNK + 1)).hexdigest()}

    @needs(Cap.WRITE, Cap.DELETE)
    @pytest.mark.parametrize("told", [True, False], ids=["size known", "size unknown"])
    def test_blob_appears_only_when_put_returns(self, store: Store, backdoor: Backdoor | None, told: bool) -> None:
        """A half image must not be readable, not even by who guesses its URL; nor a whole one, before its end is proved
        by the end of the source."""
        key = self.key()
        url = self.put(store, b"first", key=key)
        store.delete(url)

        def source() -> Iterator[bytes]:
            for _ in range(3):
                yield sample(CHUNK)
                self.assert_absent(store, backdoor, url)
                if Cap.LIST in store.caps:
                    assert key not in {blob.key for blob in store.list()}, "an unfinished blob is listed"
            ended.append(True)

        ended: list[bool] = []
        self._urls.append(store.put(key, source(), 3 * CHUNK if told else None))
        assert ended, "put returned before the source had ended"

    # -- put: what it refuses ----------------------------------------------------------------------
    @needs(Cap.WRITE)
    @pytest.mark.parametrize("size", ["same bytes", "other bytes", "nothing", "same bytes and more"])
    def test_existing_blob_is_never_replaced(self, store: Store, backdoor: Backdoor | None, size: str) -> None:
        data = sample(3000)
        second = {
            "same bytes": data,
            "other bytes": sample(3000, 1),
            "nothing": b"",
            "same bytes and more": data + b"x",
        }[size]
        key = self.key()
        url = self.put(store, data, key=key)
        with pytest.raises(errors.BlobExists):
            store.put(key, iter([second]))
        with pytest.raises(errors.BlobExists):
            store.put(key, iter([second]), len(second))
        self.assert_stored(store, backdoor, url, data)

    @needs(Cap.WRITE)
    def test_failed_put_on_an_existing_key_keeps_the_blob(self, store: Store, backdoor: Backdoor | None) -> None:
        """Cleaning up after a failure must not remove what was there before."""
        key = self.key()
        url = self.put(store, b"kept", key=key)
        with pytest.raises((SourceBroke, errors.BlobExists)):
            store.put(key, broken(sample(CHUNK + 1), SourceBroke()))
        with pytest.raises((errors.SizeMismatch, errors.BlobExists)):
            store.put(key, iter([b"too long"]), 3)
        self.assert_stored(store, backdoor, url, b"kept")

    @needs(Cap.WRITE)
    @pytest.mark.parametrize(
        ("size", "told"),
        [(0, 1), (1, 0), (5, 4), (5, 6), (CHUNK, CHUNK + 1), (CHUNK + 1, CHUNK), (3 * CHUNK, 10), (10, 3 * CHUNK)],
    )
    def test_wrong_size_is_refused_and_leaves_nothing(
        self, store: Store, backdoor: Backdoor | None, size: int, told: int
    ) -> None:
        before, key = self.names(store, backdoor), self.key()
        with pytest.raises(errors.SizeMismatch):
            self.put(store, sample(size), key=key, size=told)
        assert self.names(store, backdoor) == before
        self.assert_stored(store, backdoor, self.put(store, b"now right", key=key, size=9), b"now right")

    @needs(Cap.WRITE)
    @pytest.mark.parametrize(
        ("exc", "size"),
        [
            *(
                (exc, CHUNK)
                for exc in (
                    SourceBroke("kit"),
                    OSError(5, "Input/output error"),
                    ConnectionResetError(104, "Connection reset by peer"),
                    TimeoutError(110, "Connection timed out"),
                    errors.Gone("kit"),
                    errors.StoreUnavailable("kit"),
                    KeyboardInterrupt(),
                )
            ),
            *(
                (exc, "big")
                for exc in (
                    ConnectionResetError(104, "Connection reset by peer"),
                    errors.StoreUnavailable("kit"),
                    KeyboardInterrupt(),
                )
            ),
            (TimeoutError(110, "Connection timed out"), 0),
            (OSError(5, "Input/output error"), 10),
        ],
        ids=lambda x: str(x) if isinstance(x, (int, str)) else type(x).__name__,
    )
    def test_exception_of_the_source_passes_unchanged(self, store: Store, size: int | str, exc: BaseException) -> None:
        """The very object: it is a quota, a broken connection or a cancellation, and no trouble of the store's."""
        with pytest.raises(type(exc)) as caught:
            store.put(self.key(), broken(sample(self.big if isinstance(size, str) else size), exc))
        assert caught.value is exc

    @needs(Cap.WRITE)
    @pytest.mark.parametrize("told", [True, False], ids=["size known", "size unknown"])
    @pytest.mark.parametrize("size", [0, 10, CHUNK + 1, "big"])
    def test_broken_source_leaves_nothing(
        self, store: Store, backdoor: Backdoor | None, size: int | str, told: bool
    ) -> None:
        """Nor when it breaks behind the last byte: the end is proved by the end."""
        data, before, key = sample(self.big if isinstance(size, str) else size), self.names(store, backdoor), self.key()
        with pytest.raises(SourceBroke):
            store.put(key, broken(data, SourceBroke()), len(data) if told else None)
        assert self.names(store, backdoor) == before
        self.assert_stored(store, backdoor, self.put(store, data, key=key), data)

    # -- delete and discard ------------------------------------------------------------------------
    @needs(Cap.DELETE, Cap.WRITE)
    def test_deleted_blob_is_gone_at_once(self, store: Store, backdoor: Backdoor | None) -> None:
        before = self.names(store, backdoor)
        url, other = self.put(store, sample(self.big)), self.put(store, b"other")
        store.delete(url)
        self.assert_absent(store, backdoor, url)
        self.assert_stored(store, backdoor, other, b"other")
        store.delete(other)
        assert self.names(store, backdoor) == before

    @needs(Cap.DELETE, Cap.WRITE)
    def test_deleting_twice_is_not_found(self, store: Store) -> None:
        url = self.put(store, b"x")
        store.delete(url)
        for _ in range(2):
            with pytest.raises(errors.BlobNotFound):
                store.delete(url)

    @needs(Cap.DELETE, Cap.WRITE)
    def test_key_is_free_after_delete(self, store: Store, backdoor: Backdoor | None) -> None:
        key = self.key()
        store.delete(self.put(store, sample(CHUNK + 5), key=key))
        self.assert_stored(store, backdoor, self.put(store, b"new", key=key), b"new")

    @needs(Cap.DELETE, Cap.WRITE)
    def test_delete_under_a_reader_never_gives_wrong_bytes(self, store: Store) -> None:
        """The reader gets all its bytes or an error; what he gets before is right. The store may also say "in use"."""
        data = sample(self.big)
        url = self.put(store, data)
        reader = store.open(url)
        got = next(reader)
        try:
            with suppress(errors.BlobInUse):
                store.delete(url)
            for piece in reader:
                got += piece
        except errors.StoreError:
            assert data.startswith(got)
        else:
            assert got == data, "the reader's bytes ended quietly or are wrong"
        finally:
            close(reader)

    @needs(Cap.DELETE)
    def test_discard_of_nothing_succeeds(self, store: Store) -> None:
        for _ in range(2):
            store.discard(self.key())

    @needs(Cap.DELETE, Cap.WRITE)
    def test_discard_removes_a_finished_blob(self, store: Store, backdoor: Backdoor | None) -> None:
        """The writer may have died between the store's last word and the note of the URL."""
        before, key = self.names(store, backdoor), self.key()
        url = self.put(store, sample(self.big), key=key)
        store.discard(key)
        self.assert_absent(store, backdoor, url)
        assert self.names(store, backdoor) == before
        store.discard(key)
        self.assert_stored(store, backdoor, self.put(store, b"new", key=key), b"new")

    @needs(Cap.DELETE, Cap.WRITE)
    def test_discard_touches_its_key_only(self, store: Store, backdoor: Backdoor | None) -> None:
        keys = [
            "kit",
            "KIT",
            "kit.a",
            "kit-a",
            "kit_a",
            "kita",
            "kit.part",
            "kit.0123456789abcdef",
            "kit-00000001",
            "kit.0",
        ]
        urls = {key: self.put(store, key.encode(), key=self.key(key)) for key in keys}
        store.discard("kit")
        self.assert_absent(store, backdoor, urls.pop("kit"))
        for key, url in urls.items():
            self.assert_stored(store, backdoor, url, key.encode())

    @needs(Cap.DELETE, Cap.WRITE)
    def test_discard_of_another_key_leaves_a_running_put_alone(self, store: Store) -> None:
        key = self.key("kit.a")

        def source() -> Iterator[bytes]:
            yield sample(CHUNK)
            store.discard("kit")
            yield sample(CHUNK)

        url = store.put(key, source())
        self._urls.append(url)
        assert self.read(store, url) == sample(CHUNK) * 2

    @reaches(Reach.PROCESSES)
    @needs(Cap.DELETE, Cap.WRITE)
    def test_discard_removes_what_a_killed_writer_left(self, store: Store, backdoor: Backdoor | None) -> None:
        """kill -9 in the middle of a put, then discard by somebody who never saw the writer."""
        before, key = self.names(store, backdoor), self.key()
        assert _store_process.run(store, "die", self.patience, key=key, size=max(self.big, CHUNK)) is None
        if Cap.LIST in store.caps:
            assert key not in {blob.key for blob in store.list()}, "half a blob is listed"
        store.discard(key)
        assert self.names(store, backdoor) == before
        self.assert_stored(store, backdoor, self.put(store, b"new", key=key), b"new")

    # -- open and size -----------------------------------------------------------------------------
    @pytest.mark.parametrize("size", [0, 1, CHUNK, "big"])
    def test_open_gives_exactly_the_bytes(self, store: Store, backdoor: Backdoor | None, size: int | str) -> None:
        data = sample(self.big if isinstance(size, str) else size)
        url = self.blob(store, backdoor, data)
        assert store.size(url) == len(data)
        got = list(store.open(url))
        assert all(isinstance(piece, bytes) for piece in got)
        assert b"".join(got) == data

    @needs(Cap.WRITE, Cap.DELETE)
    def test_absent_blob_raises_at_open_not_later(self, store: Store) -> None:
        """A lazy "not found" comes after the 200 has been sent."""
        url = self.put(store, b"x")
        store.delete(url)
        with pytest.raises(errors.BlobNotFound):
            store.open(url)
        if Cap.RANGE in store.caps:
            with pytest.raises(errors.BlobNotFound):
                store.open(url, 5, 1)

    @needs(Cap.WRITE, Cap.DELETE)
    def test_absent_blob_has_no_size_path_or_url(self, store: Store) -> None:
        url = self.put(store, b"x")
        store.delete(url)
        with pytest.raises(errors.BlobNotFound):
            store.size(url)
        if Cap.LOCAL in store.caps:
            with pytest.raises(errors.BlobNotFound):
                store.local_path(url)
        if Cap.PRESIGN in store.caps:
            with pytest.raises(errors.BlobNotFound):
                store.presign(url, 60)

    @needs(Cap.RANGE)
    def test_ranges_at_every_edge(self, store: Store, backdoor: Backdoor | None) -> None:
        data = sample(2 * CHUNK + 3)
        url = self.blob(store, backdoor, data)
        edges = [0, 1, CHUNK - 1, CHUNK, CHUNK + 1, len(data) - 1]
        for offset in edges:
            for length in [None, 1, 2, CHUNK, len(data) - offset, len(data) - offset - 1]:
                if length != 0:
                    end = None if length is None else offset + length
                    assert self.read(store, url, offset, length) == data[offset:end], (
                        f"offset {offset}, length {length}"
                    )

    @needs(Cap.RANGE)
    def test_range_past_the_end_gives_what_there_is(self, store: Store, backdoor: Backdoor | None) -> None:
        data = sample(1000)
        url = self.blob(store, backdoor, data)
        for offset, length in [(0, 1001), (999, 2), (500, 10**9), (1, 2**63)]:
            assert self.read(store, url, offset, length) == data[offset:], f"offset {offset}, length {length}"
        for start, count in [(1000, None), (1000, 1), (1001, None), (10**12, 5)]:
            assert self.read(store, url, start, count) == b"", f"offset {start}, length {count}"

    @needs(Cap.RANGE)
    def test_range_of_no_bytes_is_empty(self, store: Store, backdoor: Backdoor | None) -> None:
        url = self.blob(store, backdoor, sample(1000))
        for offset in (0, 500, 1000):
            assert self.read(store, url, offset, 0) == b""
        empty = self.blob(store, backdoor, b"")
        for length in (None, 0, 1):
            assert self.read(store, empty, 0, length) == b""

    @needs(Cap.RANGE, Cap.WRITE, Cap.DELETE)
    def test_range_of_an_absent_blob_raises_at_open(self, store: Store) -> None:
        """Also where nothing would have to be read: past the end, or no bytes."""
        url = self.put(store, b"x")
        store.delete(url)
        for offset, length in [(0, 0), (5, None), (1, 1)]:
            with pytest.raises(errors.BlobNotFound):
                store.open(url, offset, length)

    def test_readers_are_independent(self, store: Store, backdoor: Backdoor | None) -> None:
        first, second = self.blob(store, backdoor, sample(self.big)), self.blob(store, backdoor, sample(self.big, 1))
        readers = [store.open(first), store.open(second), store.open(first)]
        got = [b"", b"", b""]
        alive = True
        while alive:
            alive = False
            for number, reader in enumerate(readers):
                for piece in itertools.islice(reader, 1):
                    got[number] += piece
                    alive = True
        assert got == [sample(self.big), sample(self.big, 1), sample(self.big)]

    @pytest.mark.parametrize("pieces", [0, 1, 2], ids=["before its first piece", "after one piece", "after two pieces"])
    def test_closed_reader_leaks_nothing(self, store: Store, backdoor: Backdoor | None, pieces: int) -> None:
        """The client went away: descriptors, connections and threads go too."""
        url = self.blob(store, backdoor, sample(self.big))
        close(store.open(url))
        fds, threads = open_things()
        for _ in range(self.repeats):
            reader = store.open(url)
            for _ in range(pieces):
                next(reader)
            close(reader)
            close(reader)
            assert next(reader, None) is None, "a closed reader goes on"
        after = open_things()
        assert after[0] <= fds + self.pool, "file descriptors leak"
        assert after[1] <= threads + self.pool, "threads leak"

    def test_finished_reader_leaks_nothing(self, store: Store, backdoor: Backdoor | None) -> None:
        """Nor one that was read to its end, or forgotten."""
        url = self.blob(store, backdoor, sample(CHUNK + 1))
        self.read(store, url)
        fds, threads = open_things()
        for _ in range(self.repeats):
            self.read(store, url)
            next(store.open(url))
        after = open_things()
        assert after[0] <= fds + self.pool, "file descriptors leak"
        assert after[1] <= threads + self.pool, "threads leak"

    @needs(Cap.WRITE, Cap.DELETE)
    def test_failed_operations_leak_nothing(self, store: Store) -> None:
        key = self.key()
        url = self.put(store, b"x", key=key)
        gone = self.put(store, b"y")
        store.delete(gone)
        fds, threads = open_things()
        for _ in range(self.repeats):
            with pytest.raises(errors.BlobExists):
                store.put(key, iter([b"x"]))
            with pytest.raises(SourceBroke):
                store.put(self.key("kit-broken"), broken(b"x", SourceBroke()))
            with pytest.raises(errors.SizeMismatch):
                store.put(self.key("kit-broken"), iter([b"x"]), 2)
            for operation in (store.open, store.size, store.delete):
                with pytest.raises(errors.BlobNotFound):
                    operation(gone)
        after = open_things()
        assert after[0] <= fds + self.pool, "file descriptors leak"
        assert after[1] <= threads + self.pool, "threads leak"
        assert self.read(store, url) == b"x"

    @reaches(Reach.PROCESSES)
    @needs(Cap.WRITE, Cap.DELETE)
    def test_memory_stays_constant(self, store: Store) -> None:
        """A blob larger than the allowed growth goes in and out, seen by the kernel in a process of its own."""
        answer = _store_process.run(store, "memory", self.patience, key=self.key(), size=self.huge)
        assert answer is not None
        assert answer["size"] == self.huge
        assert answer["put"] < self.memory, f"put grew the process by {answer['put'] // MIB} MiB"
        assert answer["open"] < self.memory, f"open grew the process by {answer['open'] // MIB} MiB"

    @reaches(Reach.CUT)
    def test_blob_that_lost_bytes_is_not_quietly_short(self, store: Store, backdoor: Backdoor | None) -> None:
        """Bytes that go missing under a reader end in StoreUnavailable, never in a short image."""
        assert backdoor is not None
        data = sample(self.big)
        url = self.blob(store, backdoor, data)
        reader = store.open(url)
        got = next(reader)
        backdoor.cut(url, len(got))
        try:
            for piece in reader:
                got += piece
        except errors.StoreUnavailable:
            assert data.startswith(got)
        else:
            assert got == data, "the reader's bytes ended quietly"
        finally:
            close(reader)

    # -- locations ---------------------------------------------------------------------------------
    def foreign(self, store: Store, url: str) -> Iterator[str]:
        """URLs that are none of the store's, many of them one step beside one that is."""
        yield from [
            "",
            "x",
            "/",
            "://",
            ":",
            "kit://x/y",
            "data:,x",
            "nonsense with spaces",
            "\0",
            "\udcff",
            "ü",
            f"kit{url}",
        ]
        yield from (
            f"{scheme}{rest}"
            for scheme in store.schemes
            for rest in ("", ":", "://", ":///", "://[", "://x:y@z", "://\0/\0")
        )
        if Cap.EXTERNAL in store.caps:
            yield from ["file:///etc/passwd", "/etc/passwd", f"file://{Path(__file__).resolve()}"]
            return
        head, _, key = url.rpartition("/")
        folder = head.rpartition("/")[2]
        yield from [
            key,
            f"/{key}",
            "file:///etc/passwd",
            "/etc/passwd",
            "http://127.0.0.1:9/x",
            "http://169.254.169.254/latest/meta-data",
        ]
        yield from [
            f"{head}/{tail}"
            for tail in (
                "",
                ".",
                "..",
                "../..",
                f"../{folder}/{key}",
                f"./{key}",
                f"/{key}",
                f"{key}/",
                f"{key}/.",
                f"%2e%2e/{folder}/{key}",
                f"..%2F{folder}%2F{key}",
                f"{key}%00",
                f"{key}\0",
                f"{key}\n",
                f" {key}",
                f"x/../{key}",
                f"x%2F..%2F{key}",
                f"{key}%2F..%2F{key}",
                "%2Fetc%2Fpasswd",
                ".%2E/.%2E/etc/passwd",
            )
        ]
        yield from [
            f"{head}%2F{key}",
            f"{url}?x=1",
            f"{url}#x",
            f"{url};x",
            f"{head}/../../../../../../../../etc/passwd",
            urlsplit(url).path,
        ]

    def spellings(self, store: Store, url: str) -> Iterator[str]:
        """Other texts that may lead to the blob, some of them through other software's eyes."""
        scheme, _, rest = url.partition("://")
        where, slash, path = rest.partition("/")
        head, _, key = url.rpartition("/")
        host, query = where.rpartition("@")[2], urlsplit(url).query
        user = [f"{who}@{host}" for who in ("x", "x:y", "x%3Ay:z", "kit:kit:z", "")]
        ports = (
            [f"{host}:{port}" for port in ("", 80, 443, "0443", 6000, 8080)]
            if ":" not in host
            else [f"{host}0", host.replace(":", ":0")]
        )
        for place in (
            *user,
            *ports,
            host.upper(),
            host.title(),
            f"{host}.",
            f"%{ord(host[:1] or 'x'):02x}{host[1:]}",
            "",
            f"x{host}",
        ):
            yield f"{scheme}://{place}{slash}{path}"
        yield from (
            f"{other}://{place}{slash}{path}"
            for other in (*store.schemes, scheme.upper(), f"{scheme}+http", f"{scheme}+https", f"{scheme}+x")
            for place in (where, *user)
        )
        for at in {index for index, letter in enumerate(path) if letter == "/" or index in (0, 1, len(path) - 1)}:
            yield f"{scheme}://{where}{slash}{path[:at]}%{ord(path[at]):02x}{path[at + 1 :]}"
            yield f"{scheme}://{where}{slash}{path[:at]}%25{ord(path[at]):02X}{path[at + 1 :]}"
        yield from (
            f"{scheme}://{where}{slash}{other}"
            for other in (
                path.upper(),
                path.title(),
                path.swapcase(),
                unquote(path),
                quote(path),
                quote(path, safe=""),
                path.replace("/", "//"),
                path.replace("/", "/./"),
                path.replace("%20", "+"),
                path.replace("+", "%20"),
                path.replace("-", "%2D"),
                path.replace("-", "%2d"),
                f"/{path}",
                f"./{path}",
                f"../{path}",
                f"x/../{path}",
                f"{path}/",
                f"{path}//",
                f"{path}/.",
                f"{path}/x/..",
                f"{path};x",
                f"{path}%00",
                f"{path}%20",
                f"{path}+",
                f"{path}.",
            )
        )
        yield from (
            f"{head}/{name}"
            for name in (
                key.upper(),
                key.lower(),
                key.swapcase(),
                f"./{key}",
                f"x/../{key}",
                f"/{key}",
                f"{key}/",
                f" {key}",
                f"{key}\n",
            )
        )
        yield from (
            f"{url}{tail}" for tail in ("?", "?x=1", "#", "#x", "?x#y", "&x=1", f"?{query}", " ", "\n", "\0", "/")
        )
        yield from (
            f" {url}",
            f"\t{url}",
            f"{url[:3]}\n{url[3:]}",
            url.replace("://", ":/"),
            url.replace("://", ":///"),
            url.replace("/", "\\"),
        )

    def test_one_blob_has_one_url(self, store: Store, backdoor: Backdoor | None) -> None:
        """Whose bytes they are is judged by the text: what reaches them under another one is recognised, and is refused
        or becomes this one."""
        url = self.blob(store, backdoor, b"kept")
        mine = store.canonical(url)
        assert store.canonical(mine) == mine
        if Cap.WRITE in store.caps:
            assert mine == url, "put names another location than the canonical one"
        if Cap.LIST in store.caps:
            assert [store.canonical(x.url) for x in store.list()] == [x.url for x in store.list()], (
                "list names another location"
            )
        assert self.read(store, mine) == b"kept"
        for other in dict.fromkeys(self.spellings(store, url)):
            if other == url:
                continue
            try:
                said = store.canonical(other)
            except errors.BadLocation:
                reached = (
                    False if Cap.EXTERNAL in store.caps else self.reached(store, other)
                )  # such a server says itself what lies where
                assert not reached, f"{other!r} is no location, but reaches the bytes of {url!r}"
                continue
            assert store.canonical(said) == said, f"{said!r} is the canonical text of {other!r}, but not of itself"
            if Cap.EXTERNAL not in store.caps:
                assert said == mine or not (self.reached(store, other) or self.reached(store, said)), (
                    f"{other!r} reaches the bytes of {url!r}"
                )

    def reached(self, store: Store, url: str) -> bool:
        operations: list[Callable[[str], object]] = [store.size, store.open]
        operations += [store.local_path] if Cap.LOCAL in store.caps else []
        operations += [lambda bad: store.presign(bad, 60)] if Cap.PRESIGN in store.caps else []
        for operation in operations:
            with suppress(*REFUSALS):
                operation(url)
                return True
        if Cap.DELETE in store.caps:
            with suppress(*REFUSALS):
                store.delete(url)
                return True
        return False

    def test_foreign_urls_are_refused(self, store: Store, backdoor: Backdoor | None) -> None:
        """Locations come from users, too: nothing that the store did not make is read, measured, signed or deleted."""
        url = self.blob(store, backdoor, b"kept")
        operations: list[Callable[[str], object]] = [store.open, store.size]
        operations += [store.delete] if Cap.DELETE in store.caps else []
        operations += [store.local_path] if Cap.LOCAL in store.caps else []
        operations += [lambda bad: store.presign(bad, 60)] if Cap.PRESIGN in store.caps else []
        for bad in ("", "x", "/", "kit://x/y", "file:///etc/shadow", "\0", "\udcff"):
            with pytest.raises(errors.BadLocation):
                store.canonical(bad)
        for bad in self.foreign(store, url):
            for operation in operations:
                try:
                    operation(bad)
                except REFUSALS:
                    continue
                self.worked(f"{operation} accepted {bad!r}")
        assert self.read(store, url) == b"kept"

    def worked(self, message: str) -> NoReturn:
        raise AssertionError(message)

    @needs(Cap.WRITE, Cap.DELETE)
    def test_urls_of_a_neighbour_are_refused(self, request: pytest.FixtureRequest, store: Store) -> None:
        """An equal driver on another place made them; the key exists in both."""
        neighbour: Store = request.getfixturevalue("neighbour")  # a store that only reads has none
        key = self.key()
        mine = self.put(store, b"mine", key=key)
        theirs = neighbour.put(key, iter([b"theirs"]))
        try:
            assert mine != theirs
            for operation in (store.open, store.size, store.delete):
                with pytest.raises(REFUSALS):
                    operation(theirs)
            with pytest.raises(errors.BadLocation):
                store.canonical(theirs)
            assert self.read(neighbour, theirs) == b"theirs"
        finally:
            neighbour.discard(key)
            neighbour.close()
        assert self.read(store, mine) == b"mine"

    # -- the other capabilities --------------------------------------------------------------------
    @needs(Cap.LIST)
    def test_list_tells_every_blob(self, store: Store) -> None:
        """More of them than a page of the backend's, each as ``put`` made it."""
        sizes = {self.key(): number for number in range(self.many)}
        urls = {key: self.put(store, sample(size), key=key) for key, size in sizes.items()}
        told = list(store.list())
        assert sorted(blob.key for blob in told) == sorted(sizes)
        for blob in told:
            assert blob.url == urls[blob.key]
            assert blob.size == sizes[blob.key]

    @needs(Cap.LIST)
    def test_list_tells_times_in_utc(self, store: Store) -> None:
        self.put(store, b"x")
        [blob] = store.list()
        assert blob.modified.utcoffset() == timedelta(0)
        assert abs(datetime.now(UTC) - blob.modified) < timedelta(hours=1)

    @needs(Cap.LIST)
    def test_list_of_an_empty_store_is_empty(self, store: Store) -> None:
        assert list(store.list()) == []
        if Cap.DELETE in store.caps:
            store.delete(self.put(store, b"x"))
            assert list(store.list()) == []

    @needs(Cap.LOCAL)
    def test_local_path_is_the_blob(self, store: Store, backdoor: Backdoor | None) -> None:
        data = sample(CHUNK + 1)
        path = store.local_path(self.blob(store, backdoor, data))
        assert path.is_absolute()
        assert path.read_bytes() == data

    @needs(Cap.ADOPT, Cap.DELETE)
    def test_adopted_file_is_a_blob(self, store: Store, backdoor: Backdoor | None, adoptable: Path) -> None:
        data, path = sample(self.big), adoptable / "kit-finished"
        path.write_bytes(data)
        url = store.adopt(self.key(), path)
        self._urls.append(url)
        assert path.read_bytes() == data, "the path stays for the caller to remove"
        self.assert_stored(store, backdoor, url, data)
        path.unlink()
        self.assert_stored(store, backdoor, url, data)
        store.delete(url)
        self.assert_absent(store, backdoor, url)

    @needs(Cap.ADOPT)
    def test_adopt_never_replaces_a_blob(self, store: Store, backdoor: Backdoor | None, adoptable: Path) -> None:
        key, path = self.key(), adoptable / "kit-finished"
        path.write_bytes(b"new")
        url = self.put(store, b"old", key=key)
        with pytest.raises(errors.BlobExists):
            store.adopt(key, path)
        assert path.read_bytes() == b"new"
        path.unlink()
        self.assert_stored(store, backdoor, url, b"old")

    @needs(Cap.PRESIGN)
    def test_presigned_url_works_for_a_while(self, store: Store, backdoor: Backdoor | None) -> None:
        data = sample(CHUNK + 1)
        url = self.blob(store, backdoor, data)
        with urllib.request.urlopen(store.presign(url, 60), timeout=30) as answer:  # noqa: S310
            assert answer.read() == data
        short, deadline = store.presign(url, 1), time.monotonic() + self.expiry
        while True:
            try:
                urllib.request.urlopen(short, timeout=30).close()  # noqa: S310
            except urllib.error.HTTPError as exc:
                exc.close()
                break
            assert time.monotonic() < deadline, "the URL outlives its time"
            time.sleep(0.5)

    # -- many at once ------------------------------------------------------------------------------
    @needs(Cap.WRITE, Cap.DELETE)
    def test_threads_do_not_disturb_each_other(self, store: Store) -> None:
        """One instance serves all threads of a process."""

        def work(number: int) -> None:
            for turn in range(self.rounds):
                data = sample(CHUNK // 4 + number, number)
                key = f"kit-thread-{number}-{turn}"
                url = store.put(key, (data[start : start + 60_000] for start in range(0, len(data), 60_000)))
                assert store.size(url) == len(data)
                assert b"".join(store.open(url)) == data, "a thread read the bytes of another one"
                store.delete(url)
                with pytest.raises(errors.BlobNotFound):
                    store.open(url)

        for number in range(self.threads):
            for turn in range(self.rounds):
                self.key(f"kit-thread-{number}-{turn}")
        at_once(self.patience * self.rounds, *(partial(work, number) for number in range(self.threads)))

    @needs(Cap.WRITE, Cap.DELETE)
    def test_any_order_of_operations_behaves_like_a_dict(self, store: Store) -> None:
        """A Hypothesis machine; a failure prints the shortest order of calls that shows it."""
        self._keys += ["kit-a", "kit-a.b", "kit-a-b", "kit-b", "KIT-A"]
        run_state_machine_as_test(
            lambda: StoreMachine(store),  # type: ignore[arg-type]  # a factory will do, as its documentation says
            settings=settings(
                max_examples=self.examples,
                stateful_step_count=self.steps,
                deadline=None,
                database=None,
                report_multiple_bugs=False,
                suppress_health_check=list(HealthCheck),
            ),
        )

    # -- trouble -----------------------------------------------------------------------------------
    def test_errors_name_no_url_path_or_credential(self, store: Store, backdoor: Backdoor | None) -> None:
        """Their text is shown to users; locations carry credentials."""
        url = self.blob(store, backdoor, b"x")
        seen: list[Exception] = []

        def provoke(operation: Callable[[], object]) -> None:
            with pytest.raises(errors.GlanceError) as caught:
                operation()
            seen.append(caught.value)

        for bad in self.foreign(store, url):
            provoke(lambda bad=bad: store.open(bad))  # type: ignore[misc]
            provoke(lambda bad=bad: store.size(bad))  # type: ignore[misc]
        if {Cap.WRITE, Cap.DELETE} <= store.caps:
            key = self.key()
            gone = self.put(store, b"y", key=key)
            provoke(lambda: store.put(key, iter([b"z"])))
            provoke(lambda: store.put(self.key(), iter([b"z"]), 5))
            store.delete(gone)
            provoke(lambda: store.open(gone))
            provoke(lambda: store.size(gone))
            provoke(lambda: store.delete(gone))
            provoke(lambda: store.delete(f"{gone}?x"))
        settings_ = {str(store.conf[opt.dest]) for opt in store.options}
        hidden = self.secrets(store) | {value for value in settings_ if "/" in value}
        hidden |= {url, urlsplit(url).path, unquote(urlsplit(url).path), "/etc/passwd", "169.254.169.254"}
        for error in seen:
            text = str(error)
            assert text, f"{type(error).__name__} says nothing"
            assert "://" not in text, f"a URL: {text}"
            for value in hidden - {"", "/"}:
                assert value not in text, f"{value!r} in {text!r}"
            if isinstance(error, errors.StoreError):
                assert error.store in {"", store.name}, "`store` is the operator's name for it"

    @reaches(Reach.BREAK)
    def test_backend_that_is_away_raises_store_errors(self, store: Store, backdoor: Backdoor | None) -> None:
        """Every operation says so, and works again when the backend is back, on the same instance."""
        assert backdoor is not None
        url = self.blob(store, backdoor, b"kept")
        away = (errors.StoreUnavailable, errors.StoreForbidden)
        operations: list[Callable[[], object]] = [lambda: self.read(store, url), lambda: store.size(url)]
        known = Cap.EXTERNAL not in store.caps  # else no backend is known before somebody names one
        operations += [store.ping] if known else []
        if Cap.MARK in store.caps:
            where = store.markers()[0].where
            operations += [store.markers, lambda: store.mark(where, b"mark")]
        if Cap.WRITE in store.caps:
            operations.append(lambda: store.put(self.key(), iter([b"x"])))
        if Cap.DELETE in store.caps:
            operations += [lambda: store.delete(url), lambda: store.discard(self.key())]
        if Cap.LIST in store.caps:
            operations.append(lambda: list(store.list()))
        try:
            backdoor.break_()
            for operation in operations:
                with pytest.raises(away):
                    operation()
            if known:
                with pytest.raises((*away, errors.ConfigError)):
                    self.again(store)
        finally:
            backdoor.mend()
        store.ping()
        assert self.read(store, url) == b"kept"
        if Cap.WRITE in store.caps:
            self.assert_stored(store, backdoor, self.put(store, b"again"), b"again")

    @reaches(Reach.BREAK)
    @needs(Cap.WRITE, Cap.DELETE)
    def test_backend_that_goes_away_during_put(self, store: Store, backdoor: Backdoor | None) -> None:
        """Either the put succeeds after all, or it is a store error and ``discard`` removes the rest."""
        assert backdoor is not None
        before, key, data = self.names(store, backdoor), self.key(), sample(self.big)

        def source() -> Iterator[bytes]:
            for start in range(0, len(data), CHUNK):
                yield data[start : start + CHUNK]
                if start == CHUNK:
                    backdoor.break_()

        try:
            url: str | None = store.put(key, source())
        except errors.StoreError:
            url = None
        finally:
            backdoor.mend()
        if url is not None:
            self.assert_stored(store, backdoor, url, data)
        store.discard(key)
        assert self.names(store, backdoor) == before

    @reaches(Reach.BREAK)
    def test_backend_that_goes_away_under_a_reader(self, store: Store, backdoor: Backdoor | None) -> None:
        """All the bytes, or StoreUnavailable: a short image is never whole."""
        assert backdoor is not None
        data = sample(self.big)
        reader = store.open(self.blob(store, backdoor, data))
        got = next(reader)
        try:
            backdoor.break_()
            for piece in reader:
                got += piece
        except errors.StoreError:
            assert data.startswith(got)
        else:
            assert got == data, "the reader's bytes ended quietly"
        finally:
            backdoor.mend()
            close(reader)
