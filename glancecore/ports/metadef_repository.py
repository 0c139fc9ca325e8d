"""What a database driver implements for metadata definitions: reads, and one atomic ``commit`` of changes.

In the spirit of ``ports.repository``: no open transactions between calls, one round trip a call, every condition that
must still hold is part of the change. The kit ``glancecore.testing.metadefs`` checks each rule."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from enum import StrEnum

from glancecore.domain.context import EVERYTHING, Viewer
from glancecore.domain.metadef import MetadefVisibility, Namespace, Outline, ResourceType
from glancecore.ports.outbox_repository import EventsRecorded
from glancecore.ports.repeating import reads


# -- questions -------------------------------------------------------------------------------------
class MetadefField(StrEnum):
    """What namespaces can be sorted by."""

    NAMESPACE = "namespace"
    DISPLAY_NAME = "display_name"
    OWNER = "owner"
    VISIBILITY = "visibility"
    CREATED_AT = "created_at"
    UPDATED_AT = "updated_at"


@dataclass(frozen=True, slots=True)
class MetadefSort:
    field: MetadefField
    descending: bool = True


@dataclass(frozen=True, slots=True)
class MetadefQuery:
    """Which namespaces, in which order. All conditions must hold.

    An admin finds every namespace; others find public ones and those of their own project. One without owner is
    nobody's own. ``resource_types`` empty: whatever they are associated with; else associated with one of them at
    least. Text is compared by code points. ``sort`` ends with the namespace's name (added, in the last key's direction,
    when absent), so the order is total; null sorts before everything. ``marker``: start behind the namespace of this
    name, which the viewer must see but which need not match the filters."""

    viewer: Viewer
    visibility: MetadefVisibility | None = None
    resource_types: tuple[str, ...] = ()
    sort: tuple[MetadefSort, ...] = (MetadefSort(MetadefField.CREATED_AT),)
    marker: str | None = None
    limit: int = 25


# -- changes ---------------------------------------------------------------------------------------
@dataclass(frozen=True, slots=True)
class NamespaceAdded:
    """Raises MetadefExists when the name is in use. Resource types that were unknown are known from then on, since the
    time of the association that names them."""

    namespace: Namespace


@dataclass(frozen=True, slots=True)
class NamespaceChanged:
    """``after`` replaces ``before``, also under another name. Raises ConcurrentChange unless the stored version is
    ``before.version``, NamespaceNotFound when the namespace is gone, MetadefExists when another one has the new name.
    ``after.version`` must be ``before.version + 1``, and id and created_at stay as they are: else ValueError, the
    caller's mistake. New resource types become known as with NamespaceAdded."""

    before: Namespace
    after: Namespace


@dataclass(frozen=True, slots=True)
class NamespaceRemoved:
    """The namespace goes with everything in it; its name may be used again. Resource types stay known. Raises
    NamespaceNotFound, and ConcurrentChange unless the stored version is the namespace's."""

    namespace: Namespace


MetadefChange = NamespaceAdded | NamespaceChanged | NamespaceRemoved | EventsRecorded


# -- the port --------------------------------------------------------------------------------------
class MetadefRepository(ABC):
    """Namespaces of metadata definitions and the known resource types. Thread-safe. Any method may raise
    DatabaseUnavailable. Each read costs a fixed number of statements, whatever the number of rows."""

    @reads
    @abstractmethod
    def get(self, name: str, viewer: Viewer = EVERYTHING) -> Namespace:
        """The namespace whole. Raises NamespaceNotFound, also for one that ``viewer`` may not see."""

    @reads
    @abstractmethod
    def find(self, query: MetadefQuery) -> list[Outline]:
        """At most ``query.limit`` namespaces in the asked order, as outlines. Raises NamespaceNotFound for an unknown
        or unseen marker. Keyset paging, no offset."""

    @reads
    @abstractmethod
    def find_whole(self, query: MetadefQuery) -> list[Namespace]:
        """The same namespaces, each whole."""

    @reads
    @abstractmethod
    def resource_types(self) -> list[ResourceType]:
        """All known resource types, by name."""

    @abstractmethod
    def commit(self, *changes: MetadefChange) -> None:
        """Apply all changes, in order, or none; durable when it returns. Raises what the changes say, and Invalid when
        the database can't store a value. After DatabaseUnavailable the changes may have been applied: the message says
        so."""
