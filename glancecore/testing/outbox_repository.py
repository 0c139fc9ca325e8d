"""The conformance kit for the outbox of a database driver: one test for each rule of
``glancecore.ports.outbox_repository``.

class TestMine(OutboxConformance):
    @pytest.fixture
    def database(self): ...     # a synced and empty Database
"""

from __future__ import annotations

import time
import uuid
from collections import Counter
from dataclasses import replace
from typing import Any

import pytest

from glancecore.domain import errors
from glancecore.domain.context import Initiator
from glancecore.ports.metadef_repository import NamespaceAdded
from glancecore.ports.outbox_repository import Backlog, Delivery, DeliveryOutcome, EventsRecorded, OutboxEvent
from glancecore.ports.repository import Database, ImageAdded
from glancecore.testing.examples import after, make_image, make_namespace
from glancecore.testing.repository import TEXTS, race


def make_event(subject: str = "s", second: float = 0, destination: str = "d", **fields: Any) -> OutboxEvent:
    given: dict[str, Any] = {
        "id": str(uuid.uuid4()),
        "type": "image.update",
        "data": {"id": subject},
        "initiator": Initiator("user", "project", "req-1", "192.0.2.1", ("admin", "member"), "PUT /v2/images/x"),
        "traceparent": f"00-{'4b' * 16}-{'7a' * 8}-01",
        **fields,
    }
    return OutboxEvent(destination=destination, subject=subject, at=after(second), **given)


def record(database: Database, *events: OutboxEvent) -> None:
    for event in events:
        database.images.commit(EventsRecorded((event,)))


def events(deliveries: list[Delivery]) -> list[OutboxEvent]:
    return [x.event for x in deliveries]


def failed(delivery: Delivery, delay: float = 60, error: str | None = "no answer") -> DeliveryOutcome:
    return DeliveryOutcome(delivery.position, delivery.token, delivered=False, delay=delay, error=error)


def delivered(delivery: Delivery) -> DeliveryOutcome:
    return DeliveryOutcome(delivery.position, delivery.token, delivered=True)


def several(count: int, deliveries: list[Delivery]) -> list[Delivery]:
    assert len(deliveries) == count, f"{count} expected, but there are {len(deliveries)}"
    return deliveries


def only(deliveries: list[Delivery]) -> Delivery:
    return several(1, deliveries)[0]


