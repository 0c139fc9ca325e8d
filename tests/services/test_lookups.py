"""A request waits for other people's servers for a bounded time, and few requests do so at once."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Iterator

import pytest

from glancecore.domain import errors
from glancecore.kernel.lookups import Check, Lookups
from glancecore.sdk.deadline import CUTTER, DEADLINE


@pytest.fixture
def ended() -> Iterator[threading.Event]:
    event = threading.Event()
    yield event
    event.set()


def hold(lookups: Lookups, ended: threading.Event, project: str) -> None:
    with pytest.raises(errors.BadLocation, match="did not answer within"):
        lookups.run(lambda _: ended.wait(60), project, outside=True)


def test_answers_and_errors_come_back() -> None:
    lookups = Lookups(30, 1)
    for _ in range(5):
        assert lookups.run(lambda _: "here", "p", outside=True) == "here"
        with pytest.raises(ZeroDivisionError):
            lookups.run(lambda _: 1 / 0, "p", outside=True)


def test_a_place_is_taken_until_the_question_has_ended(ended: threading.Event) -> None:
    lookups = Lookups(0.1, 4)
    for _ in range(2):
        hold(lookups, ended, "b")
    with pytest.raises(errors.ServerBusy):
        lookups.run(lambda _: None, "b", outside=True)
    assert lookups.run(lambda _: "here", "a", outside=True) == "here"  # half of the places are left to others
    for _ in range(2):
        hold(lookups, ended, "c")
    with pytest.raises(errors.ServerBusy):
        lookups.run(lambda _: None, "a", outside=True)
    assert lookups.run(lambda _: "here", "b", outside=False) == "here"  # the operator's own servers
    ended.set()
    assert lookups.run(lambda _: "here", "b", outside=True) == "here"


def test_who_goes_on_is_told_that_nobody_waits(ended: threading.Event) -> None:
    told = threading.Event()

    def work(check: Check) -> None:
        assert DEADLINE.get() <= time.monotonic() + 0.1
        ended.wait(60)
        with contextlib.suppress(errors.StoreUnavailable):
            check()
            return
        told.set()

    with pytest.raises(errors.BadLocation):
        Lookups(0.1, 4).run(work, "b", outside=True)
    ended.set()
    assert told.wait(30)


def test_what_is_asked_in_vain_is_cut() -> None:
    """However long the server would go on: the places are there again."""
    lookups = Lookups(0.1, 1)
    with contextlib.ExitStack() as stack:
        for _ in range(3):
            ours, _ = (stack.enter_context(x) for x in socket.socketpair())

            def wait(_check: Check, ours: socket.socket = ours) -> None:
                cutter = CUTTER.get()
                assert cutter is not None
                cutter.add(ours)
                assert ours.recv(1) == b""

            with pytest.raises(errors.BadLocation, match="did not answer within"):
                lookups.run(wait, "b", outside=True)
        assert lookups.run(lambda _: "here", "b", outside=True) == "here"
