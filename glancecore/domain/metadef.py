"""Metadata definitions: namespaces of property definitions, objects and tags, and the resource types they belong to.

A namespace is one value with everything in it. Values are frozen; a change returns the next namespace or raises. A
property definition is a piece of JSON schema, kept as it was given."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import TypeVar

from glancecore.domain import errors

Json = None | bool | int | float | str | Sequence["Json"] | Mapping[str, "Json"]

MAX_NAME = 80
MAX_DESCRIPTION = 500
MAX_OWNER = 255
#: Most properties, objects or tags of one namespace: it is read and written whole.
MAX_PARTS = 5000
#: Associations are sent in lists of namespaces, too.
MAX_ASSOCIATIONS = 64
#: Of everything in a namespace, as JSON.
MAX_BYTES = 4 << 20


class MetadefVisibility(StrEnum):
    PUBLIC = "public"
    PRIVATE = "private"


class PartKind(StrEnum):
    """What is in a namespace, as messages and events call it."""

    OBJECT = "object"
    PROPERTY = "property"
    TAG = "tag"
    RESOURCE_TYPE = "resource_type"


@dataclass(frozen=True, slots=True)
class Property:
    """``definition`` has title, type and the rules for values, without the name."""

    name: str
    definition: Mapping[str, Json]


@dataclass(frozen=True, slots=True)
class MetadefObject:
    """A group of properties that belong together; ``required`` names some of them."""

    name: str
    created_at: datetime
    updated_at: datetime
    description: str | None = None
    required: tuple[str, ...] = ()
    properties: tuple[Property, ...] = ()


@dataclass(frozen=True, slots=True)
class Tag:
    name: str
    created_at: datetime
    updated_at: datetime


@dataclass(frozen=True, slots=True)
class Association:
    """The namespace's properties apply to the resource type ``name``, there with ``prefix`` before their names."""

    name: str
    created_at: datetime
    updated_at: datetime
    prefix: str | None = None
    properties_target: str | None = None


@dataclass(frozen=True, slots=True)
class ResourceType:
    """Known since it was first associated; it stays when the last association goes."""

    name: str
    created_at: datetime
    updated_at: datetime


Part = MetadefObject | Property | Tag | Association
P = TypeVar("P", bound=Part)
_KINDS: Mapping[type, PartKind] = {
    MetadefObject: PartKind.OBJECT,
    Property: PartKind.PROPERTY,
    Tag: PartKind.TAG,
    Association: PartKind.RESOURCE_TYPE,
}


@dataclass(frozen=True, slots=True)
class Outline:
    """A namespace as it is listed: its own fields and associations. ``version`` counts saves: the compare-and-set
    key."""

    id: str
    name: str
    created_at: datetime
    updated_at: datetime
    display_name: str | None = None
    description: str | None = None
    visibility: MetadefVisibility = MetadefVisibility.PRIVATE
    protected: bool = False
    owner: str | None = None
    associations: tuple[Association, ...] = ()
    version: int = 1

    def check_deletable(self, kind: PartKind | None = None, name: str = "") -> None:
        """Raises ProtectedMetadef: nothing is deleted of a protected namespace."""
        if self.protected:
            what = f"{kind.value.replace('_', ' ')} {name} of " if kind else ""
            raise errors.ProtectedMetadef(
                f"{what}namespace {self.name} can't be deleted: the namespace is protected; set protected to false"
                " first"
            )

    def prefix_for(self, resource_type: str) -> str | None:
        """What property names of this namespace begin with there; None when it is not associated."""
        return next((x.prefix or "" for x in self.associations if x.name == resource_type), None)


@dataclass(frozen=True, slots=True)
class Namespace(Outline):
    """A namespace whole. The order of its parts is theirs as they were given."""

    properties: tuple[Property, ...] = ()
    objects: tuple[MetadefObject, ...] = ()
    tags: tuple[Tag, ...] = ()

    # -- reading -----------------------------------------------------------------------------------
    def part(self, kind: type[P], name: str) -> P:
        """Raises MetadefNotFound."""
        found = next((x for x in self.parts(kind) if x.name == name), None)
        if found is None:
            raise errors.MetadefNotFound(f"namespace {self.name} has no {_KINDS[kind].value.replace('_', ' ')} {name}")
        return found

    def parts(self, kind: type[P]) -> tuple[P, ...]:
        found: tuple[P, ...] = getattr(self, _FIELDS[kind])
        return found

    # -- changing ----------------------------------------------------------------------------------
    def checked(self) -> Namespace:
        """Itself. Raises MetadefExists for a name given twice, LimitExceeded."""
        for kind in _FIELDS:
            _check_names(self.name, kind, [x.name for x in getattr(self, _FIELDS[kind])])
        count = sum(_length(x) for x in self.properties) + sum(
            len(x.name) + len(x.description or "") + sum(map(len, x.required)) + sum(map(_length, x.properties))
            for x in self.objects
        )
        if count > MAX_BYTES:
            raise errors.LimitExceeded(
                f"namespace {self.name}: its definitions have {count} characters; at most {MAX_BYTES}"
            )
        return self

    def with_part(self, part: P) -> Namespace:
        """With one more. Raises MetadefExists, LimitExceeded."""
        kind: type[P] = type(part)
        parts: list[P] = [*self.parts(kind), part]
        return self.with_parts(kind, parts)

    def with_parts(self, kind: type[P], parts: Iterable[P]) -> Namespace:
        """With these instead of its own of that kind. Raises MetadefExists, LimitExceeded."""
        changed: Namespace = replace(self, **{_FIELDS[kind]: tuple(parts)})  # type: ignore[arg-type]
        _check_names(self.name, kind, [x.name for x in changed.parts(kind)])
        return changed

    def replaced(self, name: str, part: P) -> Namespace:
        """With ``part``, which may have another name, in the place of ``name``. Raises MetadefNotFound,
        MetadefExists."""
        old = self.part(type(part), name)
        kind: type[P] = type(part)
        return self.with_parts(kind, [part if x is old else x for x in self.parts(kind)])

    def without(self, kind: type[P], name: str) -> Namespace:
        """Raises MetadefNotFound, ProtectedMetadef."""
        gone = self.part(kind, name)
        self.check_deletable(_KINDS[kind], name)
        return self.with_parts(kind, [x for x in self.parts(kind) if x is not gone])

    def without_all(self, kind: type[P]) -> Namespace:
        """Raises ProtectedMetadef."""
        if self.protected:
            raise errors.ProtectedMetadef(
                f"the {_FIELDS[kind]} of namespace {self.name} can't be deleted: the namespace is "
                "protected; set protected to false first"
            )
        return self.with_parts(kind, ())


_FIELDS: Mapping[type, str] = {
    Property: "properties",
    MetadefObject: "objects",
    Tag: "tags",
    Association: "associations",
}


def _length(part: Property) -> int:
    return len(part.name) + len(json.dumps(part.definition, default=dict))


def _check_names(namespace: str, kind: type, names: Sequence[str]) -> None:
    most = MAX_ASSOCIATIONS if kind is Association else MAX_PARTS
    if len(names) > most:
        raise errors.LimitExceeded(f"namespace {namespace}: {len(names)} {_FIELDS[kind]}; at most {most}")
    fold: Callable[[str], str] = str.casefold if kind is Tag else str
    seen: set[str] = set()
    for name in names:
        if fold(name) in seen:
            more = " (tags that differ in case only are the same)" if kind is Tag else ""
            raise errors.MetadefExists(
                f"namespace {namespace} has the {_KINDS[kind].value.replace('_', ' ')} {name} already{more}"
            )
        seen.add(fold(name))