class OutboxConformance:
    @pytest.fixture
    def database(self) -> Database:
        raise NotImplementedError("give the kit a synced and empty database")

    # -- recording ---------------------------------------------------------------------------------
    def test_an_event_is_claimed_as_it_was_recorded(self, database: Database) -> None:
        event = make_event(
            str(uuid.uuid4()),
            1.25,
            type="image.create",
            data={
                "id": "x",
                "tags": ["a", "b"],
                "size": None,
                "properties": {"k": "v"},
                "min_ram": 1 << 40,
                "protected": True,
            },
        )
        record(database, event, make_event("of no trace", 2, "none", initiator=None, traceparent=None))
        untraced = only(database.outbox.find("none")).event
        assert (untraced.initiator, untraced.traceparent) == (None, None)
        delivery = only(database.outbox.find("d"))
        assert (delivery.event, delivery.attempts, delivery.error, delivery.token) == (event, 0, None, None)
        claimed = only(database.outbox.claim("d", 10, 60))
        assert (claimed.event, claimed.position, claimed.attempts, claimed.error) == (event, delivery.position, 1, None)
        assert claimed.token is not None
        assert database.outbox.find("d") == [claimed]

    @pytest.mark.parametrize("text", TEXTS)
    def test_any_text_is_kept(self, database: Database, text: str) -> None:
        event = make_event(f"s{text}", data={"name": text, text: 1})
        record(database, event)
        assert events(database.outbox.claim("d", 10, 60)) == [event]

    def test_a_large_event_is_kept(self, database: Database) -> None:
        event = make_event(data={"properties": {str(n): "\U0001d4b3" * 255 for n in range(300)}})
        record(database, event)
        assert events(database.outbox.claim("d", 10, 60)) == [event]

    def test_several_of_one_commit_keep_their_order(self, database: Database) -> None:
        made = [make_event("one" if n % 3 else "two") for n in range(9)]
        database.images.commit(EventsRecorded(tuple(made)))
        assert events(database.outbox.find("d")) == made
        assert events(database.outbox.claim("d", 10, 60)) == made

    def test_no_events_are_no_error(self, database: Database) -> None:
        database.images.commit(EventsRecorded(()))
        assert database.outbox.find() == []

    def test_an_event_is_recorded_with_its_change_or_not_at_all(self, database: Database) -> None:
        image, event = make_image(), make_event()
        database.images.commit(ImageAdded(image), EventsRecorded((event,)))
        for changes in (
            (EventsRecorded((make_event(),)), ImageAdded(image)),
            (ImageAdded(image), EventsRecorded((make_event(),))),
        ):
            with pytest.raises(errors.ImageExists):
                database.images.commit(*changes)
        assert events(database.outbox.find()) == [event]

    def test_the_same_holds_for_metadata_definitions(self, database: Database) -> None:
        namespace, event = make_namespace(), make_event()
        database.metadefs.commit(NamespaceAdded(namespace), EventsRecorded((event,)))
        again = replace(namespace, id=str(uuid.uuid4()))
        for changes in (
            (EventsRecorded((make_event(),)), NamespaceAdded(again)),
            (NamespaceAdded(again), EventsRecorded((make_event(),))),
        ):
            with pytest.raises(errors.MetadefExists):
                database.metadefs.commit(*changes)
        assert events(database.outbox.find()) == [event]

    # -- claims ------------------------------------------------------------------------------------
    def test_a_claim_takes_the_first_up_to_its_limit_of_its_destination(self, database: Database) -> None:
        made = [make_event(str(n), destination="d" if n % 2 else "e") for n in range(8)]
        record(database, *made)
        assert events(database.outbox.claim("d", 2, 60)) == made[1:5:2]
        assert events(database.outbox.claim("d", 10, 60)) == made[5::2]
        assert (
            database.outbox.claim("d", 10, 60)
            == database.outbox.claim("nobody", 10, 60)
            == database.outbox.claim("e", 0, 60)
            == []
        )

    def test_what_is_claimed_is_due_again_when_its_time_is_over(self, database: Database) -> None:
        event = make_event()
        record(database, event)
        first = only(database.outbox.claim("d", 10, 0))
        time.sleep(0.02)
        second = only(database.outbox.claim("d", 10, 60))
        assert (second.event, second.position, second.attempts) == (event, first.position, 2)
        assert second.token != first.token
        assert database.outbox.claim("d", 10, 60) == []

    def test_parallel_claims_share_no_delivery(self, database: Database) -> None:
        made = [make_event(str(n % 10)) for n in range(30)]
        database.images.commit(EventsRecorded(tuple(made)))
        taken: list[list[Delivery]] = []
        told = race(8, lambda _: taken.append(database.outbox.claim("d", 7, 60)))
        assert told == [None] * 8
        while claimed := database.outbox.claim("d", 7, 60):
            taken.append(claimed)
            assert sum(map(len, taken)) <= len(made), "something is claimed twice"
        assert Counter(x.position for part in taken for x in part) == Counter(
            x.position for x in database.outbox.find()
        ) - Counter(x.position for x in database.outbox.find() if x.token is None)
        for part in taken:
            assert part == sorted(part, key=lambda x: x.position)
            for delivery in part:
                before = [
                    x
                    for x in database.outbox.find()
                    if x.event.subject == delivery.event.subject and x.position < delivery.position
                ]
                assert {x.token for x in before} <= {delivery.token}, "two work on one subject"

    # -- order -------------------------------------------------------------------------------------
    def test_what_is_claimed_holds_back_its_subject_only(self, database: Database) -> None:
        made = [make_event("one"), make_event("one"), make_event("two"), make_event("one", destination="e")]
        record(database, *made)
        first = only(database.outbox.claim("d", 1, 60))
        assert events(database.outbox.claim("d", 10, 60)) == [made[2]]
        assert events(database.outbox.claim("e", 10, 60)) == [made[3]]
        database.outbox.settle([delivered(first)])
        assert events(database.outbox.claim("d", 10, 60)) == [made[1]]

    def test_what_has_failed_holds_back_its_subject_only(self, database: Database) -> None:
        made = [make_event("one"), make_event("one"), make_event("two")]
        record(database, *made)
        first, second, other = several(3, database.outbox.claim("d", 10, 60))
        database.outbox.settle([failed(first), failed(second, 0, None), delivered(other)])
        late = [make_event("one"), make_event("two")]
        record(database, *late)
        assert events(database.outbox.claim("d", 10, 60)) == [late[1]]

    def test_subjects_are_compared_by_code_points(self, database: Database) -> None:
        made = [make_event(x) for x in ("a", "A", "á", "a ")]
        record(database, *made)
        first = only(database.outbox.claim("d", 1, 60))
        assert first.event == made[0]
        assert events(database.outbox.claim("d", 10, 60)) == made[1:]

    # -- settling ----------------------------------------------------------------------------------
    def test_what_is_delivered_is_gone(self, database: Database) -> None:
        record(database, make_event("one"), make_event("two"))
        first, second = several(2, database.outbox.claim("d", 10, 0))
        database.outbox.settle([delivered(first)])
        time.sleep(0.02)
        assert [x.position for x in database.outbox.claim("d", 10, 60)] == [second.position]
        database.outbox.settle([])

    def test_what_has_failed_comes_again_after_its_delay_with_its_error(self, database: Database) -> None:
        record(database, make_event())
        delivery = only(database.outbox.claim("d", 10, 60))
        database.outbox.settle([failed(delivery, 0.3, 'it\'s "full" 😀')])
        assert database.outbox.claim("d", 10, 60) == []
        waiting = only(database.outbox.find())
        assert (waiting.error, waiting.token, waiting.attempts) == ('it\'s "full" 😀', None, 1)
        time.sleep(0.4)
        again = only(database.outbox.claim("d", 10, 60))
        assert (again.event.id, again.attempts, again.error) == (delivery.event.id, 2, 'it\'s "full" 😀')
        database.outbox.settle([failed(again, 0, None)])
        last = only(database.outbox.claim("d", 10, 60))
        assert last.error == 'it\'s "full" 😀', "not tried: the error before stays"

    @pytest.mark.parametrize("outcome", [delivered, failed])
    def test_a_claim_that_was_lost_settles_nothing(self, database: Database, outcome: Any) -> None:
        record(database, make_event())
        old = only(database.outbox.claim("d", 10, 0))
        time.sleep(0.02)
        new = only(database.outbox.claim("d", 10, 60))
        database.outbox.settle([outcome(old)])
        assert database.outbox.find() == [new]
        assert database.outbox.claim("d", 10, 60) == []
        database.outbox.settle([delivered(new)])
        database.outbox.settle([delivered(new)])
        assert database.outbox.find() == []

    # -- for operators -----------------------------------------------------------------------------
    def test_what_waits_is_counted_by_destination(self, database: Database) -> None:
        assert database.outbox.waiting() == []
        record(database, make_event("one", 5), make_event("two", 3), make_event("three", 4, "e"))
        first, _ = several(2, database.outbox.claim("d", 10, 60))
        assert database.outbox.waiting() == [Backlog("d", 2, after(3)), Backlog("e", 1, after(4))]
        database.outbox.settle([failed(first)])
        assert database.outbox.waiting() == [Backlog("d", 2, after(3), 1), Backlog("e", 1, after(4))]

    def test_pages_give_each_once_in_order(self, database: Database) -> None:
        made = [make_event(str(n), destination="d" if n % 2 else "e") for n in range(9)]
        record(database, *made)
        for name, expected in ((None, made), ("d", made[1::2])):
            seen: list[OutboxEvent] = []
            behind = 0
            while page := database.outbox.find(name, 2, behind):
                assert len(page) <= 2
                seen += events(page)
                behind = page[-1].position
                assert len(seen) <= len(made), "paging does not end"
            assert seen == expected

    def test_a_retry_makes_due_what_waits_and_spares_what_is_worked_on(self, database: Database) -> None:
        made = [make_event("one"), make_event("two"), make_event("one", destination="e")]
        record(database, *made)
        waits, works = several(2, database.outbox.claim("d", 10, 60))
        other = only(database.outbox.claim("e", 10, 60))
        database.outbox.settle([failed(waits), failed(other)])
        assert database.outbox.retry("e") == 1
        assert events(database.outbox.claim("d", 10, 60)) == []
        assert database.outbox.retry() == 1, "what is due already waits for nothing"
        assert events(database.outbox.claim("d", 10, 60)) == [made[0]]
        assert database.outbox.find("d")[1] == works

    def test_what_is_too_old_is_forgotten_and_told(self, database: Database) -> None:
        made = [make_event(str(n), n, "d" if n % 2 else "e") for n in range(8)]
        record(database, *made)
        database.outbox.claim("d", 1, 60)
        assert database.outbox.forget(after(0)) == []
        assert events(database.outbox.forget(after(4), "d")) == [made[1], made[3]]
        assert events(database.outbox.forget(after(6), limit=2)) == [made[0], made[2]]
        assert events(database.outbox.forget(after(6))) == [made[4], made[5]]
        assert events(database.outbox.find()) == made[6:]
