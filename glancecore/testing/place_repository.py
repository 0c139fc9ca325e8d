"""The conformance kit for what a database driver knows of stores' places: one test for each rule of
``glancecore.ports.place_repository``.

class TestMine(PlaceConformance):
    @pytest.fixture
    def database(self): ...     # a synced and empty Database
"""

from __future__ import annotations

import pytest

from glancecore.domain import errors
from glancecore.domain.image import Image
from glancecore.ports.place_repository import Place, StorePlaces
from glancecore.ports.repository import Database, ImageAdded, ImageChanged, ImageRemoved
from glancecore.testing.examples import START, make_image, make_location, saved
from glancecore.testing.repository import TEXTS, race

ONE = StorePlaces("fast", (Place("1" * 32),))
TWO = StorePlaces("fast", (Place("2" * 32, ("file:///new", "file:///old")), Place("3" * 32)))


class PlaceConformance:
    @pytest.fixture
    def database(self) -> Database:
        raise NotImplementedError("give the kit a synced and empty database")

    # -- records -----------------------------------------------------------------------------------
    def test_at_first_nothing_is_expected(self, database: Database) -> None:
        assert database.places.get("fast") is None
        assert database.places.all() == []

    def test_what_is_expected_is_read_as_it_was_kept(self, database: Database) -> None:
        places = database.places
        places.replace("fast", None, ONE)
        assert places.get("fast") == ONE
        places.replace("fast", ONE, TWO)
        assert places.get("fast") == TWO
        assert places.get("Fast") is None
        places.replace("fast", TWO, None)
        assert places.get("fast") is None

    def test_all_are_told_in_order(self, database: Database) -> None:
        kept = [StorePlaces(x, (Place("1" * 32),)) for x in ("a", "B", "z", "É", "é")]
        for each in kept:
            database.places.replace(each.store, None, each)
        assert [x.store for x in database.places.all()] == ["B", "a", "z", "É", "é"]

    @pytest.mark.parametrize("text", TEXTS)
    def test_any_text_is_kept(self, database: Database, text: str) -> None:
        record = StorePlaces("fast", (Place("1" * 32, (f"file:///{text}",)),))
        database.places.replace("fast", None, record)
        assert database.places.get("fast") == record
        database.places.replace("fast", record, ONE)

    def test_only_who_knows_it_replaces_it(self, database: Database) -> None:
        places = database.places
        with pytest.raises(errors.ConcurrentChange):
            places.replace("fast", ONE, TWO)
        assert places.get("fast") is None
        places.replace("fast", None, ONE)
        for after in (TWO, None):
            for before in (None, TWO):
                if before != after:
                    with pytest.raises(errors.ConcurrentChange):
                        places.replace("fast", before, after)
        assert places.get("fast") == ONE

    def test_twice_is_once(self, database: Database) -> None:
        """Whoever has lost the answer asks again."""
        for before, after in ((None, ONE), (ONE, TWO), (TWO, None)):
            for _ in range(2):
                database.places.replace("fast", before, after)
            assert database.places.get("fast") == after

    @pytest.mark.parametrize("before", [None, ONE], ids=["first use", "change"])
    def test_of_many_at_once_one_replaces_it(self, database: Database, before: StorePlaces | None) -> None:
        if before is not None:
            database.places.replace("fast", None, before)
        wanted = [StorePlaces("fast", (Place(f"{number:032x}"),)) for number in range(8)]
        told = race(8, lambda number: database.places.replace("fast", before, wanted[number]))
        [winner] = [number for number, error in enumerate(told) if error is None]
        assert all(isinstance(x, errors.ConcurrentChange) for x in told if x is not None)
        assert database.places.get("fast") == wanted[winner]

    # -- images ------------------------------------------------------------------------------------
    def image(self, database: Database, *stores: str) -> Image:
        image = make_image(locations=tuple(make_location(f"{number}-{x}", x) for number, x in enumerate(stores)))
        database.images.commit(ImageAdded(image))
        return image

    def test_stores_that_images_need(self, database: Database) -> None:
        places = database.places
        assert places.needed() == []
        self.image(database)
        first, _ = self.image(database, "fast", "fast", "gone"), self.image(database, "fast", "Fast")
        database.places.replace("unused", None, StorePlaces("unused", ONE.places))
        assert places.needed() == ["Fast", "fast", "gone"]
        assert [places.count(x) for x in ("Fast", "fast", "gone", "unused")] == [1, 2, 1, 0]
        database.images.commit(ImageChanged(first, after := saved(first, locations=first.locations[:1])))
        assert places.needed() == ["Fast", "fast"]
        database.images.commit(ImageRemoved(after, START))
        assert [places.count(x) for x in ("Fast", "fast", "gone")] == [1, 1, 0]

    def test_images_of_a_store_come_in_pages(self, database: Database) -> None:
        images = sorted((self.image(database, "fast", "fast") for _ in range(5)), key=lambda x: x.id)
        self.image(database, "slow")
        places = database.places
        assert places.holding("fast") == images
        assert places.holding("fast", limit=2) == images[:2]
        assert places.holding("fast", images[1].id, 2) == images[2:4]
        assert places.holding("fast", images[4].id) == []
        assert places.holding("Fast") == []
