"""The conformance kits for notifiers: one test for each rule of ``glancecore.ports.notifier``.

    class TestMine(NotifierConformance):            # or DurableNotifierConformance, for one whose events go through the
    outbox
        @pytest.fixture
        def receiver(self): ...                     # a Receiver: a real one, that can be taken away
        @pytest.fixture
        def make(self, receiver): ...               # makes a notifier that sends there, by make_notifier

Use a real receiver; a mock certifies the mock.
"""

from __future__ import annotations

import gc
import json
import logging
import math
import threading
import uuid
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any, ClassVar, TypeVar

import pytest
from oslo_config import cfg

from glancecore.domain.context import Initiator
from glancecore.domain.event_payload import payload, subject
from glancecore.domain.events import (
    Event,
    EventName,
    EventType,
    ExtensionEvent,
    ImageEvent,
    ImageSent,
    MemberEvent,
    MetadefEvent,
    TaskEvent,
)
from glancecore.domain.metadef import Part
from glancecore.domain.task import Task, TaskStatus, TaskType
from glancecore.ports.notifier import PER_NOTIFIER, Destination, DurableNotifier, NotDelivered, Notification, Notifier
from glancecore.ports.outbox_repository import OutboxEvent
from glancecore.testing._plugin import (
    check_hidden,
    check_options,
    check_sentence,
    configured,
    descriptors,
    offline,
    within,
)
from glancecore.testing.examples import (
    START,
    after,
    make_association,
    make_image,
    make_member,
    make_namespace,
    make_object,
    make_property,
    make_tag,
    with_data,
)

AnyNotifier = TypeVar("AnyNotifier", bound=Notifier)
#: Seconds that ``close`` may take.
CLOSING = 10.0
#: Seconds that ``deliver`` may take beyond its timeout; the outbox waits no longer for it when the process ends.
SLACK = 2.0
WHO = Initiator("ann", "project", "req-1", "192.0.2.1", ("admin", "member"), "PUT /v2/images/x/file")
_ODD = '\u00e4 \U0001f600 " \\ % %s {} \n\r\t\x00 </x>'


def make_notifier(cls: type[AnyNotifier], config: cfg.ConfigOpts | None = None, **options: Any) -> AnyNotifier:
    """A notifier of ``cls`` whose section holds ``options``, and nothing that it did not declare. ``config``: with
    other sections that it reads."""
    return cls(*configured("notify", cls.options, options, config))


class Receiver(ABC):
    """Where events go. ``secrets``: what the notifier is told so that it may send there, and must tell nobody."""

    secrets: tuple[str, ...] = ()

    @abstractmethod
    def heard(self, number: int) -> Sequence[str]:
        """The types of all events that have come, as the service names them, in order; waits until they are ``number``
        at least."""

    def stop(self) -> None:
        """It is away from now on. An immediate notifier has none that could be."""
        raise NotImplementedError

    def start(self) -> None:
        """It is back."""
        raise NotImplementedError

    def refuse(self) -> None:
        """It takes no event from now on, and says so."""
        raise NotImplementedError

    def stall(self) -> None:
        """It takes connections from now on, and answers nothing."""
        raise NotImplementedError


def examples() -> list[Event]:
    """One event of each type and shape."""
    image = with_data(
        make_image(name=_ODD.replace("\x00", ""), properties={"os": "x" * 1000}, tags=("a", "b")), 1 << 40, 2
    )
    bare = make_image(owner=None)
    task = Task(str(uuid.uuid4()), TaskType.API_IMAGE_IMPORT, START, after(1), image_id=image.id, owner="ours")
    namespace = make_namespace()
    parts: dict[str, Part] = {
        "object": make_object("group", make_property()),
        "property": make_property(),
        "tag": make_tag(),
        "resource_type": make_association(),
    }
    found: list[Event] = []
    for kind in EventType:
        word = kind.value.partition(".")[0]
        if kind is EventType.IMAGE_SEND:
            found += [ImageSent(image, 1 << 40, "user", "project", "192.0.2.1"), ImageSent(bare, 0, None, None, None)]
        elif kind.value.startswith("image.member."):
            found.append(MemberEvent(kind, make_member(image)))
        elif word == "image":
            found += [ImageEvent(kind, image, "fast"), ImageEvent(kind, bare)]
        elif word == "task":
            found += [
                TaskEvent(kind, task),
                TaskEvent(
                    kind,
                    replace(
                        task, image_id=None, owner=None, status=TaskStatus.FAILURE, message=_ODD, result={"a": [1]}
                    ),
                ),
            ]
        else:
            found.append(MetadefEvent(kind, namespace, parts.get(word.removeprefix("metadef_")), "old"))
    found += [
        ExtensionEvent(EventName("census.take"), image.id),
        ExtensionEvent(EventName("a" * 64), "", {"a": None, "b": [1.5, {"c": _ODD}], "": True}),
        ExtensionEvent(EventName("census.end"), "x" * 300, {"text": "y" * 100_000}),
    ]
    return found


