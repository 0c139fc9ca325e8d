"""The kits for notifiers can fail: each saboteur breaks one rule, and the test of that rule tells."""

from __future__ import annotations

import logging
import os
import socket
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any

import pytest
from oslo_config import cfg

from glancecore.domain.events import EventName, EventType, ExtensionEvent, ImageEvent
from glancecore.ports.notifier import Destination, DurableNotifier, NotDelivered, Notification, Notifier
from glancecore.ports.outbox_repository import OutboxEvent
from glancecore.testing import notifier as kits
from glancecore.testing.notifier import (
    EXAMPLES,
    DurableNotifierConformance,
    NotifierConformance,
    Receiver,
    make_notifier,
)

pytestmark = pytest.mark.long

SECRET = "s3cret-of-the-shelf"


class Shelf(Receiver):
    """A receiver in memory: good enough to break rules on."""

    secrets = (SECRET,)

    def __init__(self) -> None:
        self.came: list[str] = []
        self.state = "up"

    def heard(self, number: int) -> Sequence[str]:
        return list(self.came)

    def put(self, name: str) -> None:
        if self.state == "away":
            raise ConnectionError("nobody is there")
        self.came.append(name)

    def stop(self) -> None:
        self.state = "away"

    def start(self) -> None:
        self.state = "up"

    def refuse(self) -> None:
        self.state = "refuses"

    def stall(self) -> None:
        self.state = "stalls"


class Puts(Notifier):
    """Keeps every rule."""

    plugin_api = "1.0"
    options = [cfg.IntOpt("most", help="Not used.")]
    shelf: Shelf

    def notify(self, notification: Notification) -> None:
        self.shelf.put(notification.event.type.value)


class Immediate(Puts):
    immediate = True


class TestPuts(NotifierConformance):
    patience = 2.0
    cls = Puts

    @pytest.fixture
    def receiver(self) -> Shelf:
        return Shelf()

    @pytest.fixture
    def make(self, receiver: Shelf) -> Callable[[], Notifier]:
        def made() -> Notifier:
            notifier = make_notifier(self.cls)
            notifier.shelf = receiver
            return notifier

        return made


class TestImmediate(TestPuts):
    cls = Immediate


class NoHelp(Puts):
    options = [cfg.IntOpt("most")]


class OwnQueue(Puts):
    options = [cfg.IntOpt("queue_size", help="Of its own.")]


class NoExtensions(Puts):
    def notify(self, notification: Notification) -> None:
        if not isinstance(notification.event, ExtensionEvent):
            super().notify(notification)


class OnlyKnownTypes(Puts):
    def notify(self, notification: Notification) -> None:
        EventType(notification.event.type.value)
        super().notify(notification)


class NeedsAnInitiator(Puts):
    def notify(self, notification: Notification) -> None:
        assert notification.initiator is not None
        super().notify(notification)


class LastFirst(Puts):
    held: Notification | None = None

    def notify(self, notification: Notification) -> None:
        if self.held is None:
            self.held = notification
            return
        super().notify(notification)
        super().notify(self.held)
        self.held = None


class Changes(Puts):
    def notify(self, notification: Notification) -> None:
        if isinstance(notification.event, ExtensionEvent):
            notification.event.payload["sent"] = True  # type: ignore[index]
        super().notify(notification)


class Connects(Immediate):
    def notify(self, notification: Notification) -> None:
        with socket.socket() as made:
            made.connect_ex(("127.0.0.1", 1))
        super().notify(notification)


class LosesAmongThreads(Immediate):
    def notify(self, notification: Notification) -> None:
        before = list(self.shelf.came)
        time.sleep(0.001)
        self.shelf.came = [*before, notification.event.type.value]


class Silent(Puts):
    def notify(self, notification: Notification) -> None:
        try:
            super().notify(notification)
        except ConnectionError:
            pass


class WaitsForEver(Puts):
    def notify(self, notification: Notification) -> None:
        while self.shelf.state == "away":
            time.sleep(0.01)
        super().notify(notification)


class NoSentence(Puts):
    def notify(self, notification: Notification) -> None:
        try:
            super().notify(notification)
        except ConnectionError:
            raise ConnectionError from None


