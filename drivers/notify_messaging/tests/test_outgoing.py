"""The line between requests and the message bus."""

from __future__ import annotations

import logging
import subprocess
import sys
import threading
from collections.abc import Iterator

import pytest
from glancecore_notify_messaging.outgoing import EVENTS, Message, Outgoing


class Bus:
    """Takes messages while it is open."""

    def __init__(self) -> None:
        self.took: list[str] = []
        self.open = threading.Event()
        self.asked = threading.Event()
        self.ended = False

    def send(self, message: Message) -> bool:
        self.asked.set()
        self.open.wait()
        self.took.append(message.event_type)
        return not message.event_type.startswith("bad")

    def end(self) -> None:
        self.ended = True


@pytest.fixture
def bus() -> Iterator[Bus]:
    made = Bus()
    yield made
    made.open.set()
    for thread in threading.enumerate():
        if thread.name == "notify-messaging":
            thread.join(30)


def _count(outcome: str) -> float:
    return float(EVENTS.labels(outcome)._value.get())


def _put(line: Outgoing, *names: str) -> None:
    for name in names:
        line.put(Message(name, {}))


def test_they_leave_in_order_and_all_before_the_end(bus: Bus) -> None:
    line = Outgoing(bus.send, bus.end, 1000, 30)
    names = [str(x) for x in range(500)]
    _put(line, *names)
    assert bus.took == []
    bus.open.set()
    line.close()
    assert bus.took == names
    assert bus.ended


def test_what_does_not_fit_is_lost_counted_and_logged_once(bus: Bus, caplog: pytest.LogCaptureFixture) -> None:
    line, before = Outgoing(bus.send, bus.end, 2, 30), _count("lost")
    _put(line, "under way")
    assert bus.asked.wait(30)
    with caplog.at_level(logging.ERROR):
        _put(line, "1", "2", "3", "4")
    assert _count("lost") - before == 2
    assert len(caplog.records) == 1
    assert "2 events wait" in caplog.text
    bus.open.set()
    line.close()
    assert bus.took == ["under way", "1", "2"]


def test_a_bus_that_hangs_holds_the_end_up_for_a_while_only(bus: Bus, caplog: pytest.LogCaptureFixture) -> None:
    line, before = Outgoing(bus.send, bus.end, 10, 0.05), _count("lost")
    _put(line, "1", "2", "3")
    assert bus.asked.wait(30)
    line.close()
    assert _count("lost") - before == 3
    assert "3 events were not sent" in caplog.text
    _put(line, "late")
    assert _count("lost") - before == 4
    assert "late" in caplog.text


def test_what_was_refused_is_counted_and_the_rest_goes_on(bus: Bus) -> None:
    line, sent, failed = Outgoing(bus.send, bus.end, 10, 30), _count("sent"), _count("failed")
    bus.open.set()
    _put(line, "1", "bad", "2")
    line.close()
    line.close()
    assert bus.took == ["1", "bad", "2"]
    assert (_count("sent") - sent, _count("failed") - failed) == (2, 1)


def test_the_end_of_the_process_sends_what_waits() -> None:
    """Also in a child that was forked after the line was made, as a server's workers are."""
    program = """if True:
        import os, sys, time
        from glancecore_notify_messaging.outgoing import Message, Outgoing
        def send(message):
            time.sleep(.02)
            os.write(1, message.event_type.encode())
            return True
        line = Outgoing(send, lambda: os.write(1, b"."), 100, 30)
        child = os.fork()
        if child == 0:
            for name in "abcdef":
                line.put(Message(name, {}))
            sys.exit(0)
        os.waitpid(child, 0)
        os.write(1, b"parent")
    """
    done = subprocess.run([sys.executable, "-W", "error", "-c", program], capture_output=True, text=True, timeout=60, check=False)
    assert done.stdout == "abcdef.parent", done.stderr
