"""The kit for what is known of caches can fail: each saboteur breaks one rule, and the test of that rule tells."""

from __future__ import annotations

from collections.abc import Callable, Collection

import pytest

from glancecore.testing.cached_repository import CachedConformance
from glancecore.testing.fakes import MemoryCached, MemoryDatabase

Kit = CachedConformance


class Inventive(MemoryCached):
    def nodes(self, image_id: str) -> list[str]:
        return super().nodes(image_id) or ["http://nowhere"]


class Unordered(MemoryCached):
    def nodes(self, image_id: str) -> list[str]:
        return super().nodes(image_id)[::-1]


class Repeating(MemoryCached):
    count = 0

    def hold(self, image_id: str, node: str) -> None:
        super().hold(image_id, node)
        self.count += 1

    def nodes(self, image_id: str) -> list[str]:
        return super().nodes(image_id) * self.count


class Believing(MemoryCached):
    def hold(self, image_id: str, node: str) -> None:
        self._held.add((image_id, node))

    def nodes(self, image_id: str) -> list[str]:
        return sorted(node for id_, node in self._held if id_ == image_id)


class OnlyAdding(MemoryCached):
    def replace(self, node: str, image_ids: Collection[str]) -> None:
        for image_id in image_ids:
            self.hold(image_id, node)


@pytest.mark.parametrize(("saboteur", "test"), [
    (Inventive, Kit.test_at_first_no_node_has_it),
    (Unordered, Kit.test_who_has_it_is_told_in_order),
    (Repeating, Kit.test_many_at_once_are_one),
    (Believing, Kit.test_an_unknown_image_is_left_out),
    (OnlyAdding, Kit.test_replace_is_all_that_the_node_has),
    (Believing, Kit.test_a_removed_image_is_forgotten),
])
def test_the_kit_catches(saboteur: type[MemoryCached], test: Callable[..., None]) -> None:
    database = MemoryDatabase()
    database.__dict__["cached"] = saboteur(database)
    with pytest.raises(AssertionError):
        test(Kit(), database)
