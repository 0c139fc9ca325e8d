"""The kit's Hypothesis machine: any order of operations on a few keys, compared with a dict."""

from __future__ import annotations

import operator
from collections.abc import Iterator

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule

from glancecore.domain import errors
from glancecore.ports.store import CHUNK, Cap, Store
from glancecore.testing._store_harness import MIB, sample

ALL_KEYS = ("kit-a", "kit-a.b", "kit-a-b", "kit-b", "KIT-A")
KEYS = st.sampled_from(ALL_KEYS)
#: Up to several rows of 1 MiB, the commonest size of a backend that cuts.
SIZES = st.sampled_from([CHUNK - 1, CHUNK, CHUNK + 1, MIB + 1, 2 * MIB + CHUNK + 3])
DATA = st.one_of(st.binary(max_size=64), SIZES.map(sample))
CUTS = st.lists(st.integers(0, 80), max_size=6)
EDGES = st.one_of(st.integers(0, 80), st.sampled_from([CHUNK - 1, CHUNK, CHUNK + 1, 2 * CHUNK]))
FAR = st.builds(operator.add, st.sampled_from([CHUNK, MIB, 2 * MIB]), st.integers(-1, 1))
LENGTHS = st.sampled_from([None, 1, 2, 3, MIB + 3])


def split(data: bytes, cuts: list[int]) -> Iterator[bytes]:
    """``data`` in pieces that end at ``cuts``; equal cuts make empty pieces."""
    start = 0
    for cut in sorted(cuts):
        yield data[start:cut]
        start = max(start, cut)
    yield data[start:]


def same(reader: Iterator[bytes], data: bytes) -> bool:
    """Compared out of sight of pytest, which would look for the difference in megabytes each time that Hypothesis
    shrinks."""
    return b"".join(reader) == data


class SourceBroke(Exception):
    """What the machine's broken sources raise."""


def breaking(data: bytes) -> Iterator[bytes]:
    yield data
    raise SourceBroke


class StoreMachine(RuleBasedStateMachine):
    def __init__(self, store: Store) -> None:
        super().__init__()
        self.store = store
        self.blobs: dict[str, tuple[str, bytes]] = {}
        self.gone: str | None = None

    @rule(key=KEYS, data=DATA, cuts=CUTS, told=st.booleans())
    def put(self, key: str, data: bytes, cuts: list[int], told: bool) -> None:
        if key in self.blobs:
            with pytest.raises(errors.BlobExists):
                self.store.put(key, split(data, cuts), len(data) if told else None)
        else:
            self.blobs[key] = self.store.put(key, split(data, cuts), len(data) if told else None), data

    @rule(key=KEYS, data=DATA)
    def put_from_a_broken_source(self, key: str, data: bytes) -> None:
        with pytest.raises((SourceBroke, errors.BlobExists) if key in self.blobs else SourceBroke):
            self.store.put(key, breaking(data))

    @rule(key=KEYS, data=DATA, wrong=st.sampled_from([-1, 1]))
    def put_of_a_wrong_size(self, key: str, data: bytes, wrong: int) -> None:
        with pytest.raises((errors.SizeMismatch, errors.BlobExists) if key in self.blobs else errors.SizeMismatch):
            self.store.put(key, iter([data or b"x"]), len(data or b"x") + wrong)

    @rule(key=KEYS, offset=EDGES, length=st.one_of(st.none(), EDGES))
    def read(self, key: str, offset: int, length: int | None) -> None:
        if key not in self.blobs:
            return
        url, data = self.blobs[key]
        assert self.store.size(url) == len(data)
        assert same(self.store.open(url), data)
        if Cap.RANGE in self.store.caps:
            end = None if length is None else offset + length
            assert same(self.store.open(url, offset, length), data[offset:end])

    @rule(offset=FAR, length=LENGTHS)
    def read_far_behind(self, offset: int, length: int | None) -> None:
        if Cap.RANGE in self.store.caps:
            end = None if length is None else offset + length
            for url, data in self.blobs.values():
                assert same(self.store.open(url, offset, length), data[offset:end])

    @rule(key=KEYS)
    def delete(self, key: str) -> None:
        if key in self.blobs:
            self.gone = self.blobs.pop(key)[0]
            self.store.delete(self.gone)

    @rule(key=KEYS)
    def discard(self, key: str) -> None:
        self.store.discard(key)
        if key in self.blobs:
            self.gone = self.blobs.pop(key)[0]

    @rule()
    def touch_what_is_gone(self) -> None:
        if self.gone is None or self.gone in {url for url, _ in self.blobs.values()}:
            return
        for operation in (self.store.open, self.store.size, self.store.delete):
            with pytest.raises(errors.BlobNotFound):
                operation(self.gone)

    @rule()
    def list(self) -> None:
        if Cap.LIST in self.store.caps:
            told = {(blob.key, blob.url, blob.size) for blob in self.store.list()}
            assert told == {(key, url, len(data)) for key, (url, data) in self.blobs.items()}

    @rule()
    def open_another_instance(self) -> None:
        other = type(self.store)(self.store.name, self.store.conf)
        other.start()
        for url, data in self.blobs.values():
            assert same(other.open(url), data)
        other.close()

    def teardown(self) -> None:
        try:
            for url, data in self.blobs.values():
                assert same(self.store.open(url), data)
                self.store.delete(url)
        finally:
            for key in ALL_KEYS:  # a failed example must not disturb the next one
                self.store.discard(key)
