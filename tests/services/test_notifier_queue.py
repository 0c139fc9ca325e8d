"""The queue between requests and a notifier."""

from __future__ import annotations

import logging
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest

from glancecore.domain.events import EventType, ImageEvent
from glancecore.kernel import metrics, notifier_queue
from glancecore.kernel.notifications import Notifications
from glancecore.kernel.notifier_queue import NotifierQueue
from glancecore.ports.notifier import Notification, Notifier
from glancecore.testing.examples import make_image

AT = datetime.now(UTC)


class Bus(Notifier):
    """Takes events while it is open; those of images whose name begins with bad it refuses."""

    def __init__(self) -> None:
        self.took: list[str] = []
        self.open = threading.Event()
        self.asked = threading.Event()
        self.threads: set[str] = set()
        self.ended = 0

    def notify(self, notification: Notification) -> None:
        self.asked.set()
        self.open.wait()
        self.threads.add(threading.current_thread().name)
        assert isinstance(notification.event, ImageEvent)
        name = str(notification.event.image.name)
        self.took.append(name)
        if name.startswith("bad"):
            raise OSError("refused")
        if name.startswith("exit"):
            sys.exit(1)

    def close(self) -> None:
        self.ended += 1


@pytest.fixture
def bus() -> Iterator[Bus]:
    made = Bus()
    yield made
    made.open.set()
    for thread in threading.enumerate():
        if thread.name == "notify-bus":
            thread.join(30)


def _count(outcome: str) -> float:
    return float(metrics.NOTIFIER_EVENTS.labels("bus", outcome)._value.get())


def event(name: str) -> ImageEvent:
    return ImageEvent(EventType.IMAGE_UPDATE, make_image(name=name))


def _put(line: NotifierQueue, *names: str) -> None:
    for name in names:
        line.put(Notification(event(name), AT))


def test_they_leave_in_order_in_one_thread_and_all_before_the_end(bus: Bus) -> None:
    line = NotifierQueue("bus", bus, 1000, 30)
    names = [str(x) for x in range(500)]
    _put(line, *names)
    assert bus.took == []
    bus.open.set()
    line.close()
    assert bus.took == names
    assert bus.threads == {"notify-bus"}
    assert bus.ended == 1


def test_a_notifier_that_hangs_holds_no_request(bus: Bus) -> None:
    """It would be for ever."""
    notifications = Notifications({}, [NotifierQueue("bus", bus, 10, 30)])
    notifications.send(event("1"), event("2"))
    assert bus.asked.wait(30)
    assert bus.took == []
    bus.open.set()
    notifications.close()
    assert bus.took == ["1", "2"]


def test_what_does_not_fit_is_lost_counted_and_logged_once(bus: Bus, caplog: pytest.LogCaptureFixture) -> None:
    line, before = NotifierQueue("bus", bus, 2, 30), _count("lost")
    _put(line, "under way")
    assert bus.asked.wait(30)
    with caplog.at_level(logging.ERROR):
        _put(line, "1", "2", "3", "4")
    assert _count("lost") - before == 2
    assert [x.getMessage() for x in caplog.records] == [
        "notifier bus: 2 events wait: from this image.update on they are lost until it takes some"
    ]
    bus.open.set()
    line.close()
    assert bus.took == ["under way", "1", "2"]


