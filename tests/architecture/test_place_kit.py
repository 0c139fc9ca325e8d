"""The kit for stores' places can fail: each saboteur breaks one rule, and the test of that rule tells."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial

import pytest

from glancecore.domain.errors import ConcurrentChange, GlanceError
from glancecore.domain.image import Image
from glancecore.ports.place_repository import StorePlaces
from glancecore.testing.fakes import MemoryDatabase, MemoryPlaces
from glancecore.testing.place_repository import ONE, PlaceConformance

Kit = PlaceConformance


class ExpectsWhatNobodySaid(MemoryPlaces):
    def get(self, store: str) -> StorePlaces | None:
        return super().get(store) or StorePlaces(store, ())


class IgnoresCase(MemoryPlaces):
    def get(self, store: str) -> StorePlaces | None:
        return super().get(store.lower())


class OrdersAsPeopleDo(MemoryPlaces):
    def all(self) -> list[StorePlaces]:
        return sorted(super().all(), key=lambda x: x.store.lower())


class LosesLetters(MemoryPlaces):
    def get(self, store: str) -> StorePlaces | None:
        found = super().get(store)
        return found and StorePlaces(
            store,
            tuple(
                type(x)(x.id, tuple(y.encode("ascii", "ignore").decode() for y in x.addresses)) for x in found.places
            ),
        )


class ReplacesForAnybody(MemoryPlaces):
    def replace(self, store: str, before: StorePlaces | None, after: StorePlaces | None) -> None:
        super().replace(store, self.get(store), after)


class RefusesTheSecondTime(MemoryPlaces):
    def replace(self, store: str, before: StorePlaces | None, after: StorePlaces | None) -> None:
        if self.get(store) != before:
            raise ConcurrentChange("changed")
        super().replace(store, before, after)


class LooksThenReplaces(MemoryPlaces):
    def replace(self, store: str, before: StorePlaces | None, after: StorePlaces | None) -> None:
        there = self.get(store)
        time.sleep(0.01)
        super().replace(store, self.get(store) if there in (before, after) else before, after)


class NeedsWhatIsRecorded(MemoryPlaces):
    def needed(self) -> list[str]:
        return sorted({*super().needed(), *self._records})


class CountsLocations(MemoryPlaces):
    def count(self, store: str) -> int:
        return sum(x.store == store for image in self._database.images.state.images.values() for x in image.locations)


class BeginsAnew(MemoryPlaces):
    def holding(self, store: str, after: str = "", limit: int = 100) -> list[Image]:
        return super().holding(store, "", limit)


@pytest.mark.parametrize(
    ("saboteur", "test"),
    [
        (ExpectsWhatNobodySaid, Kit.test_at_first_nothing_is_expected),
        (IgnoresCase, Kit.test_what_is_expected_is_read_as_it_was_kept),
        (OrdersAsPeopleDo, Kit.test_all_are_told_in_order),
        (LosesLetters, partial(Kit.test_any_text_is_kept, text="é")),
        (ReplacesForAnybody, Kit.test_only_who_knows_it_replaces_it),
        (RefusesTheSecondTime, Kit.test_twice_is_once),
        (LooksThenReplaces, partial(Kit.test_of_many_at_once_one_replaces_it, before=None)),
        (LooksThenReplaces, partial(Kit.test_of_many_at_once_one_replaces_it, before=ONE)),
        (NeedsWhatIsRecorded, Kit.test_stores_that_images_need),
        (CountsLocations, Kit.test_stores_that_images_need),
        (BeginsAnew, Kit.test_images_of_a_store_come_in_pages),
    ],
)
def test_the_kit_catches(saboteur: type[MemoryPlaces], test: Callable[..., None]) -> None:
    database = MemoryDatabase()
    database.places = saboteur(database)
    with pytest.raises(BaseException) as told:
        test(Kit(), database)
    assert isinstance(told.value, AssertionError | pytest.fail.Exception | GlanceError | ValueError), told.value
