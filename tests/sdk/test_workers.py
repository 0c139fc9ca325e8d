"""Threads for an extension's long work."""

from __future__ import annotations

import threading

import pytest
from waiting import until

from glancecore.domain.errors import ServerBusy
from glancecore.sdk.workers import Workers


def test_as_many_as_there_are_threads_run_at_once() -> None:
    workers, gate, running, done = Workers("x", 2), threading.Event(), list[int](), list[int]()

    def work(number: int) -> None:
        running.append(number)
        gate.wait(30)
        done.append(number)

    for number in range(4):
        workers.submit(lambda number=number: work(number))  # type: ignore[misc]
    until(lambda: len(running) == 2)
    gate.set()
    until(lambda: sorted(done) == [0, 1, 2, 3])
    workers.stop()


def test_what_waits_is_told_that_the_process_ends() -> None:
    workers, begun, seen = Workers("x", 1), threading.Event(), list[str]()

    def work(name: str) -> None:
        begun.set()
        workers.stopping.wait(30)
        seen.append(name)

    for name in ("running", "waiting"):
        workers.submit(lambda name=name: work(name))  # type: ignore[misc]
    begun.wait(30)
    workers.stop()
    assert seen == ["running", "waiting"]
    with pytest.raises(ServerBusy):
        workers.submit(lambda: None)
    assert not any(x.name.startswith("x-") for x in threading.enumerate())


def test_too_much_is_refused() -> None:
    workers, gate, begun = Workers("x", 1, waiting=1), threading.Event(), threading.Event()

    def work() -> None:
        begun.set()
        gate.wait(30)

    workers.submit(work)
    begun.wait(30)
    workers.submit(work)
    with pytest.raises(ServerBusy):
        workers.submit(work)
    gate.set()
    workers.stop()


def test_a_fault_ends_no_thread(caplog: pytest.LogCaptureFixture) -> None:
    workers, done = Workers("x", 1), threading.Event()
    workers.submit(lambda: 1 / 0)  # type: ignore[arg-type]
    workers.submit(done.set)
    assert done.wait(30)
    assert "work of x failed" in caplog.text
    workers.stop()


def test_projects_take_turns() -> None:
    """Who brings much waits behind himself, and leaves room for others."""
    workers, gate, begun, done = Workers("x", 1, waiting=8), threading.Event(), threading.Event(), list[str]()

    def first() -> None:
        begun.set()
        gate.wait(30)

    workers.submit(first, "greedy")
    begun.wait(30)
    for number in range(4):
        workers.submit(lambda number=number: done.append(f"greedy {number}"), "greedy")  # type: ignore[misc]
    with pytest.raises(ServerBusy, match="your project"):
        workers.submit(first, "greedy")
    for name in ("one", "two"):
        workers.submit(lambda name=name: done.append(name), name)  # type: ignore[misc]
    workers.submit(lambda: done.append("nobody"))
    gate.set()
    until(lambda: len(done) == 7)
    assert done == ["greedy 0", "one", "two", "nobody", "greedy 1", "greedy 2", "greedy 3"]
    workers.stop()


def test_one_project_has_its_share_of_the_threads() -> None:
    workers, gate, begun = Workers("x", 3, share=2), threading.Event(), list[str]()

    def work(name: str) -> None:
        begun.append(name)
        gate.wait(30)

    for number in range(4):
        workers.submit(lambda number=number: work(f"b{number}"), "b")  # type: ignore[misc]
    until(lambda: len(begun) == 2)
    workers.submit(lambda: work("a"), "a")
    until(lambda: begun == ["b0", "b1", "a"])
    gate.set()
    until(lambda: sorted(begun) == ["a", "b0", "b1", "b2", "b3"])
    workers.stop()


def test_what_waits_can_be_taken_back() -> None:
    workers, gate, begun, done = Workers("x", 1, waiting=2), threading.Event(), threading.Event(), list[str]()

    def work() -> None:
        begun.set()
        gate.wait(30)
        done.append("running")

    workers.submit(work, "a")
    begun.wait(30)
    for _ in range(10):
        workers.submit(lambda: done.append("never"), "a")()
    take_back = workers.submit(lambda: done.append("last"), "a")
    gate.set()
    until(lambda: done == ["running", "last"])
    take_back()
    workers.stop()
