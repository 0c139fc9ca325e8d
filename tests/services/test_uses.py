"""Counting the uses of images: in memory, and written down in batches, beside others who do the same."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from glancecore.domain import errors
from glancecore.domain.image import Image
from glancecore.features.uses import counting
from glancecore.features.uses.counting import Use, UseCounter, UseRows
from glancecore.ports.repository import ImageAdded, ImageRemoved
from glancecore.testing.examples import make_image
from glancecore.testing.fakes import MemoryDatabase, MemoryImages

NOW = datetime(2026, 3, 1, tzinfo=UTC)


class Cloud:
    def __init__(self) -> None:
        self.database, self.at = MemoryDatabase(), NOW
        self.rows = UseRows(self.database)

    def counter(self, each: float = 3600.0) -> UseCounter:
        return UseCounter(self.rows, each, lambda: self.at)

    def image(self) -> Image:
        image = make_image()
        self.database.images.commit(ImageAdded(image))
        return image

    def known(self, *images: Image) -> list[Use | None]:
        found = self.rows.of([x.id for x in images])
        return [found.get(x.id) for x in images]


@pytest.fixture
def cloud() -> Cloud:
    return Cloud()


@pytest.fixture
def commits(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many changes each commit had."""
    made: list[int] = []
    do = MemoryImages.commit

    def commit(self: MemoryImages, *changes: Any) -> None:
        made.append(len(changes))
        do(self, *changes)

    monkeypatch.setattr(MemoryImages, "commit", commit)
    return made


def test_nothing_is_written_before_it_is_time(cloud: Cloud, commits: list[int]) -> None:
    first, second, never = cloud.image(), cloud.image(), cloud.image()
    counter = cloud.counter()
    commits.clear()
    for _ in range(1000):
        counter.count(first)
    cloud.at += timedelta(days=1)
    counter.count(second)
    counter.count(first)
    assert commits == []
    counter.write()
    assert commits == [2], "both in one"
    assert cloud.known(first, second, never) == [Use(1001, cloud.at), Use(1, cloud.at), None]
    counter.write()
    assert commits == [2], "nothing new"
    cloud.at -= timedelta(days=9)
    counter.count(second)
    counter.write()
    assert cloud.known(second) == [Use(2, NOW + timedelta(days=1))], "a clock that is behind makes it no older"


def test_a_pass_writes_when_it_is_time_and_says_since_when_it_counts(cloud: Cloud) -> None:
    image, early, late = cloud.image(), cloud.counter(0.0), cloud.counter()
    assert cloud.rows.begun_at() is None
    for counter in (early, late):
        counter.count(image)
        counter.write_in_time()
        cloud.at += timedelta(hours=1)
    assert cloud.known(image) == [Use(1, NOW)]
    assert cloud.rows.begun_at() == NOW, "the first has begun"
    late.write()
    assert cloud.known(image) == [Use(2, NOW + timedelta(hours=1))]


def test_large_batches_are_cut(cloud: Cloud, commits: list[int], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(counting, "_BATCH", 4)
    images, counter = [cloud.image() for _ in range(10)], cloud.counter()
    commits.clear()
    for image in images:
        counter.count(image)
    counter.write()
    assert commits == [4, 4, 2]
    assert cloud.known(*images) == [Use(1, NOW)] * 10


def meddling(monkeypatch: pytest.MonkeyPatch, then: Callable[[], object]) -> None:
    """``then`` happens between the first look and its commit."""
    do, seen = UseRows.add, []
    commit = MemoryImages.commit

    def add(self: UseRows, uses: Any) -> None:
        if not seen:
            seen.append(True)

            def committing(images: MemoryImages, *changes: Any) -> None:
                monkeypatch.setattr(MemoryImages, "commit", commit)
                then()
                commit(images, *changes)

            monkeypatch.setattr(MemoryImages, "commit", committing)
        do(self, uses)

    monkeypatch.setattr(UseRows, "add", add)


@pytest.mark.parametrize("before", [0, 5])
def test_another_process_that_writes_at_the_same_time_loses_nothing(
    cloud: Cloud, monkeypatch: pytest.MonkeyPatch, before: int
) -> None:
    image, beside, here, there = cloud.image(), cloud.image(), cloud.counter(), cloud.counter()
    for _ in range(before):
        there.count(image)
    there.write()
    there.count(image)
    for each in (image, beside):
        here.count(each)
    meddling(monkeypatch, there.write)
    here.write()
    assert cloud.known(image, beside) == [Use(before + 2, NOW), Use(1, NOW)]


def test_an_image_that_is_gone_takes_its_uses_along_and_nobody_elses(cloud: Cloud) -> None:
    gone, stays, counter = cloud.image(), cloud.image(), cloud.counter()
    counter.count(gone)
    counter.write()
    for each in (gone, stays):
        counter.count(each)
    cloud.database.images.commit(ImageRemoved(gone, NOW))
    counter.write()
    assert cloud.known(gone, stays) == [None, Use(1, NOW)]


def test_without_the_database_counting_goes_on(cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(counting, "_BATCH", 1)
    images, counter = [cloud.image() for _ in range(3)], cloud.counter()
    for image in images:
        counter.count(image)
    do, left = UseRows.add, [1]

    def away(self: UseRows, uses: Any) -> None:
        if not left:
            raise errors.DatabaseUnavailable("away")
        left.pop()
        do(self, uses)

    monkeypatch.setattr(UseRows, "add", away)
    with pytest.raises(errors.DatabaseUnavailable):
        counter.write()
    assert [x for x in cloud.known(*images) if x] == [Use(1, NOW)], "the first batch"
    counter.count(images[0])
    monkeypatch.setattr(UseRows, "add", do)
    counter.write()
    assert cloud.known(*images) == [Use(2, NOW), Use(1, NOW), Use(1, NOW)]


def test_memory_is_bounded(cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(counting, "_MOST", 2)
    images, counter = [cloud.image() for _ in range(3)], cloud.counter()
    for image in images * 2:
        counter.count(image)
    counter.write()
    assert cloud.known(*images) == [Use(2, NOW), Use(2, NOW), None]


def test_what_a_newer_release_has_written_is_no_trouble(cloud: Cloud) -> None:
    image, counter = cloud.image(), cloud.counter()
    counter.count(image)
    counter.write()
    record = cloud.database.records.get(counting.COLLECTION, image.id)
    kept: Sequence[Any] = [replace(record, data={"last_at": None, "more": [1]})]
    assert counting._use(kept[0]) == Use()
