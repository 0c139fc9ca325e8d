"""DeliveryWorker over an outbox in memory, and what of an event is in a commit."""

from __future__ import annotations

import logging
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from glancecore.domain import errors
from glancecore.domain.events import Event, EventType, ImageEvent, ImageSent
from glancecore.kernel.notifications import Notifications
from glancecore.kernel.outbox import MAX_FAILURES, DeliveryWorker, Outbox, OutboxSettings
from glancecore.ports.notifier import Destination, NotDelivered, Notification, Notifier
from glancecore.ports.outbox_repository import EventsRecorded, OutboxEvent
from glancecore.ports.repository import ImageAdded
from glancecore.testing.examples import make_image
from glancecore.testing.fakes import MemoryDatabase
from glancecore.testing.outbox_repository import make_event, record

QUICK = OutboxSettings(interval=0.02, first_pause=0.04, longest_pause=0.2, claim=20)
NEVER = OutboxSettings(first_pause=3600, longest_pause=3600)


class Told(Destination):
    """Takes what ``answer`` lets through."""

    timeout = 0.5

    def __init__(
        self, name: str = "d", answer: Callable[[OutboxEvent], None] = lambda _: None, wanted: str = ""
    ) -> None:
        self.name = name
        self.answer = answer
        self.wanted = wanted
        self.tried: list[OutboxEvent] = []
        self.taken: list[OutboxEvent] = []

    def wants(self, event_type: str) -> bool:
        return event_type.startswith(self.wanted)

    def deliver(self, event: OutboxEvent) -> None:
        self.tried.append(event)
        self.answer(event)
        self.taken.append(event)


class Listening(Notifier):
    def __init__(self) -> None:
        self.told: list[Event] = []

    def notify(self, notification: Notification) -> None:
        self.told.append(notification.event)


def refuse(event: OutboxEvent) -> None:
    raise NotDelivered("it answered 500")


def vanish(event: OutboxEvent) -> None:
    raise NotDelivered("no answer", unreachable=True)


def wait(until: Callable[[], bool]) -> None:
    end = time.monotonic() + 20
    while not until():
        assert time.monotonic() < end
        time.sleep(0.01)


# -- what is in a commit ---------------------------------------------------------------------------
IMAGE = make_image()
CREATED = ImageEvent(EventType.IMAGE_CREATE, IMAGE)


def test_without_a_durable_notifier_a_commit_has_nothing_more() -> None:
    listening = Listening()
    pending = Notifications({"log": listening}).prepare(CREATED)
    assert pending.changes == ()
    assert listening.told == []
    pending.send()
    assert listening.told == [CREATED]


def test_each_destination_gets_what_it_wants_with_one_id() -> None:
    everything, tasks, images = Told("a"), Told("b", wanted="task"), Told("c", wanted="image")
    woken: list[bool] = []
    notifications = Notifications({}, (), (), (everything, tasks, images))
    notifications.recorded = lambda: woken.append(True)
    pending = notifications.prepare(CREATED)
    (change,) = pending.changes
    assert [(x.destination, x.subject, x.type, x.data["id"], x.data["status"]) for x in change.events] == [
        (name, IMAGE.id, "image.create", IMAGE.id, "queued") for name in ("a", "c")
    ]
    assert len({x.id for x in change.events}) == 1
    assert notifications.prepare(CREATED).changes[0].events[0].id != change.events[0].id
    assert not woken
    pending.send()
    assert woken


def test_what_is_disabled_or_wanted_by_nobody_is_in_no_commit() -> None:
    assert Notifications({}, (), ("image",), (Told(),)).prepare(CREATED).changes == ()
    assert Notifications({}, (), (), (Told(wanted="task"),)).prepare(CREATED).changes == ()


def test_what_is_no_change_has_a_commit_of_its_own_whose_failure_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    database, sent = MemoryDatabase(), ImageSent(IMAGE, 7, "u", "p", "192.0.2.1")
    notifications = Notifications({}, (), (), (Told(),), database.images)
    notifications.send(sent)
    assert [(x.event.type, x.event.data["bytes_sent"]) for x in database.outbox.find()] == [("image.send", 7)]

    def unavailable(*_: object) -> None:
        raise errors.DatabaseUnavailable("away")

    database.images.commit = unavailable  # type: ignore[method-assign]
    notifications.send(sent)
    assert "events are not told (image.send): away" in caplog.text