class Logs(Puts):
    def notify(self, notification: Notification) -> None:
        logging.getLogger("acme").debug("with %s", SECRET)
        super().notify(notification)


class Tells(Puts):
    def notify(self, notification: Notification) -> None:
        try:
            super().notify(notification)
        except ConnectionError as exc:
            raise ConnectionError(f"with {SECRET}: {exc}") from None


class NeverCloses(Puts):
    def close(self) -> None:
        threading.Event().wait(60)


class ClosesWhenItIsBack(Puts):
    def close(self) -> None:
        while self.shelf.state == "away":
            time.sleep(0.01)


class KeepsDescriptors(Puts):
    def notify(self, notification: Notification) -> None:
        for _ in range(3):
            os.open("/dev/null", os.O_RDONLY)
        super().notify(notification)


class Durable(DurableNotifier):
    plugin_api = "1.0"

    def destinations(self) -> Sequence[Destination]:
        return []


Kit = NotifierConformance
CAUGHT = (AssertionError, pytest.fail.Exception, ValueError, TypeError)
EXTENSION = next(x for x in EXAMPLES if isinstance(x, ExtensionEvent))
IMAGE = next(x for x in EXAMPLES if isinstance(x, ImageEvent))


@pytest.mark.parametrize(
    ("saboteur", "test", "more"),
    [
        (NoHelp, Kit.test_options_can_be_declared_and_shown, {}),
        (OwnQueue, Kit.test_options_can_be_declared_and_shown, {}),
        (Durable, Kit.test_it_is_no_durable_one, {}),
        (NoExtensions, Kit.test_any_event_arrives, {"event": EXTENSION}),
        (OnlyKnownTypes, Kit.test_any_event_arrives, {"event": EXTENSION}),
        (NeedsAnInitiator, Kit.test_whoever_did_it, {"who": None}),
        (LastFirst, Kit.test_order_is_kept, {}),
        (Changes, Kit.test_the_event_stays_as_it_is, {}),
        (Connects, Kit.test_an_immediate_one_waits_for_nothing, {}),
        (LosesAmongThreads, Kit.test_an_immediate_one_waits_for_nothing, {}),
        (Silent, Kit.test_what_is_not_sent_is_told, {}),
        (WaitsForEver, Kit.test_what_is_not_sent_is_told, {}),
        (NoSentence, Kit.test_what_is_not_sent_is_told, {}),
        (Logs, Kit.test_no_secret_is_told, {}),
        (Tells, Kit.test_no_secret_is_told, {}),
        (NeverCloses, Kit.test_close_ends_soon, {}),
        (ClosesWhenItIsBack, Kit.test_close_ends_soon_while_the_receiver_is_away, {}),
        (KeepsDescriptors, Kit.test_close_gives_everything_back, {}),
    ],
)
def test_the_kit_catches(
    saboteur: type[Notifier],
    test: Callable[..., None],
    more: dict[str, Any],
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(kits, "CLOSING", 0.3)
    kit, shelf = TestPuts(), Shelf()
    kit.patience = 0.3  # type: ignore[misc]

    def make() -> Notifier:
        made = make_notifier(saboteur)
        made.shelf = shelf  # type: ignore[attr-defined]
        return made

    given = {"make": make, "notifier": make(), "receiver": shelf, "caplog": caplog, "monkeypatch": monkeypatch, **more}
    try:
        with pytest.raises(CAUGHT):
            test(kit, **{name: given[name] for name in test.__code__.co_varnames[1 : test.__code__.co_argcount]})
    finally:
        shelf.start()


# -- durable ones ----------------------------------------------------------------------------------
class Spot(Destination):
    """Keeps every rule."""

    name = "shelf:one"
    timeout = 0.2

    def __init__(self, shelf: Shelf) -> None:
        self.shelf = shelf

    def wants(self, event_type: str) -> bool:
        return event_type.startswith("image.")

    def deliver(self, event: OutboxEvent) -> None:
        if self.shelf.state == "stalls":
            time.sleep(self.timeout)
            raise NotDelivered("no answer", unreachable=True)
        if self.shelf.state == "refuses":
            raise NotDelivered("it does not want it")
        try:
            self.shelf.put(event.type)
        except ConnectionError as exc:
            raise NotDelivered(str(exc), unreachable=True) from exc


class Delivers(DurableNotifier):
    plugin_api = "1.0"
    shelf: Shelf
    spots: Sequence[type[Destination]] = (Spot,)

    def destinations(self) -> Sequence[Destination]:
        return [x(self.shelf) for x in self.spots]  # type: ignore[call-arg]


def delivering(*spots: type[Destination], **more: object) -> type[DurableNotifier]:
    return type("Saboteur", (Delivers,), {"spots": spots, **more})


class TestDelivers(DurableNotifierConformance):
    @pytest.fixture
    def receiver(self) -> Shelf:
        return Shelf()

    @pytest.fixture
    def make(self, receiver: Shelf) -> Callable[[], DurableNotifier]:
        def made() -> DurableNotifier:
            notifier = make_notifier(Delivers)
            notifier.shelf = receiver
            return notifier

        return made


class OtherName(Spot):
    def __init__(self, shelf: Shelf) -> None:
        super().__init__(shelf)
        self.name = f"shelf:{id(self)}"


class LongName(Spot):
    name = "x" * 129


class NoTimeout(Spot):
    timeout = float("inf")


class Asks(Spot):
    def wants(self, event_type: str) -> bool:
        with socket.socket() as made:
            made.connect_ex(("127.0.0.1", 1))
        return True


class WantsByChance(Spot):
    turn = False

    def wants(self, event_type: str) -> bool:
        self.turn = not self.turn
        return self.turn


class KnownTypesOnly(Spot):
    def wants(self, event_type: str) -> bool:
        return bool(EventType(event_type))


class Later(Spot):
    def deliver(self, event: OutboxEvent) -> None:
        threading.Timer(0.2, super().deliver, [event]).start()


class NeedsASubject(Spot):
    def deliver(self, event: OutboxEvent) -> None:
        if not event.subject:
            raise ValueError("subject")
        super().deliver(event)


class KnownUsers(Spot):
    def deliver(self, event: OutboxEvent) -> None:
        assert event.initiator is not None
        super().deliver(event)


class TakesOnce(Spot):
    seen: str = ""

    def deliver(self, event: OutboxEvent) -> None:
        if event.id == self.seen:
            raise ValueError("again")
        self.seen = event.id
        super().deliver(event)


class Adds(Spot):
    def deliver(self, event: OutboxEvent) -> None:
        event.data["sent"] = True  # type: ignore[index]
        super().deliver(event)


class ClosedForGood(Spot):
    closed = False

    def deliver(self, event: OutboxEvent) -> None:
        assert not self.closed
        super().deliver(event)

    def close(self) -> None:
        self.closed = True


class Leaks(Spot):
    def deliver(self, event: OutboxEvent) -> None:
        os.open("/dev/null", os.O_RDONLY)
        super().deliver(event)


class OtherErrors(Spot):
    def deliver(self, event: OutboxEvent) -> None:
        self.shelf.put(event.type)


class Reachable(Spot):
    def deliver(self, event: OutboxEvent) -> None:
        try:
            super().deliver(event)
        except NotDelivered as exc:
            raise NotDelivered(str(exc)) from None


class GivesUpForGood(Spot):
    gone = False

    def deliver(self, event: OutboxEvent) -> None:
        if self.gone:
            raise NotDelivered("it was away", unreachable=True)
        self.gone = self.shelf.state == "away"
        super().deliver(event)


class Accepts(Spot):
    def deliver(self, event: OutboxEvent) -> None:
        if self.shelf.state != "refuses":
            super().deliver(event)


class AsksForEver(Spot):
    def deliver(self, event: OutboxEvent) -> None:
        if self.shelf.state == "refuses":
            raise NotDelivered("it does not want it", retry_after=float("inf"))
        super().deliver(event)


class Hangs(Spot):
    def deliver(self, event: OutboxEvent) -> None:
        while self.shelf.state == "stalls":
            time.sleep(0.01)
        super().deliver(event)


class LogsSecrets(Spot):
    def deliver(self, event: OutboxEvent) -> None:
        logging.getLogger("acme").debug("with %s", SECRET)
        super().deliver(event)


class TellsSecrets(Spot):
    def deliver(self, event: OutboxEvent) -> None:
        try:
            super().deliver(event)
        except NotDelivered as exc:
            raise NotDelivered(f"with {SECRET}: {exc}") from None


DKit = DurableNotifierConformance
NO_SUBJECT = next(x for x in EXAMPLES if isinstance(x, ExtensionEvent) and not x.subject)


@pytest.mark.parametrize(
    ("saboteur", "test", "more"),
    [
        (delivering(Spot, options=[cfg.IntOpt("most")]), DKit.test_options_can_be_declared_and_shown, {}),
        (delivering(Spot, immediate=True), DKit.test_it_is_a_durable_one, {}),
        (delivering(OtherName), DKit.test_names_are_the_same_in_every_process, {}),
        (delivering(LongName), DKit.test_names_are_the_same_in_every_process, {}),
        (delivering(Spot, Spot), DKit.test_names_are_the_same_in_every_process, {}),
        (delivering(NoTimeout), DKit.test_its_timeout_is_a_number_of_seconds, {}),
        (delivering(Asks), DKit.test_what_it_wants_is_known_at_once, {}),
        (delivering(WantsByChance), DKit.test_what_it_wants_is_known_at_once, {}),
        (delivering(KnownTypesOnly), DKit.test_what_it_wants_is_known_at_once, {}),
        (delivering(Later), DKit.test_any_event_has_arrived_when_deliver_returns, {"event": IMAGE}),
        (delivering(NeedsASubject), DKit.test_any_event_has_arrived_when_deliver_returns, {"event": NO_SUBJECT}),
        (delivering(KnownUsers), DKit.test_whoever_did_it, {"who": None}),
        (delivering(TakesOnce), DKit.test_the_same_event_may_come_again, {}),
        (delivering(Adds), DKit.test_the_event_stays_as_it_is, {}),
        (delivering(ClosedForGood), DKit.test_it_is_used_again_after_close, {}),
        (delivering(Leaks), DKit.test_close_gives_everything_back, {}),
        (delivering(OtherErrors), DKit.test_a_receiver_that_is_away_is_told, {}),
        (delivering(Reachable), DKit.test_a_receiver_that_is_away_is_told, {}),
        (delivering(GivesUpForGood), DKit.test_one_that_comes_back_is_told_again, {}),
        (delivering(Accepts), DKit.test_a_receiver_that_refuses_is_told, {}),
        (delivering(AsksForEver), DKit.test_a_receiver_that_refuses_is_told, {}),
        (delivering(Hangs), DKit.test_a_receiver_that_does_not_answer_is_given_up, {}),
        (delivering(Reachable), DKit.test_a_receiver_that_does_not_answer_is_given_up, {}),
        (delivering(LogsSecrets), DKit.test_no_secret_is_told, {}),
        (delivering(TellsSecrets), DKit.test_no_secret_is_told, {}),
    ],
)
def test_the_durable_kit_catches(
    saboteur: type[Delivers],
    test: Callable[..., None],
    more: dict[str, Any],
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(kits, "SLACK", 0.5)
    shelf = Shelf()

    def make() -> Delivers:
        made = make_notifier(saboteur)
        made.shelf = shelf
        return made

    given = {
        "make": make,
        "destination": make().destinations()[0],
        "receiver": shelf,
        "caplog": caplog,
        "monkeypatch": monkeypatch,
        **more,
    }
    try:
        with pytest.raises((*CAUGHT, NotDelivered, ConnectionError)):
            test(
                TestDelivers(),
                **{name: given[name] for name in test.__code__.co_varnames[1 : test.__code__.co_argcount]},
            )
    finally:
        shelf.start()


def test_a_durable_one_is_no_queued_one() -> None:
    notifier = make_notifier(Puts)
    with pytest.raises(AssertionError):
        DKit.test_it_is_a_durable_one(TestDelivers(), lambda: notifier)  # type: ignore[arg-type, return-value]


def test_examples_are_of_every_type() -> None:
    assert {x.type for x in EXAMPLES} >= {*EventType, EventName("census.take")}
