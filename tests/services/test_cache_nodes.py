"""Which node has which image in its cache."""

from __future__ import annotations

import uuid

import pytest

from glancecore.domain.image import Image
from glancecore.features.cache import nodes
from glancecore.features.cache.nodes import CacheNodes
from glancecore.ports.repository import ImageAdded, ImageRemoved
from glancecore.testing.examples import START, make_image
from glancecore.testing.fakes import MemoryDatabase
from glancecore.testing.repository import race

ONE, TWO = "http://one.example:9292", "http://two.example:" + "9" * 236


class Cloud:
    def __init__(self) -> None:
        self.database = MemoryDatabase()
        self.nodes = CacheNodes(self.database)

    def image(self) -> Image:
        image = make_image()
        self.database.images.commit(ImageAdded(image))
        return image

    def told(self, *images: Image) -> list[list[str]]:
        return [self.nodes.nodes(x.id) for x in images]


@pytest.fixture
def cloud() -> Cloud:
    return Cloud()


def test_who_has_it_is_told_in_order(cloud: Cloud) -> None:
    image, other = cloud.image(), cloud.image()
    assert cloud.told(image) == [[]]
    for node in (TWO, ONE, TWO):
        cloud.nodes.hold(image.id, node)
    assert cloud.told(image, other) == [[ONE, TWO], []]


def test_many_at_once_are_one(cloud: Cloud) -> None:
    image = cloud.image()
    assert race(8, lambda _n: cloud.nodes.hold(image.id, ONE)) == [None] * 8
    assert cloud.told(image) == [[ONE]]


def test_an_unknown_image_is_left_out_and_the_others_are_not(cloud: Cloud) -> None:
    unknown, images = str(uuid.uuid4()), [cloud.image() for _ in range(3)]
    cloud.nodes.hold(unknown, ONE)
    cloud.nodes.replace(ONE, [unknown, *(x.id for x in images)])
    assert cloud.nodes.nodes(unknown) == []
    assert cloud.told(*images) == [[ONE]] * 3


def test_replace_is_all_that_the_node_has(cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nodes, "_PAGE", 2)
    monkeypatch.setattr(nodes, "_BATCH", 2)
    kept, lost = [cloud.image() for _ in range(5)], [cloud.image() for _ in range(5)]
    for image in kept + lost:
        cloud.nodes.hold(image.id, ONE)
        cloud.nodes.hold(image.id, TWO)
    fresh = cloud.image()
    cloud.nodes.replace(ONE, {fresh.id, *(x.id for x in kept)})
    assert cloud.told(*kept, *lost, fresh) == [[ONE, TWO]] * 5 + [[TWO]] * 5 + [[ONE]]
    cloud.nodes.replace(ONE, [])
    assert cloud.told(*kept, *lost, fresh) == [[TWO]] * 10 + [[]]


def test_a_removed_image_is_forgotten(cloud: Cloud) -> None:
    image = cloud.image()
    cloud.nodes.hold(image.id, ONE)
    cloud.database.images.commit(ImageRemoved(image, START))
    assert cloud.told(image) == [[]]
    cloud.nodes.replace(ONE, [])