def test_a_change_that_fails_tells_nobody() -> None:
    database = MemoryDatabase()
    database.images.commit(ImageAdded(IMAGE))
    pending = Notifications({}, (), (), (Told(),), database.images).prepare(CREATED)
    with pytest.raises(errors.ImageExists):
        database.images.commit(ImageAdded(IMAGE), *pending.changes)
    assert database.outbox.find() == []


# -- workers ---------------------------------------------------------------------------------------
def worker(database: MemoryDatabase, destination: Told, settings: OutboxSettings = NEVER) -> DeliveryWorker:
    return DeliveryWorker(database.outbox, destination, settings)


def test_everything_arrives_once_and_in_order() -> None:
    database, told = MemoryDatabase(), Told()
    made = [make_event(str(n % 3)) for n in range(20)]
    record(database, *made, make_event(destination="another"))
    one = worker(database, told, replace(NEVER, batch=6))
    while one.turn() == 0:
        pass
    assert told.taken == made
    assert [x.event.destination for x in database.outbox.find()] == ["another"]


def test_a_refused_event_holds_back_its_subject_only() -> None:
    def answer(event: OutboxEvent) -> None:
        if event.id == "bad":
            refuse(event)

    database, told = MemoryDatabase(), Told(answer=answer)
    record(
        database,
        make_event("one", id="bad"),
        make_event("two", id="a"),
        make_event("one", id="behind"),
        make_event("two", id="b"),
    )
    one = worker(database, told)
    assert one.turn() == 0
    assert one.turn() > 0
    assert [x.id for x in told.taken] == ["a", "b"]
    assert [(x.event.id, x.error) for x in database.outbox.find()] == [("bad", "it answered 500"), ("behind", None)]
    told.answer = lambda _: None
    database.outbox.retry()
    assert one.turn() == 0
    assert [x.id for x in told.taken] == ["a", "b", "bad", "behind"]


def test_one_that_is_unreachable_is_left_alone_and_asked_with_one_event() -> None:
    database, told = MemoryDatabase(), Told(answer=vanish)
    made = [make_event(str(n)) for n in range(5)]
    record(database, *made)
    one = worker(database, told, replace(QUICK, first_pause=0.05, longest_pause=0.05))
    assert 0.02 <= one.turn() <= 0.05
    assert told.tried == made[:1], "the others of its batch are not tried"
    for _ in range(3):
        time.sleep(0.06)
        before = len(told.tried)
        one.turn()
        assert len(told.tried) == before + 1
    told.answer = lambda _: None
    wait(lambda: one.turn() > 0 and not database.outbox.find())
    assert Counter(x.id for x in told.taken) == Counter(x.id for x in made)


def test_pauses_grow_and_are_never_longer_than_the_longest_or_shorter_than_asked() -> None:
    one = worker(MemoryDatabase(), Told(), OutboxSettings(first_pause=1, longest_pause=60))
    for failures, longest in ((1, 1), (2, 2), (4, 8), (7, 60), (5000, 60)):
        found = [one._pause(failures) for _ in range(200)]
        assert longest / 2 <= min(found) < max(found) <= longest

    def busy(event: OutboxEvent) -> None:
        raise NotDelivered("busy", unreachable=True, retry_after=500)

    database, told = MemoryDatabase(), Told(answer=busy)
    record(database, make_event())
    assert worker(database, told, QUICK).turn() == 500
    assert database.outbox.claim("d", 10, 60) == []


def test_one_that_refuses_everything_is_left_alone_as_well() -> None:
    database, told = MemoryDatabase(), Told(answer=refuse)
    record(database, *(make_event(str(n)) for n in range(3 * MAX_FAILURES)))
    one = worker(database, told)
    assert one.turn() > 0
    assert len(told.tried) == MAX_FAILURES


def test_a_mistake_in_a_plugin_loses_nothing(caplog: pytest.LogCaptureFixture) -> None:
    def broken(event: OutboxEvent) -> None:
        raise KeyError("x")

    database, told = MemoryDatabase(), Told(answer=broken)
    record(database, make_event())
    assert worker(database, told).turn() == 0
    (left,) = database.outbox.find()
    assert "KeyError" in str(left.error)
    assert "delivering an event to d failed" in caplog.text