def test_events_of_large_images_are_bounded_by_their_bytes(bus: Bus, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(notifier_queue, "MOST_BYTES", 3000)
    line, before = NotifierQueue("bus", bus, 1000, 30), _count("lost")

    def put(name: str, properties: dict[str, str]) -> None:
        line.put(Notification(ImageEvent(EventType.IMAGE_UPDATE, make_image(name=name, properties=properties)), AT))

    put("under way", {})
    assert bus.asked.wait(30)
    for name in "12345":
        put(name, {"x": "y" * 1000})
    assert _count("lost") - before == 2
    bus.open.set()
    line.close()
    assert bus.took == ["under way", "1", "2", "3"]


def test_bytes_that_have_left_make_room(bus: Bus, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(notifier_queue, "MOST_BYTES", 1000)
    line, before = NotifierQueue("bus", bus, 1000, 30), _count("lost")
    bus.open.set()
    large = {"x": "y" * 2000}
    for sent in range(1, 4):
        already = _count("sent")
        line.put(Notification(ImageEvent(EventType.IMAGE_UPDATE, make_image(name=str(sent), properties=large)), AT))
        while _count("sent") == already or line._came != line._left:
            time.sleep(0.001)
    line.close()
    assert _count("lost") == before
    assert bus.took == ["1", "2", "3"]


def test_one_that_hangs_holds_the_end_up_for_a_while_only(bus: Bus, caplog: pytest.LogCaptureFixture) -> None:
    line, before = NotifierQueue("bus", bus, 10, 0.05), _count("lost")
    _put(line, "1", "2", "3")
    assert bus.asked.wait(30)
    line.close()
    assert _count("lost") - before == 3
    assert "3 events were not sent within 0.05 seconds and are lost" in caplog.text
    _put(line, "late")
    assert _count("lost") - before == 4
    assert "image.update came after the end and is lost" in caplog.text


@pytest.mark.parametrize("how", ["bad", "exit"])
def test_what_was_refused_is_counted_and_the_rest_goes_on(bus: Bus, how: str, caplog: pytest.LogCaptureFixture) -> None:
    line, sent, failed = NotifierQueue("bus", bus, 10, 30), _count("sent"), _count("failed")
    bus.open.set()
    _put(line, "1", how, "2")
    line.close()
    line.close()
    assert bus.took == ["1", how, "2"]
    assert (_count("sent") - sent, _count("failed") - failed) == (2, 1)
    assert "notifier bus failed on image.update" in caplog.text


def test_one_that_was_never_told_anything_is_closed_too(bus: Bus) -> None:
    line = NotifierQueue("bus", bus, 10, 30)
    line.close()
    assert bus.ended == 1


def test_an_immediate_one_is_told_in_the_thread_of_the_request() -> None:
    told: list[Any] = []

    class Immediate(Notifier):
        immediate = True

        def __init__(self) -> None:
            pass

        def notify(self, notification: Notification) -> None:
            told.append((threading.current_thread(), notification.event))

    happened = event("x")
    Notifications({"immediate": Immediate()}).send(happened)
    assert told == [(threading.current_thread(), happened)]


def test_what_waits_in_the_parent_takes_no_room_of_a_child() -> None:
    program = """if True:
        import os, sys, threading
        from datetime import UTC, datetime
        from glancecore.domain.events import EventType, ImageEvent
        from glancecore.ports.notifier import Notification, Notifier
        from glancecore.kernel import notifier_queue
        from glancecore.testing.examples import make_image
        notifier_queue.MOST_BYTES = 1
        class Held(Notifier):
            def __init__(self):
                self.parent = os.getpid()
            def notify(self, notification):
                if os.getpid() == self.parent:
                    threading.Event().wait()
                os.write(1, notification.event.image.name.encode())
        def told(name):
            return Notification(ImageEvent(EventType.IMAGE_UPDATE, make_image(name=name)), datetime.now(UTC))
        line = notifier_queue.NotifierQueue("held", Held(), 100, 30)
        line.put(told("parent"))
        child = os.fork()
        if child == 0:
            line.put(told("child"))
            sys.exit(0)
        os.waitpid(child, 0)
        os._exit(0)
    """
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False)
    assert done.stdout == "child", done.stderr


def test_the_end_of_the_process_sends_what_waits() -> None:
    """Also in a child that was forked after the queue was made, as a server's workers are."""
    program = """if True:
        import os, sys, time
        from datetime import UTC, datetime
        from glancecore.domain.events import EventType, ImageEvent
        from glancecore.ports.notifier import Notification, Notifier
        from glancecore.kernel.notifier_queue import NotifierQueue
        from glancecore.testing.examples import make_image
        class Slow(Notifier):
            def __init__(self):
                pass
            def notify(self, notification):
                time.sleep(.02)
                os.write(1, notification.event.image.name.encode())
            def close(self):
                os.write(1, b".")
        line = NotifierQueue("slow", Slow(), 100, 30)
        child = os.fork()
        if child == 0:
            for name in "abcdef":
                line.put(Notification(ImageEvent(EventType.IMAGE_UPDATE, make_image(name=name)), datetime.now(UTC)))
            sys.exit(0)
        os.waitpid(child, 0)
        os.write(1, b"parent")
    """
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", program], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.stdout == "abcdef.parent", done.stderr
