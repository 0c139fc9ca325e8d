"""Which calls a registry remembers: none is carried out twice while it could be taken for a fresh one."""

from __future__ import annotations

import os

import pytest

from glancecore.registry import replays
from glancecore.registry.replays import WINDOW, Replays
from glancecore.sdk.registry import signing as proof


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def test_a_call_is_new_once_as_far_as_the_window_reaches() -> None:
    seen = Replays()
    assert seen.first("a", 2 * WINDOW)
    assert seen.first("a", WINDOW + 1), "4,095 below the highest: the last that the window has"
    assert not seen.first("a", WINDOW + 1)
    assert not seen.first("a", WINDOW), "4,096 below: it can't be told any more"
    assert not seen.first("a", 2 * WINDOW)
    assert seen.first("b", WINDOW), "callers have windows of their own"


@pytest.mark.parametrize("ahead", [1, WINDOW - 1, WINDOW, WINDOW + 1, 10 * WINDOW])
def test_a_jump_ahead_forgets_nothing_that_the_window_has(ahead: int) -> None:
    seen = Replays()
    assert seen.first("a", 5)
    assert seen.first("a", 5 + ahead)
    for number in (5, 5 + ahead):
        assert not seen.first("a", number)
    assert seen.first("a", 6) is (1 < ahead < WINDOW + 1), "never seen: in the window or not"


def remembers_while_young(clock: Clock) -> None:
    """A call may be proved by a clock that is ahead by the leeway, and is young until it is late by the leeway."""
    for late in (0.5, 1, 1.5, 2):
        seen = Replays(clock)
        assert seen.first("a", 1)
        clock.now += late * proof.LEEWAY
        seen.first("b", 1)
        assert not seen.first("a", 1), late


def forgets_after(clock: Clock) -> None:
    seen = Replays(clock)
    for n in range(100):
        seen.first(f"caller-{n}", 1)
    clock.now += 2 * proof.LEEWAY + 1
    seen.first("another", 1)
    assert len(seen._callers) == 1


def test_what_is_young_is_remembered() -> None:
    remembers_while_young(Clock())


def test_what_is_too_old_is_forgotten() -> None:
    forgets_after(Clock())


def test_a_memory_of_another_length_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """The two tests above can fail."""
    monkeypatch.setattr(replays, "_FORGET", proof.LEEWAY)
    with pytest.raises(AssertionError):
        remembers_while_young(Clock())
    monkeypatch.setattr(replays, "_FORGET", 10 * proof.LEEWAY)
    with pytest.raises(AssertionError):
        forgets_after(Clock())


@pytest.mark.filterwarnings("ignore:Using fork")  # another test may have loaded eventlet
def test_a_forked_process_is_another_one_that_has_seen_nothing() -> None:
    seen = Replays()
    seen.first("a", 1)
    read, write = os.pipe()
    child = 0
    with seen._lock:
        child = os.fork()
        if child == 0:
            os.write(write, f"{seen.instance} {seen.first('a', 1)}".encode())
            os._exit(0)
    os.waitpid(child, 0)
    name, fresh = os.read(read, 100).decode().split()
    assert name != seen.instance
    assert fresh == "True"
    assert not seen.first("a", 1)
