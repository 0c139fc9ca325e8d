"""The conformance kit for what a database driver knows of caches: one test for each rule of ``glancecore.ports.cached_repository``.

    class TestMine(CachedConformance):
        @pytest.fixture
        def database(self): ...     # a synced and empty Database
"""

from __future__ import annotations

import uuid

import pytest

from glancecore.domain.image import Image
from glancecore.ports.repository import Database, ImageAdded, ImageRemoved
from glancecore.testing.examples import START, make_image
from glancecore.testing.repository import race

ONE, TWO = "http://one.example:9292", "http://two.example:9292"


class CachedConformance:
    @pytest.fixture
    def database(self) -> Database:
        raise NotImplementedError("give the kit a synced and empty database")

    def image(self, database: Database) -> Image:
        image = make_image()
        database.images.commit(ImageAdded(image))
        return image

    def test_at_first_no_node_has_it(self, database: Database) -> None:
        assert database.cached.nodes(self.image(database).id) == []
        assert database.cached.nodes(str(uuid.uuid4())) == []

    def test_who_has_it_is_told_in_order(self, database: Database) -> None:
        image, other = self.image(database), self.image(database)
        for node in (TWO, ONE, TWO):
            database.cached.hold(image.id, node)
        assert database.cached.nodes(image.id) == [ONE, TWO]
        assert database.cached.nodes(other.id) == []

    def test_many_at_once_are_one(self, database: Database) -> None:
        image = self.image(database)
        assert race(8, lambda _n: database.cached.hold(image.id, ONE)) == [None] * 8
        assert database.cached.nodes(image.id) == [ONE]

    def test_an_unknown_image_is_left_out(self, database: Database) -> None:
        unknown = str(uuid.uuid4())
        database.cached.hold(unknown, ONE)
        database.cached.replace(ONE, [unknown])
        assert database.cached.nodes(unknown) == []

    def test_replace_is_all_that_the_node_has(self, database: Database) -> None:
        kept, lost, fresh = (self.image(database) for _ in range(3))
        for image in (kept, lost):
            database.cached.hold(image.id, ONE)
            database.cached.hold(image.id, TWO)
        database.cached.replace(ONE, {kept.id, fresh.id})
        assert [database.cached.nodes(x.id) for x in (kept, lost, fresh)] == [[ONE, TWO], [TWO], [ONE]]
        database.cached.replace(ONE, [])
        assert [database.cached.nodes(x.id) for x in (kept, lost, fresh)] == [[TWO], [TWO], []]

    def test_a_removed_image_is_forgotten(self, database: Database) -> None:
        image = self.image(database)
        database.cached.hold(image.id, ONE)
        database.images.commit(ImageRemoved(image, START))
        assert database.cached.nodes(image.id) == []
