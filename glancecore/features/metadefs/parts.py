"""What is in a namespace: objects, property definitions, tags, associations with resource types."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import TypeVar

from glancecore.domain import errors
from glancecore.domain.context import Context
from glancecore.domain.events import EventType, MetadefEvent
from glancecore.domain.metadef import Association, MetadefObject, Namespace, Part, Property, Tag
from glancecore.features.metadefs.use_cases import Metadefs, target
from glancecore.policies.authorizer import Authorizer

P = TypeVar("P", bound=Part)


@dataclass(frozen=True, slots=True)
class PartRules:
    """Names of the policies and events of one kind of part; None: there is no such call."""

    show: str | None
    list: str
    add: str
    modify: str | None
    delete: str
    delete_all: str | None
    created: EventType
    updated: EventType | None
    deleted: EventType
    deleted_all: EventType | None


E = EventType
RULES: Mapping[type, PartRules] = {
    MetadefObject: PartRules(
        "get_metadef_object",
        "get_metadef_objects",
        "add_metadef_object",
        "modify_metadef_object",
        "delete_metadef_object",
        "delete_metadef_object",
        E.METADEF_OBJECT_CREATE,
        E.METADEF_OBJECT_UPDATE,
        E.METADEF_OBJECT_DELETE,
        E.METADEF_NAMESPACE_DELETE_OBJECTS,
    ),
    Property: PartRules(
        "get_metadef_property",
        "get_metadef_properties",
        "add_metadef_property",
        "modify_metadef_property",
        "remove_metadef_property",
        "remove_metadef_property",
        E.METADEF_PROPERTY_CREATE,
        E.METADEF_PROPERTY_UPDATE,
        E.METADEF_PROPERTY_DELETE,
        E.METADEF_NAMESPACE_DELETE_PROPERTIES,
    ),
    Tag: PartRules(
        "get_metadef_tag",
        "get_metadef_tags",
        "add_metadef_tag",
        "modify_metadef_tag",
        "delete_metadef_tag",
        "delete_metadef_tags",
        E.METADEF_TAG_CREATE,
        E.METADEF_TAG_UPDATE,
        E.METADEF_TAG_DELETE,
        E.METADEF_NAMESPACE_DELETE_TAGS,
    ),
    Association: PartRules(
        None,
        "get_metadef_resource_type",
        "add_metadef_resource_type_association",
        None,
        "remove_metadef_resource_type_association",
        None,
        E.METADEF_RESOURCE_TYPE_CREATE,
        None,
        E.METADEF_RESOURCE_TYPE_DELETE,
        None,
    ),
}


class MetadefParts:
    """Use cases on the parts of a namespace, the same for each kind. All raise NamespaceNotFound and Forbidden."""

    def __init__(self, metadefs: Metadefs, authorizer: Authorizer) -> None:
        self._metadefs = metadefs
        self._policy = authorizer

    # -- reading -----------------------------------------------------------------------------------
    def list(self, ctx: Context, namespace: str, kind: type[P]) -> Sequence[P]:
        return self._readable(ctx, namespace, RULES[kind].list).parts(kind)

    def show(self, ctx: Context, namespace: str, kind: type[P], name: str) -> P:
        """Raises MetadefNotFound."""
        return self._readable(ctx, namespace, RULES[kind].show).part(kind, name)

    def show_property(self, ctx: Context, namespace: str, prefixed: str, resource_type: str) -> Property:
        """The property that is called ``prefixed`` on a resource type. Raises MetadefNotFound."""
        found = self._readable(ctx, namespace, "get_metadef_property")
        prefix = found.prefix_for(resource_type)
        if prefix is None:
            raise errors.MetadefNotFound(f"namespace {namespace} is not associated with resource type {resource_type}")
        if not prefixed.startswith(prefix):
            raise errors.MetadefNotFound(
                f"property {prefixed} does not begin with {prefix!r}, the prefix of {resource_type}"
            )
        return found.part(Property, prefixed[len(prefix) :])

    def _readable(self, ctx: Context, name: str, policy: str | None) -> Namespace:
        namespace = self._metadefs.show(ctx, name)
        if policy is not None:
            self._policy.authorize(ctx, policy, target(namespace))
        return namespace

    # -- changing ----------------------------------------------------------------------------------
    def add(self, ctx: Context, namespace: str, kind: type[P], read: Callable[[], P]) -> P:
        """What ``read`` gives, when the caller may add it. Raises MetadefExists, LimitExceeded, and what ``read``
        raises."""
        rules, part = RULES[kind], cache(read)
        self._metadefs.change(
            ctx,
            namespace,
            rules.add,
            lambda x: x.with_part(part()),
            lambda after: _events(rules.created, after, part()),
        )
        return part()

    def update(self, ctx: Context, namespace: str, kind: type[P], name: str, read: Callable[[], P]) -> P:
        """Replace it by what ``read`` gives when the caller may change it, which may have another name; it keeps its
        created_at. Raises MetadefNotFound, MetadefExists (the new name), and what ``read`` raises."""
        rules, part = RULES[kind], cache(read)

        def change(before: Namespace) -> Namespace:
            old = before.part(kind, name)
            new = part() if isinstance(old, Property) else replace(part(), created_at=old.created_at)  # type: ignore[arg-type]
            return before.replaced(name, new)

        after = self._metadefs.change(
            ctx,
            namespace,
            str(rules.modify),
            change,
            lambda after: _events(rules.updated, after, after.part(kind, part().name), name),
        )
        return after.part(kind, part().name)

    def remove(self, ctx: Context, namespace: str, kind: type[P], name: str) -> None:
        """Raises MetadefNotFound, ProtectedMetadef."""
        gone: list[Part] = []

        def change(before: Namespace) -> Namespace:
            gone[:] = [before.part(kind, name)]
            return before.without(kind, name)

        self._metadefs.change(
            ctx, namespace, RULES[kind].delete, change, lambda after: _events(RULES[kind].deleted, after, gone[0])
        )

    def remove_all(self, ctx: Context, namespace: str, kind: type[P]) -> None:
        """Raises ProtectedMetadef."""
        self._metadefs.change(
            ctx,
            namespace,
            str(RULES[kind].delete_all),
            lambda x: x.without_all(kind),
            lambda after: _events(RULES[kind].deleted_all, after),
        )

    def set_tags(
        self, ctx: Context, namespace: str, read: Callable[[], Sequence[Tag]], *, append: bool
    ) -> Sequence[Tag]:
        """Instead of the tags that are there, or beside them. Raises MetadefExists, LimitExceeded, and what ``read``
        raises."""
        tags = cache(read)
        self._metadefs.change(
            ctx,
            namespace,
            "add_metadef_tags",
            lambda x: x.with_parts(Tag, [*x.tags, *tags()] if append else tags()),
            lambda after: [MetadefEvent(EventType.METADEF_TAG_CREATE, after, x) for x in tags()],
        )
        return tags()


def _events(
    event: EventType | None, namespace: Namespace, part: Part | None = None, old_name: str | None = None
) -> list[MetadefEvent]:
    return [] if event is None else [MetadefEvent(event, namespace, part, old_name)]