def test_a_batch_that_takes_too_long_is_given_back_before_its_claim_expires() -> None:
    database, told = MemoryDatabase(), Told(answer=lambda _: time.sleep(0.15))
    record(database, *(make_event(str(n)) for n in range(20)))
    one = worker(database, told, replace(NEVER, claim=told.timeout + 0.25))
    assert one.turn() == 0
    assert 1 <= len(told.taken) <= 3
    assert {x.token for x in database.outbox.find()} == {None}


# -- threads ---------------------------------------------------------------------------------------
def test_two_processes_share_the_work_and_keep_the_order() -> None:
    database = MemoryDatabase()
    taken: list[OutboxEvent] = []
    pair = [Outbox(database.outbox, [Told(answer=taken.append)], replace(QUICK, batch=3)) for _ in range(2)]
    made = [make_event(str(n % 7)) for n in range(140)]
    for outbox in pair:
        outbox.start()
    for event in made:
        database.images.commit(EventsRecorded((event,)))
        pair[0].recorded()
    wait(lambda: len(taken) >= len(made))
    for outbox in pair:
        outbox.stop()
    assert len(taken) == len(made), "nothing arrives twice"
    for subject in map(str, range(7)):
        assert [x for x in taken if x.subject == subject] == [x for x in made if x.subject == subject]
    assert database.outbox.find() == []


def test_a_slow_destination_does_not_hold_up_another() -> None:
    release = threading.Event()
    database, slow, quick = MemoryDatabase(), Told("slow", lambda _: release.wait(20) and None), Told("quick")
    outbox = Outbox(database.outbox, [slow, quick], QUICK)
    outbox.start()
    record(database, make_event(destination="slow"), make_event(destination="quick"))
    wait(lambda: len(quick.taken) == 1)
    assert slow.taken == []
    release.set()
    wait(lambda: len(slow.taken) == 1)
    outbox.stop()


def test_stopping_gives_back_what_was_only_taken() -> None:
    begun, release = threading.Event(), threading.Event()

    def answer(event: OutboxEvent) -> None:
        begun.set()
        release.wait(20)

    database, told = MemoryDatabase(), Told(answer=answer)
    record(database, *(make_event(str(n)) for n in range(4)))
    outbox = Outbox(database.outbox, [told], QUICK)
    outbox.start()
    assert begun.wait(20)
    threading.Timer(0.1, release.set).start()
    outbox.stop()
    assert len(told.taken) == 1, "what was being sent was sent to its end"
    assert [(x.token, x.error) for x in database.outbox.find()] == [(None, None)] * 3
    assert len(database.outbox.claim("d", 10, 60)) == 3, "another process need not wait"


def test_a_database_that_is_away_stops_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    database, told = MemoryDatabase(), Told()
    record(database, make_event())
    kept, away = database.outbox, [True]

    def claim(destination: str, limit: int, ttl: float) -> object:
        if away:
            raise errors.DatabaseUnavailable("away")
        return type(kept).claim(kept, destination, limit, ttl)

    monkeypatch.setattr(kept, "claim", claim)
    outbox = Outbox(kept, [told], QUICK)
    outbox.start()
    time.sleep(0.1)
    away.clear()
    wait(lambda: len(told.taken) == 1)
    outbox.stop()


# -- care ------------------------------------------------------------------------------------------
def test_what_is_too_old_is_dropped_and_logged(caplog: pytest.LogCaptureFixture) -> None:
    database, now = MemoryDatabase(), datetime.now(UTC)
    old, new = (replace(make_event("s"), at=now - timedelta(seconds=age)) for age in (100, 10))
    record(database, old, new)
    Outbox(database.outbox, [Told()], QUICK).care()
    assert len(database.outbox.find()) == 2, "without max_age nothing is dropped"
    with caplog.at_level(logging.ERROR):
        Outbox(database.outbox, [Told()], replace(QUICK, max_age=50)).care()
    assert [x.event for x in database.outbox.find()] == [new]
    assert f"{old.type} {old.id} of s was not delivered to d within 50 seconds and is dropped" in caplog.text
