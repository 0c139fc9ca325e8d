"""Each project in its turn, and none with all workers."""

from __future__ import annotations

import threading

from glancecore.features.imports.dispatch.fair_queue import FairQueue


def test_projects_take_turns() -> None:
    queue: FairQueue[int] = FairQueue(10)
    for number in range(4):
        queue.put("many", number)
    queue.put("few", 9)
    assert [queue.get() for _ in range(5)] == [("many", 0), ("few", 9), ("many", 1), ("many", 2), ("many", 3)]


def test_a_share_is_kept_until_it_is_given_back() -> None:
    queue: FairQueue[str] = FairQueue(1)
    queue.put("a", "first")
    queue.put("a", "second")
    queue.put("b", "other")
    assert queue.get() == ("a", "first")
    assert queue.get() == ("b", "other")
    got: list[object] = []
    waiter = threading.Thread(target=lambda: got.append(queue.get()))
    waiter.start()
    waiter.join(0.05)
    assert got == []
    queue.done("b")
    waiter.join(0.05)
    assert got == [], "b's place is not for a"
    queue.done("a")
    waiter.join(10)
    assert got == [("a", "second")]


def test_a_place_outside_of_the_queue_counts() -> None:
    queue: FairQueue[str] = FairQueue(2)
    assert [queue.takes("a"), queue.takes("a"), queue.takes("a"), queue.takes("b")] == [True, True, False, True]
    queue.done("a")
    assert queue.takes("a") is True


def test_what_waits_is_given_out_when_it_is_closed() -> None:
    queue: FairQueue[str] = FairQueue(1)
    queue.put("a", "first")
    queue.put("a", "second")
    assert queue.get() == ("a", "first")
    queue.close()
    assert queue.get() == ("a", "second")
    assert queue.get() is None
