"""The kit for metadata definitions can fail: each saboteur breaks one rule, and the test of that rule tells."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace

import pytest

from glancecore.domain.context import EVERYTHING, Viewer
from glancecore.domain.errors import GlanceError
from glancecore.domain.metadef import MetadefVisibility, Namespace, Outline, ResourceType
from glancecore.ports import metadef_repository as port
from glancecore.testing.fakes import MemoryDatabase
from glancecore.testing.memory_metadefs import MemoryMetadefs
from glancecore.testing.metadefs import MetadefConformance as Kit
from glancecore.testing.repository import TEXTS


class StaleWins(MemoryMetadefs):
    def take(self, namespace: Namespace) -> None:
        stored = next((x for x in self.namespaces.values() if x.id == namespace.id), namespace)
        super().take(replace(namespace, version=stored.version))


class LateCheck(MemoryMetadefs):
    """Looks whether the name is free before, as a driver without a unique index would."""

    def commit(self, *changes: port.MetadefChange) -> None:
        for change in changes:
            if isinstance(change, port.NamespaceAdded):
                free = change.namespace.name not in self.namespaces
                time.sleep(0.01)
                if free:
                    self.namespaces.pop(change.namespace.name, None)
            super().commit(change)


class HalfCommits(MemoryMetadefs):
    def commit(self, *changes: port.MetadefChange) -> None:
        for change in changes:
            super().commit(change)


class ShowsPrivate(MemoryMetadefs):
    def visible(self, namespace: Outline, viewer: Viewer) -> bool:
        return True


class ShowsByName(MemoryMetadefs):
    def get(self, name: str, viewer: Viewer = EVERYTHING) -> Namespace:
        return super().get(name)


class OwnsTheOwnerless(MemoryMetadefs):
    def visible(self, namespace: Outline, viewer: Viewer) -> bool:
        return super().visible(namespace, viewer) or namespace.owner == viewer.project


class ForgetsOrder(MemoryMetadefs):
    def get(self, name: str, viewer: Viewer = EVERYTHING) -> Namespace:
        found = super().get(name, viewer)
        return replace(found, properties=tuple(sorted(found.properties, key=lambda x: x.name)))


class ListsWhole(MemoryMetadefs):
    def find(self, query: port.MetadefQuery) -> list[Outline]:
        return list(self.find_whole(query))


class FoldsCase(MemoryMetadefs):
    def matches(self, namespace: Outline, query: port.MetadefQuery) -> bool:
        folded = [x.name.lower() for x in namespace.associations]
        return super().matches(namespace, replace(query, resource_types=())) and (
            not query.resource_types or any(x.lower().strip() in folded for x in query.resource_types)
        )


class NullLast(MemoryMetadefs):
    def sort(self, namespaces: list[Namespace], query: port.MetadefQuery) -> None:
        super().sort(namespaces, query)
        if query.sort[0].field is port.MetadefField.DISPLAY_NAME:
            namespaces.sort(key=lambda x: x.display_name is None)


class RepeatsTheMarker(MemoryMetadefs):
    def find_whole(self, query: port.MetadefQuery) -> list[Namespace]:
        found = super().find_whole(query)
        return found if query.marker is None or len(found) < 2 else [self.get(query.marker, query.viewer), *found[:-1]]


class ForgetsTypes(MemoryMetadefs):
    def resource_types(self) -> list[ResourceType]:
        used = {y.name for x in self.namespaces.values() for y in x.associations}
        return [x for x in super().resource_types() if x.name in used]


class KeepsOldAssociations(MemoryMetadefs):
    def apply(self, change: port.MetadefChange) -> None:
        if isinstance(change, port.NamespaceChanged):
            names = {x.name for x in change.after.associations}
            old = [x for x in change.before.associations if x.name not in names]
            change = replace(change, after=replace(change.after, associations=(*change.after.associations, *old)))
        super().apply(change)


class ThreeBytes(MemoryMetadefs):
    def put(self, namespace: Namespace) -> None:
        text = "".join(x for x in namespace.display_name or "" if ord(x) < 0x10000)
        super().put(replace(namespace, display_name=text))


ASTRAL = next(x for x in TEXTS if max(map(ord, x), default=0) > 0xFFFF)


@pytest.mark.parametrize(
    ("saboteur", "test", "arguments"),
    [
        (StaleWins, Kit.test_a_stale_change_is_refused, ()),
        (StaleWins, Kit.test_one_of_many_parallel_changes_wins, ()),
        (LateCheck, Kit.test_one_of_many_parallel_additions_wins, ()),
        (HalfCommits, Kit.test_a_commit_is_applied_whole_or_not_at_all, ()),
        (ShowsPrivate, Kit.test_who_sees_a_namespace, ("stranger", MetadefVisibility.PRIVATE)),
        (ShowsByName, Kit.test_who_sees_a_namespace, ("without project", MetadefVisibility.PRIVATE)),
        (ShowsByName, Kit.test_a_marker_need_not_match_but_must_be_seen, ()),
        (OwnsTheOwnerless, Kit.test_a_private_namespace_without_owner_is_nobodys, ()),
        (ForgetsOrder, Kit.test_a_namespace_is_read_as_it_was_added, ()),
        (ListsWhole, Kit.test_an_outline_has_fields_and_associations_only, ()),
        (FoldsCase, Kit.test_resource_types_are_any_of_them_exactly, ()),
        (
            NullLast,
            Kit.test_sorted_pages_give_each_namespace_once,
            (Viewer("ours"), port.MetadefField.DISPLAY_NAME, False),
        ),
        (
            RepeatsTheMarker,
            Kit.test_sorted_pages_give_each_namespace_once,
            (Viewer("ours"), port.MetadefField.CREATED_AT, True),
        ),
        (ForgetsTypes, Kit.test_resource_types_stay_known_since_the_first_association, ()),
        (KeepsOldAssociations, Kit.test_a_change_replaces_everything, ()),
        (ThreeBytes, Kit.test_any_text_is_kept_and_compared_by_code_points, (ASTRAL,)),
        (KeepsOldAssociations, Kit.test_a_random_history_ends_as_in_memory, (0,)),
    ],
)
def test_the_kit_catches(
    saboteur: type[MemoryMetadefs], test: Callable[..., None], arguments: tuple[object, ...]
) -> None:
    database = MemoryDatabase()
    database.metadefs = saboteur()
    with pytest.raises(BaseException) as told:
        test(Kit(), database, *arguments)
    assert isinstance(told.value, AssertionError | pytest.fail.Exception | GlanceError), told.value
