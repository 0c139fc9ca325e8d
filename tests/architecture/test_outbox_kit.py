"""The kit for the outbox can fail: each saboteur breaks one rule, and the test of that rule tells."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime

import pytest

from glancecore.domain.errors import GlanceError
from glancecore.ports import metadef_repository as metadef_port
from glancecore.ports import outbox_repository as port
from glancecore.ports.repository import Change
from glancecore.testing.fakes import MemoryDatabase, MemoryImages, _State
from glancecore.testing.memory_metadefs import MemoryMetadefs
from glancecore.testing.memory_outbox import MemoryOutbox
from glancecore.testing.outbox_repository import OutboxConformance, delivered, failed

Kit = OutboxConformance


class TestMemoryOutbox(OutboxConformance):
    @pytest.fixture
    def database(self) -> MemoryDatabase:
        return MemoryDatabase()


class RecordsFirst(MemoryImages):
    """In a transaction of its own, before the change."""

    def commit(self, *changes: Change) -> None:
        recorded = [x for x in changes if isinstance(x, port.EventsRecorded)]
        if recorded:
            super().commit(*recorded)
        super().commit(*(x for x in changes if not isinstance(x, port.EventsRecorded)))


class Backwards(MemoryImages):
    def record(self, state: _State, change: port.EventsRecorded) -> None:
        super().record(state, port.EventsRecorded(change.events[::-1]))


class RecordsBeforeNamespaces(MemoryMetadefs):
    def commit(self, *changes: metadef_port.MetadefChange) -> None:
        for change in changes:
            if isinstance(change, port.EventsRecorded):
                self.record(change)
        super().commit(*(x for x in changes if not isinstance(x, port.EventsRecorded)))


class NeverTaken(MemoryOutbox):
    """A claim is not noted."""

    def claim(self, destination: str, limit: int, ttl: float) -> list[port.Delivery]:
        return [replace(x, attempts=x.attempts + 1, token="t") for x in self.due(destination, time.monotonic())[:limit]]


class ForEver(MemoryOutbox):
    def claim(self, destination: str, limit: int, ttl: float) -> list[port.Delivery]:
        return super().claim(destination, limit, 1e9)


class Greedy(MemoryOutbox):
    def claim(self, destination: str, limit: int, ttl: float) -> list[port.Delivery]:
        return super().claim(destination, limit + 1, ttl)


class OutOfOrder(MemoryOutbox):
    def due(self, destination: str, now: float) -> list[port.Delivery]:
        return [x for _, (x, due) in sorted(self.kept.items()) if due <= now and x.event.destination == destination]


class HoldsAll(MemoryOutbox):
    """One that waits holds back everything."""

    def due(self, destination: str, now: float) -> list[port.Delivery]:
        return (
            []
            if any(due > now for x, due in self.kept.values() if x.event.destination == destination)
            else super().due(destination, now)
        )


class HoldsOtherDestinations(MemoryOutbox):
    def due(self, destination: str, now: float) -> list[port.Delivery]:
        held = {x.event.subject for x, due in self.kept.values() if due > now}
        return [x for x in super().due(destination, now) if x.event.subject not in held]


class FoldsCase(MemoryOutbox):
    def due(self, destination: str, now: float) -> list[port.Delivery]:
        held = {
            x.event.subject.casefold().strip()
            for x, due in self.kept.values()
            if due > now and x.event.destination == destination
        }
        return [x for x in super().due(destination, now) if x.event.subject.casefold().strip() not in held]


class SettlesNothing(MemoryOutbox):
    def settle(self, outcomes: Sequence[port.DeliveryOutcome]) -> None:
        super().settle([replace(x, delivered=False) for x in outcomes])


class SettlesAnyClaim(MemoryOutbox):
    def settle(self, outcomes: Sequence[port.DeliveryOutcome]) -> None:
        stored = [replace(x, token=self.kept[x.position][0].token) for x in outcomes if x.position in self.kept]
        super().settle(stored)


class AtOnceAgain(MemoryOutbox):
    def settle(self, outcomes: Sequence[port.DeliveryOutcome]) -> None:
        super().settle([replace(x, delay=0) for x in outcomes])


class LosesTheError(MemoryOutbox):
    def settle(self, outcomes: Sequence[port.DeliveryOutcome]) -> None:
        super().settle([replace(x, error=x.error or "") for x in outcomes])


class NewIds(MemoryOutbox):
    def claim(self, destination: str, limit: int, ttl: float) -> list[port.Delivery]:
        return [
            replace(x, event=replace(x.event, id=f"{x.event.id}-{x.attempts}"))
            for x in super().claim(destination, limit, ttl)
        ]


class CountsNewest(MemoryOutbox):
    def waiting(self) -> list[port.Backlog]:
        return [replace(x, oldest=max(y.event.at for y, _ in self.kept.values())) for x in super().waiting()]


class RepeatsThePage(MemoryOutbox):
    def find(self, destination: str | None = None, limit: int = 100, behind: int = 0) -> list[port.Delivery]:
        return super().find(destination, limit, behind - 1)


class RetriesWhatIsWorkedOn(MemoryOutbox):
    def retry(self, destination: str | None = None) -> int:
        for position, (x, due) in self.kept.items():
            self.kept[position] = (replace(x, token=None), due)
        return super().retry(destination)


class ForgetsEverything(MemoryOutbox):
    def forget(self, before: datetime, destination: str | None = None, limit: int = 1000) -> list[port.Delivery]:
        return super().forget(before, None, limit)


@pytest.mark.parametrize(
    ("saboteur", "test", "arguments"),
    [
        (RecordsFirst, Kit.test_an_event_is_recorded_with_its_change_or_not_at_all, ()),
        (Backwards, Kit.test_several_of_one_commit_keep_their_order, ()),
        (RecordsBeforeNamespaces, Kit.test_the_same_holds_for_metadata_definitions, ()),
        (NeverTaken, Kit.test_a_claim_takes_the_first_up_to_its_limit_of_its_destination, ()),
        (NeverTaken, Kit.test_parallel_claims_share_no_delivery, ()),
        (ForEver, Kit.test_what_is_claimed_is_due_again_when_its_time_is_over, ()),
        (Greedy, Kit.test_a_claim_takes_the_first_up_to_its_limit_of_its_destination, ()),
        (OutOfOrder, Kit.test_what_is_claimed_holds_back_its_subject_only, ()),
        (OutOfOrder, Kit.test_what_has_failed_holds_back_its_subject_only, ()),
        (OutOfOrder, Kit.test_parallel_claims_share_no_delivery, ()),
        (HoldsAll, Kit.test_what_is_claimed_holds_back_its_subject_only, ()),
        (HoldsAll, Kit.test_what_has_failed_holds_back_its_subject_only, ()),
        (HoldsOtherDestinations, Kit.test_what_is_claimed_holds_back_its_subject_only, ()),
        (FoldsCase, Kit.test_subjects_are_compared_by_code_points, ()),
        (SettlesNothing, Kit.test_what_is_delivered_is_gone, ()),
        (SettlesAnyClaim, Kit.test_a_claim_that_was_lost_settles_nothing, (delivered,)),
        (SettlesAnyClaim, Kit.test_a_claim_that_was_lost_settles_nothing, (failed,)),
        (AtOnceAgain, Kit.test_what_has_failed_comes_again_after_its_delay_with_its_error, ()),
        (LosesTheError, Kit.test_what_has_failed_comes_again_after_its_delay_with_its_error, ()),
        (NewIds, Kit.test_an_event_is_claimed_as_it_was_recorded, ()),
        (CountsNewest, Kit.test_what_waits_is_counted_by_destination, ()),
        (RepeatsThePage, Kit.test_pages_give_each_once_in_order, ()),
        (RetriesWhatIsWorkedOn, Kit.test_a_retry_makes_due_what_waits_and_spares_what_is_worked_on, ()),
        (ForgetsEverything, Kit.test_what_is_too_old_is_forgotten_and_told, ()),
    ],
)
def test_the_kit_catches(
    saboteur: type[object], test: Callable[..., None], arguments: tuple[object, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    database = MemoryDatabase()
    if issubclass(saboteur, MemoryImages):
        database.images = saboteur()
    elif issubclass(saboteur, MemoryMetadefs):
        database.metadefs = saboteur(database.metadefs.record)
    elif issubclass(saboteur, MemoryOutbox):
        monkeypatch.setattr(MemoryDatabase, "outbox", property(lambda self: saboteur(self.images)))
    with pytest.raises(BaseException) as told:
        test(Kit(), database, *arguments)
    assert isinstance(told.value, AssertionError | pytest.fail.Exception | GlanceError), told.value
