"""Caching images, ahead of their readers and for them."""

from __future__ import annotations

import hashlib
import threading
import time
import uuid
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import pytest
from glancecore_cache_file.driver import FileCache

from glancecore.domain import errors
from glancecore.domain.image import Image
from glancecore.features.cache.image_cache import AT_ONCE, ImageCache
from glancecore.testing.cache import make_cache
from glancecore.testing.examples import make_image, with_data


class _Away:
    """A cache that can't be used now."""

    def claim(self, *_: object) -> None:
        raise errors.CacheUnavailable("its disk is away")

    def open(self, *_: object, **__: object) -> None:
        raise errors.CacheUnavailable("its disk is away")


class _Copies:
    copies = 1


def test_a_cache_that_is_away_is_asked_once(caplog: pytest.LogCaptureFixture) -> None:
    image = replace(with_data(make_image(), 3), hash_algo="sha256", hash_value="0" * 64)
    assert ImageCache(cast("Any", _Away()), 1.0, 10).fill(image, cast("Any", _Copies())) is False
    assert [x.levelname for x in caplog.records] == ["WARNING"]


class _Slow:
    """Data that comes when it is ``let``; read for ``project``."""

    copies = 1

    def __init__(self, project: str | None, data: bytes) -> None:
        self.project = project
        self.let = threading.Event()
        self._data = data

    def read(self, _first: int = 0) -> Iterator[bytes]:
        assert self.let.wait(30)
        yield self._data


class _Downloads:
    """Each in a thread of its own; what each was given by the cache."""

    def __init__(self, cache: ImageCache) -> None:
        self.cache = cache
        self.all: list[tuple[_Slow, threading.Thread, list[bytes]]] = []

    def begin(self, project: str | None, image: Image, data: bytes) -> list[bytes]:
        """When it is filled, or sent past the cache."""
        source, came = _Slow(project, data), list[bytes]()
        thread = threading.Thread(target=lambda: came.extend(self.cache.stream(image, source)), daemon=True)
        thread.start()
        self.all.append((source, thread, came))
        return came

    def passed(self) -> list[bool]:
        """Of each, once those that fill have begun."""
        end = time.monotonic() + 30
        while len([x for x in threading.enumerate() if x.name.startswith("cache-")]) < sum(
            x[1].is_alive() for x in self.all
        ):
            assert time.monotonic() < end
            time.sleep(0.01)
        return [not x[1].is_alive() for x in self.all]

    def end(self) -> None:
        for source, _, _ in self.all:
            source.let.set()
        for _, thread, _ in self.all:
            thread.join(30)
            assert not thread.is_alive()


def _image(data: bytes) -> Image:
    return replace(
        with_data(make_image(id=str(uuid.uuid4())), len(data)),
        hash_algo="sha256",
        hash_value=hashlib.sha256(data).hexdigest(),
    )


@pytest.fixture
def downloads(tmp_path: Path) -> Iterator[_Downloads]:
    driver = make_cache(FileCache, tmp_path / "cache", 1000)
    made = _Downloads(ImageCache(cast("Any", driver), 30.0, 1000))
    yield made
    made.end()
    for thread in threading.enumerate():
        if thread.name.startswith("cache-"):
            thread.join(30)
    driver.close()


def test_one_project_leaves_others_places(downloads: _Downloads) -> None:
    data, half = b"1234", AT_ONCE // 2
    for _ in range(half + 3):
        downloads.begin("a", _image(data), data)
        downloads.passed()
    assert downloads.passed() == [False] * half + [True] * 3
    theirs = [downloads.begin("b", _image(data), data) for _ in range(half)]
    assert not any(downloads.passed()[-half:])
    downloads.begin("c", _image(data), data)
    assert downloads.passed()[-1], "a process has so many threads for it and no more"
    downloads.end()
    assert [b"".join(x) for x in theirs] == [data] * half
    downloads.all.clear()
    downloads.begin("a", _image(data), data)
    assert downloads.passed() == [False], "places are given back"


def test_one_project_leaves_others_room(downloads: _Downloads) -> None:
    large, small = b"x" * 300, b"y" * 250
    for data in (large, small, b"z" * 200):
        downloads.begin("a", _image(data), data)
        downloads.passed()
    assert downloads.passed() == [False, True, False], "half of it"
    downloads.begin("b", _image(b"w" * 500), b"w" * 500)
    assert downloads.passed()[-1] is False


def test_one_image_may_be_larger_than_the_share_of_its_reader(downloads: _Downloads) -> None:
    data = b"x" * 900
    downloads.begin("a", _image(data), data)
    assert downloads.passed() == [False]


def test_who_follows_takes_no_place(downloads: _Downloads) -> None:
    data = b"1234"
    image = _image(data)
    downloads.begin("b", image, data)
    for _ in range(AT_ONCE // 2):
        downloads.begin("a", _image(data), data)
    assert downloads.passed() == [False] * (1 + AT_ONCE // 2)
    came = [downloads.begin("a", image, data) for _ in range(3)]
    downloads.end()
    assert [b"".join(x) for x in came] == [data] * 3


def test_nothing_is_evicted_for_what_gets_no_place(downloads: _Downloads) -> None:
    kept, data = b"k" * 400, b"x" * 500
    image = _image(kept)
    downloads.begin("b", image, kept)
    downloads.end()
    downloads.all.clear()
    downloads.begin("a", _image(data), data)
    downloads.begin("a", _image(data), data)
    downloads.passed()
    found = downloads.cache.file(image)
    assert found is not None
    found.file.close()
