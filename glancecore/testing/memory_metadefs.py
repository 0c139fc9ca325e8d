"""Metadata definitions in memory, for tests of use cases. They pass the same kit as real drivers."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import fields

from glancecore.domain import errors
from glancecore.domain.context import EVERYTHING, Viewer
from glancecore.domain.metadef import MetadefVisibility, Namespace, Outline, ResourceType
from glancecore.ports import metadef_repository as port
from glancecore.ports.outbox_repository import EventsRecorded

_OWN = [x.name for x in fields(Outline)]


class MemoryMetadefs(port.MetadefRepository):
    """Everything in a dict by name: each question looks at all, each commit works on a copy."""

    def __init__(self, record: Callable[[EventsRecorded], None] = lambda _: None) -> None:
        """``record`` puts events into the outbox."""
        self.record = record
        self.lock = threading.RLock()
        self.namespaces: dict[str, Namespace] = {}
        self.types: dict[str, ResourceType] = {}

    # -- reads -------------------------------------------------------------------------------------
    def get(self, name: str, viewer: Viewer = EVERYTHING) -> Namespace:
        found = self.namespaces.get(name)
        if found is None or not self.visible(found, viewer):
            raise errors.NamespaceNotFound(f"no namespace {name}")
        return found

    def find(self, query: port.MetadefQuery) -> list[Outline]:
        return [Outline(**{name: getattr(x, name) for name in _OWN}) for x in self.find_whole(query)]

    def find_whole(self, query: port.MetadefQuery) -> list[Namespace]:
        with self.lock:
            marker = None if query.marker is None else self.get(query.marker, query.viewer)
            found = [x for x in self.namespaces.values() if self.visible(x, query.viewer) and self.matches(x, query)]
        if marker is not None and marker not in found:
            found.append(marker)
        self.sort(found, query)
        start = 0 if marker is None else found.index(marker) + 1
        return found[start : start + max(query.limit, 0)]

    def resource_types(self) -> list[ResourceType]:
        with self.lock:
            return sorted(self.types.values(), key=lambda x: x.name)

    def visible(self, namespace: Outline, viewer: Viewer) -> bool:
        own = viewer.project is not None and namespace.owner == viewer.project
        return viewer.admin or own or namespace.visibility is MetadefVisibility.PUBLIC

    def matches(self, namespace: Outline, query: port.MetadefQuery) -> bool:
        return query.visibility in (None, namespace.visibility) and (
            not query.resource_types or any(x.name in query.resource_types for x in namespace.associations)
        )

    def sort(self, namespaces: list[Namespace], query: port.MetadefQuery) -> None:
        by_name = port.MetadefSort(port.MetadefField.NAMESPACE, query.sort[-1].descending if query.sort else True)
        for key in reversed([*query.sort, by_name]):

            def value(namespace: Namespace, name: str = key.field.value) -> tuple[bool, object]:
                found = getattr(namespace, "name" if name == "namespace" else name)
                return found is not None, found if found is not None else ""

            namespaces.sort(key=value, reverse=key.descending)

    # -- commit ------------------------------------------------------------------------------------
    def commit(self, *changes: port.MetadefChange) -> None:
        with self.lock:
            before = dict(self.namespaces), dict(self.types)
            try:
                for change in changes:
                    if not isinstance(change, EventsRecorded):
                        self.apply(change)
                for change in changes:
                    if isinstance(change, EventsRecorded):
                        self.record(change)
            except BaseException:
                self.namespaces, self.types = before
                raise

    def apply(self, change: port.NamespaceAdded | port.NamespaceChanged | port.NamespaceRemoved) -> None:
        if isinstance(change, port.NamespaceAdded):
            self.put(change.namespace)
        elif isinstance(change, port.NamespaceRemoved):
            self.take(change.namespace)
        else:
            before, after = change.before, change.after
            if (after.id, after.created_at, after.version) != (before.id, before.created_at, before.version + 1):
                raise ValueError("after must be the next version of before, with its id and created_at")
            self.take(before)
            self.put(after)

    def put(self, namespace: Namespace) -> None:
        if namespace.name in self.namespaces:
            raise errors.MetadefExists(f"namespace {namespace.name} exists already")
        self.namespaces[namespace.name] = namespace
        for x in namespace.associations:
            self.types.setdefault(x.name, ResourceType(x.name, x.created_at, x.created_at))

    def take(self, namespace: Namespace) -> None:
        stored = next((x for x in self.namespaces.values() if x.id == namespace.id), None)
        if stored is None:
            raise errors.NamespaceNotFound(f"no namespace {namespace.name}")
        if stored.version != namespace.version:
            raise errors.ConcurrentChange(f"namespace {namespace.name} was changed by somebody else meanwhile")
        del self.namespaces[stored.name]
