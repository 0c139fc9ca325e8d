"""When Keystone is asked, and what counts while it is away."""

from __future__ import annotations

import threading

import pytest
from glancecore_quota_unified.cache import MOST, Cache

from glancecore.domain.errors import QuotaUnavailable
from glancecore.domain.quota import Limits


class Source:
    def __init__(self) -> None:
        self.asked: list[str | None] = []
        self.images = 1
        self.away = False
        self.now = 0.0

    def ask(self, project: str | None) -> Limits:
        self.asked.append(project)
        if self.away:
            raise QuotaUnavailable("away")
        return Limits(images=self.images)

    def cache(self) -> Cache:
        return Cache(self.ask, 5, lambda: self.now)


def test_an_answer_counts_for_a_while_and_for_its_project_only() -> None:
    source = Source()
    cache = source.cache()
    assert cache.get("a").images == 1
    source.images = 2
    source.now = 4.9
    assert (cache.get("a").images, cache.get("b").images) == (1, 2)
    source.now = 5.0
    assert cache.get("a").images == 2
    assert source.asked == ["a", "b", "a"]


def test_while_the_source_is_away_what_is_known_counts_and_nothing_else() -> None:
    source = Source()
    cache = source.cache()
    cache.get("a")
    source.away, source.now, source.images = True, 5, 7
    assert cache.get("a").images == 1
    for _ in range(3):
        with pytest.raises(QuotaUnavailable):
            cache.get("b")
    assert source.asked == ["a", "a"], "it is left alone for a while"
    source.now = 10
    source.away = False
    assert (cache.get("a").images, cache.get("b").images) == (7, 7)


def test_while_one_asks_others_take_what_is_known_and_one_question_answers_many() -> None:
    source = Source()
    go, asking = threading.Event(), threading.Event()

    def slow(project: str | None) -> Limits:
        asking.set()
        assert go.wait(30)
        return source.ask(project)

    cache = Cache(slow, 5, lambda: source.now)
    found: list[int | None] = []
    waiting = [threading.Thread(target=lambda: found.append(cache.get("a").images)) for _ in range(8)]
    for thread in waiting:
        thread.start()
    go.set()
    for thread in waiting:
        thread.join(30)
    assert (found, source.asked) == ([1] * 8, ["a"])
    source.now, source.images = 5, 2
    go.clear()
    asking.clear()
    one = threading.Thread(target=cache.get, args=("a",))
    one.start()
    assert asking.wait(30)
    assert cache.get("a").images == 1, "does not wait"
    go.set()
    one.join(30)
    assert cache.get("a").images == 2


def test_memory_is_bounded() -> None:
    source = Source()
    cache = source.cache()
    for number in range(MOST + 1):
        cache.get(str(number))
    cache.get(str(MOST))
    assert len(source.asked) == MOST + 1
    cache.get("0")
    assert len(source.asked) == MOST + 2