EXAMPLES = examples()


def _name(event: Event) -> str:
    return f"{event.type.value[:40]}-{type(event).__name__}"


def told(event: Event, who: Initiator | None = WHO) -> Notification:
    return Notification(event, after(7.25), who)


def parcel(event: Event, destination: str, who: Initiator | None = WHO) -> OutboxEvent:
    """As the service puts it into the outbox."""
    data: Mapping[str, object] = json.loads(json.dumps(payload(event, after(7.25))))
    return OutboxEvent(str(uuid.uuid4()), destination, subject(event), event.type.value, after(7.25), data, who)


class _Kit:
    @pytest.fixture
    def receiver(self) -> Receiver:
        raise NotImplementedError("give the kit a receiver")


class NotifierConformance(_Kit):
    """For a notifier that is told after the commit, at once or by a queue."""

    #: Seconds that ``notify`` may take, at most, when the receiver is away: what its own options say.
    patience: ClassVar[float] = 30.0
    #: How many notifiers are made to see a leak, and descriptors that they may keep in common.
    repeats: ClassVar[int] = 5
    pool: ClassVar[int] = 4

    @pytest.fixture
    def make(self) -> Callable[[], Notifier]:
        raise NotImplementedError("give the kit what makes a notifier")

    @pytest.fixture
    def notifier(self, make: Callable[[], Notifier]) -> Iterator[Notifier]:
        made = make()
        yield made
        made.close()

    # -- what it says of itself --------------------------------------------------------------------
    def test_options_can_be_declared_and_shown(self, notifier: Notifier) -> None:
        check_options(notifier.options)
        if not notifier.immediate:
            names = {x.name for x in PER_NOTIFIER}
            assert not names & {x.name for x in notifier.options}, f"the service adds {', '.join(sorted(names))}"

    def test_it_is_no_durable_one(self, notifier: Notifier) -> None:
        assert not isinstance(notifier, DurableNotifier), "use DurableNotifierConformance"

    # -- telling -----------------------------------------------------------------------------------
    @pytest.mark.parametrize("event", EXAMPLES, ids=_name)
    def test_any_event_arrives(self, notifier: Notifier, receiver: Receiver, event: Event) -> None:
        before = len(receiver.heard(0))
        notifier.notify(told(event))
        assert [*receiver.heard(before + 1)[before:]] == [event.type.value]

    @pytest.mark.parametrize(
        "who", [None, Initiator(), Initiator("x" * 300, _ODD, "", "::1", ("", _ODD), f"GET /{_ODD}")]
    )
    def test_whoever_did_it(self, notifier: Notifier, receiver: Receiver, who: Initiator | None) -> None:
        before = len(receiver.heard(0))
        notifier.notify(told(EXAMPLES[0], who))
        assert len(receiver.heard(before + 1)) == before + 1

    def test_order_is_kept(self, notifier: Notifier, receiver: Receiver) -> None:
        before = len(receiver.heard(0))
        sent = [ExtensionEvent(EventName(f"kit.{number}"), "subject") for number in range(30)]
        for event in sent:
            notifier.notify(told(event))
        assert [*receiver.heard(before + len(sent))[before:]] == [x.type.value for x in sent]

    def test_the_event_stays_as_it_is(self, notifier: Notifier) -> None:
        """Others are told of the same object."""
        content = {"a": [1, {"b": 2}]}
        for event in (ExtensionEvent(EventName("census.take"), "subject", content), EXAMPLES[0]):
            before = json.dumps(payload(event, START))
            notifier.notify(told(event))
            assert json.dumps(payload(event, START)) == before, "the event was changed"

    def test_an_immediate_one_waits_for_nothing(
        self, notifier: Notifier, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """It is called in the threads of requests, by several at once."""
        if not notifier.immediate:
            return
        with offline(monkeypatch, "an immediate notifier waits for something outside: let it have a queue"):
            notifier.notify(told(EXAMPLES[0]))
        before = len(receiver.heard(0))
        events = [ExtensionEvent(EventName(f"kit.{number}"), "subject") for number in range(200)]
        with ThreadPoolExecutor(16) as pool:
            list(pool.map(lambda event: notifier.notify(told(event)), events))
        assert sorted(receiver.heard(before + 200)[before:]) == sorted(x.type.value for x in events)

    # -- failures ----------------------------------------------------------------------------------
    def test_what_is_not_sent_is_told(self, notifier: Notifier, receiver: Receiver) -> None:
        """What ``notify`` raises is counted. One that says nothing loses events in silence."""
        if notifier.immediate:
            return
        receiver.stop()
        try:
            within(self.patience, lambda: notifier.notify(told(EXAMPLES[0])), "notify, while the receiver is away,")
        except AssertionError:
            raise
        except Exception as exc:  # noqa: BLE001 (any will do)
            check_sentence(exc)
            return
        pytest.fail("the receiver is away, and notify raised nothing")

    def test_no_secret_is_told(
        self, make: Callable[[], Notifier], receiver: Receiver, caplog: pytest.LogCaptureFixture
    ) -> None:
        """In no log, at no level, and in no error."""
        caplog.set_level(logging.DEBUG)
        said: list[object] = []
        notifier = make()
        notifier.notify(told(EXAMPLES[0]))
        if not notifier.immediate:
            receiver.stop()
            try:
                within(self.patience, lambda: notifier.notify(told(EXAMPLES[0])), "notify, while the receiver is away,")
            except Exception as exc:  # noqa: BLE001 (what it says counts)
                said.append(exc)
        notifier.close()
        check_hidden(receiver.secrets, caplog.text, *said)

    # -- the end -----------------------------------------------------------------------------------
    def test_close_ends_soon(self, make: Callable[[], Notifier]) -> None:
        """Used or not. It is the last call."""
        for use in (False, True):
            notifier = make()
            if use:
                notifier.notify(told(EXAMPLES[0]))
            within(CLOSING, notifier.close, "close")

    def test_close_ends_soon_while_the_receiver_is_away(self, make: Callable[[], Notifier], receiver: Receiver) -> None:
        notifier = make()
        if notifier.immediate:
            return
        notifier.notify(told(EXAMPLES[0]))
        receiver.stop()
        within(CLOSING, notifier.close, "close, while the receiver is away,")

    def test_close_gives_everything_back(self, make: Callable[[], Notifier]) -> None:
        def once() -> None:
            notifier = make()
            notifier.notify(told(EXAMPLES[0]))
            notifier.close()

        once()
        gc.collect()
        before, threads = descriptors(), threading.active_count()
        for _ in range(self.repeats):
            once()
        gc.collect()
        assert descriptors() <= before + self.pool, "close keeps descriptors"
        assert threading.active_count() <= threads + self.pool, "close keeps threads"


class DurableNotifierConformance(_Kit):
    """For a notifier whose events go through the outbox."""

    repeats: ClassVar[int] = 20
    pool: ClassVar[int] = 4

    @pytest.fixture
    def make(self) -> Callable[[], DurableNotifier]:
        """The timeout of its destinations: few seconds."""
        raise NotImplementedError("give the kit what makes a notifier")

    @pytest.fixture
    def destination(self, make: Callable[[], DurableNotifier]) -> Iterator[Destination]:
        """Its first one."""
        made = [*make().destinations()]
        assert made, "it has no destination"
        yield made[0]
        for each in made:
            each.close()

    # -- what it says of itself --------------------------------------------------------------------
    def test_options_can_be_declared_and_shown(self, make: Callable[[], DurableNotifier]) -> None:
        check_options(make().options)

    def test_it_is_a_durable_one(self, make: Callable[[], DurableNotifier]) -> None:
        notifier = make()
        assert isinstance(notifier, DurableNotifier), "use NotifierConformance"
        assert not notifier.immediate, "its events go through the outbox"

    def test_names_are_the_same_in_every_process(self, make: Callable[[], DurableNotifier]) -> None:
        names = [[x.name for x in make().destinations()] for _ in range(2)]
        assert names[0] == names[1], "events wait under the name, also after a restart"
        assert len(set(names[0])) == len(names[0]), "two destinations have one name"
        for name in names[0]:
            assert 0 < len(name) <= 128, "a name has at most 128 characters"

    def test_its_timeout_is_a_number_of_seconds(self, destination: Destination) -> None:
        assert 0 < destination.timeout < math.inf

    def test_what_it_wants_is_known_at_once(self, destination: Destination, monkeypatch: pytest.MonkeyPatch) -> None:
        """Asked before each commit, so nothing outside is asked; for any type, as extensions have their own."""
        with offline(monkeypatch, "wants asks something outside"):
            for name in [*(x.value for x in EventType), "census.take", "a" * 64, "", _ODD]:
                found = destination.wants(name)
                assert isinstance(found, bool)
                assert destination.wants(name) is found

    # -- delivering --------------------------------------------------------------------------------
    @pytest.mark.parametrize("event", EXAMPLES, ids=_name)
    def test_any_event_has_arrived_when_deliver_returns(
        self, destination: Destination, receiver: Receiver, event: Event
    ) -> None:
        before = len(receiver.heard(0))
        destination.deliver(parcel(event, destination.name))
        assert [*receiver.heard(0)[before:]] == [event.type.value]

    @pytest.mark.parametrize(
        "who", [None, Initiator(), Initiator("x" * 300, _ODD, "", "::1", ("", _ODD), f"GET /{_ODD}")]
    )
    def test_whoever_did_it(self, destination: Destination, receiver: Receiver, who: Initiator | None) -> None:
        before = len(receiver.heard(0))
        destination.deliver(parcel(EXAMPLES[0], destination.name, who))
        assert len(receiver.heard(0)) == before + 1

    def test_the_same_event_may_come_again(self, destination: Destination, receiver: Receiver) -> None:
        before, event = len(receiver.heard(0)), parcel(EXAMPLES[0], destination.name)
        for _ in range(2):
            destination.deliver(event)
        assert len(receiver.heard(0)) in (before + 1, before + 2)

    def test_the_event_stays_as_it_is(self, destination: Destination) -> None:
        event = parcel(EXAMPLES[0], destination.name)
        before = json.dumps(event.data)
        destination.deliver(event)
        assert json.dumps(event.data) == before, "the event was changed"

    def test_it_is_used_again_after_close(self, destination: Destination, receiver: Receiver) -> None:
        """Closed when nothing was sent for a while; it may be used again."""
        before = len(receiver.heard(0))
        destination.close()
        for _ in range(2):
            destination.deliver(parcel(EXAMPLES[0], destination.name))
            destination.close()
            destination.close()
        assert len(receiver.heard(0)) == before + 2

    def test_close_gives_everything_back(self, destination: Destination) -> None:
        def once() -> None:
            destination.deliver(parcel(EXAMPLES[0], destination.name))
            destination.close()

        once()
        gc.collect()
        before, threads = descriptors(), threading.active_count()
        for _ in range(self.repeats):
            once()
        gc.collect()
        assert descriptors() <= before + self.pool, "close keeps descriptors"
        assert threading.active_count() <= threads + self.pool, "close keeps threads"

    # -- failures ----------------------------------------------------------------------------------
    def test_a_receiver_that_is_away_is_told(self, destination: Destination, receiver: Receiver) -> None:
        receiver.stop()
        assert not_delivered(destination).unreachable, "nothing else would arrive there now: set unreachable"

    def test_one_that_comes_back_is_told_again(self, destination: Destination, receiver: Receiver) -> None:
        before = len(receiver.heard(0))
        destination.deliver(parcel(EXAMPLES[0], destination.name))
        receiver.stop()
        not_delivered(destination)
        receiver.start()
        destination.deliver(parcel(EXAMPLES[0], destination.name))
        assert len(receiver.heard(0)) == before + 2

    def test_a_receiver_that_refuses_is_told(self, destination: Destination, receiver: Receiver) -> None:
        receiver.refuse()
        after_seconds = not_delivered(destination).retry_after
        assert after_seconds is None or 0 <= after_seconds < math.inf

    def test_a_receiver_that_does_not_answer_is_given_up(self, destination: Destination, receiver: Receiver) -> None:
        receiver.stall()
        assert not_delivered(destination).unreachable, "nothing else would arrive there now: set unreachable"
        within(CLOSING, destination.close, "close, while the receiver does not answer,")

    def test_no_secret_is_told(
        self, destination: Destination, receiver: Receiver, caplog: pytest.LogCaptureFixture
    ) -> None:
        """In no log, at no level, and in no error."""
        caplog.set_level(logging.DEBUG)
        said: list[object] = [destination]
        destination.deliver(parcel(EXAMPLES[0], destination.name))
        receiver.refuse()
        said.append(not_delivered(destination))
        receiver.stop()
        said.append(not_delivered(destination))
        destination.close()
        check_hidden(receiver.secrets, caplog.text, *said)


def not_delivered(destination: Destination) -> NotDelivered:
    try:
        within(
            destination.timeout + SLACK, lambda: destination.deliver(parcel(EXAMPLES[0], destination.name)), "deliver"
        )
    except NotDelivered as exc:
        check_sentence(exc)
        return exc
    pytest.fail("it did not arrive, and deliver raised nothing")
