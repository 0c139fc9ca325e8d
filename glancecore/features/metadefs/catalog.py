"""Loading, unloading and exporting whole namespaces: the operator's side of metadata definitions."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from enum import StrEnum

from glancecore.domain.context import EVERYTHING
from glancecore.domain.errors import NamespaceNotFound
from glancecore.domain.metadef import Association, MetadefObject, Namespace, P, Property, Tag
from glancecore.features.metadefs.validation import whole
from glancecore.kernel.retrying import on_concurrent_change
from glancecore.ports.metadef_repository import (
    MetadefField,
    MetadefQuery,
    MetadefRepository,
    MetadefSort,
    NamespaceAdded,
    NamespaceChanged,
    NamespaceRemoved,
)

_KINDS = (Association, Property, MetadefObject, Tag)


class Mode(StrEnum):
    """What becomes of a namespace that is there already."""

    KEEP = "keep"
    #: What is missing is added; what is there stays as it is.
    MERGE = "merge"
    #: What is missing is added; what both have is as in the new one.
    MERGE_NEW = "merge, prefer new"
    #: It is as the new one, whatever it was.
    OVERWRITE = "overwrite"


class LoadOutcome(StrEnum):
    ADDED = "added"
    CHANGED = "changed"
    UNCHANGED = "unchanged"
    #: There already, and to be kept as it is.
    KEPT = "kept"


class MetadefCatalog:
    def __init__(self, repository: MetadefRepository) -> None:
        self._repository = repository

    @on_concurrent_change
    def load(self, namespace: Namespace, mode: Mode) -> LoadOutcome:
        """In one commit. Raises MetadefExists for names given twice, LimitExceeded."""
        namespace.checked()
        try:
            old = self._repository.get(namespace.name)
        except NamespaceNotFound:
            self._repository.commit(NamespaceAdded(namespace))
            return LoadOutcome.ADDED
        if mode is Mode.KEEP:
            return LoadOutcome.KEPT
        new = (
            _overwritten(old, namespace)
            if mode is Mode.OVERWRITE
            else _merged(old, namespace, prefer_new=mode is Mode.MERGE_NEW)
        )
        if new == old:
            return LoadOutcome.UNCHANGED
        self._repository.commit(
            NamespaceChanged(old, replace(new.checked(), version=old.version + 1, updated_at=namespace.updated_at))
        )
        return LoadOutcome.CHANGED

    @on_concurrent_change
    def unload(self, name: str) -> bool:
        """Also a protected one: protection is for callers of the API. False when there is none."""
        try:
            self._repository.commit(NamespaceRemoved(self._repository.get(name)))
        except NamespaceNotFound:
            return False
        return True

    def all(self) -> Iterator[Namespace]:
        """By name."""
        by_name = (MetadefSort(MetadefField.NAMESPACE, descending=False),)
        return whole(self._repository, MetadefQuery(EVERYTHING, sort=by_name, limit=200))


def _overwritten(old: Namespace, new: Namespace) -> Namespace:
    """As ``new``; what has not changed keeps its times."""
    after = replace(
        old,
        display_name=new.display_name,
        description=new.description,
        visibility=new.visibility,
        protected=new.protected,
        owner=new.owner,
    )
    for kind in _KINDS:
        after = after.with_parts(kind, _united(old.parts(kind), new.parts(kind), prefer_new=True, only_new=True))
    return after


def _merged(old: Namespace, new: Namespace, *, prefer_new: bool) -> Namespace:
    first, second = (new, old) if prefer_new else (old, new)
    merged = replace(
        old,
        display_name=first.display_name or second.display_name,
        description=first.description or second.description,
        visibility=first.visibility,
        protected=first.protected,
        owner=first.owner or second.owner,
    )
    for kind in _KINDS:
        merged = merged.with_parts(kind, _united(old.parts(kind), new.parts(kind), prefer_new=prefer_new))
    return merged


def _united(old: tuple[P, ...], new: tuple[P, ...], *, prefer_new: bool, only_new: bool = False) -> tuple[P, ...]:
    """By name (of tags: in whatever case); an old part that a new one equals but for its times stays."""

    def key(part: P) -> str:
        return part.name.casefold() if isinstance(part, Tag) else part.name

    had = {key(x): x for x in old}
    came = {key(x): x for x in new}

    def chosen(part: P) -> P:
        other = had.get(key(part))
        if other is None:
            return part
        timeless = (
            part
            if isinstance(part, Property) or isinstance(other, Property)
            else replace(part, created_at=other.created_at, updated_at=other.updated_at)
        )
        return other if not prefer_new or timeless == other else part

    if only_new:
        return tuple(chosen(x) for x in new)
    return (*(chosen(came.get(key(x), x)) for x in old), *(x for x in new if key(x) not in had))
