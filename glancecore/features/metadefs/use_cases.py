"""Namespaces of metadata definitions: list, show, create, change, delete; and the known resource types."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache

from glancecore.domain import errors
from glancecore.domain.clock import now
from glancecore.domain.context import Context
from glancecore.domain.events import EventType, MetadefEvent
from glancecore.domain.metadef import MetadefVisibility, Namespace, Outline, ResourceType
from glancecore.features.metadefs.validation import MetadefValidation, PropertiesVerdict
from glancecore.kernel.retrying import on_concurrent_change
from glancecore.kernel.writer import Writer
from glancecore.policies.authorizer import Authorizer
from glancecore.ports.metadef_repository import (
    MetadefQuery,
    MetadefRepository,
    NamespaceAdded,
    NamespaceChanged,
    NamespaceRemoved,
)


@dataclass(frozen=True, slots=True)
class NamespacePage:
    """One page of a list; ``marker`` is where the next one begins, None when this one was not full."""

    namespaces: Sequence[Outline] = ()
    marker: str | None = None


class Metadefs:
    def __init__(
        self, repository: MetadefRepository, authorizer: Authorizer, writer: Writer, validation: MetadefValidation
    ) -> None:
        self._repository = repository
        self._validation = validation
        self._policy = authorizer
        self._writer = writer

    # -- reading -----------------------------------------------------------------------------------
    def show(self, ctx: Context, name: str) -> Namespace:
        """The namespace whole. Raises NamespaceNotFound, also when the policy does not let the caller see it."""
        namespace = self._repository.get(name, ctx.viewer)
        if not self._policy.allows(ctx, "get_metadef_namespace", target(namespace)):
            raise errors.NamespaceNotFound(f"no namespace {name}")
        return namespace

    def find(self, ctx: Context, query: MetadefQuery) -> NamespacePage:
        """Raises Forbidden, NamespaceNotFound (marker)."""
        self._policy.authorize(ctx, "get_metadef_namespaces")
        found = self._repository.find(query)
        marker = found[-1].name if found and len(found) == query.limit else None
        return NamespacePage([x for x in found if self._policy.allows(ctx, "get_metadef_namespace", target(x))], marker)

    def resource_types(self, ctx: Context) -> list[ResourceType]:
        """Raises Forbidden."""
        self._policy.authorize(ctx, "list_metadef_resource_types")
        return self._repository.resource_types()

    def validate(self, ctx: Context, read: Callable[[], tuple[str, Mapping[str, object]]]) -> PropertiesVerdict:
        """By the public definitions and those of the caller's project. ``read`` gives resource type and properties.
        Raises Forbidden, and what ``read`` raises."""
        self._policy.authorize(ctx, "get_metadef_namespaces")
        resource_type, properties = read()
        return self._validation.check(ctx.project, resource_type, properties)

    # -- changing ----------------------------------------------------------------------------------
    def create(self, ctx: Context, read: Callable[[], Namespace]) -> Namespace:
        """With everything that is in it, at once, as ``read`` gives it, which is asked when there may be one that the
        caller may create.

        Raises Forbidden, MetadefExists, LimitExceeded, and what ``read`` raises."""
        self._require_creating(ctx)
        namespace = read()
        self._policy.authorize(ctx, "add_metadef_namespace", target(namespace))
        _check_owner(ctx, namespace.owner)
        self._writer.save(
            NamespaceAdded(namespace.checked()), events=[MetadefEvent(EventType.METADEF_NAMESPACE_CREATE, namespace)]
        )
        return namespace

    def _require_creating(self, ctx: Context) -> None:
        """Raises Forbidden when the policy lets the caller create none, whatever its name and visibility. Admins may
        create for others."""
        if ctx.admin or self._policy.depends_on("add_metadef_namespace", "namespace"):
            return
        own = [{"owner": ctx.project, "project_id": ctx.project, "visibility": x.value} for x in MetadefVisibility]
        if not any(self._policy.allows(ctx, "add_metadef_namespace", x) for x in own):
            self._policy.authorize(ctx, "add_metadef_namespace", own[0])

    def update(self, ctx: Context, name: str, read: Callable[[], Mapping[str, object]]) -> Namespace:
        """Replace the own fields, which ``read`` gives by the names of Outline when the caller may change them, and
        nothing that is in it.

        Raises NamespaceNotFound, Forbidden, MetadefExists (the new name), and what ``read`` raises."""
        fields = cache(read)

        def change(namespace: Namespace) -> Namespace:
            after = replace(namespace, updated_at=now(), **fields())  # type: ignore[arg-type]
            if after.owner != namespace.owner:
                _check_owner(ctx, after.owner)
            return after

        return self.change(
            ctx,
            name,
            "modify_metadef_namespace",
            change,
            lambda after: [MetadefEvent(EventType.METADEF_NAMESPACE_UPDATE, after, old_name=name)],
        )

    @on_concurrent_change
    def delete(self, ctx: Context, name: str) -> None:
        """Raises NamespaceNotFound, Forbidden, ProtectedMetadef."""
        namespace = self.show(ctx, name)
        self._policy.authorize(ctx, "delete_metadef_namespace", target(namespace))
        namespace.check_deletable()
        self._writer.save(
            NamespaceRemoved(namespace), events=[MetadefEvent(EventType.METADEF_NAMESPACE_DELETE, namespace)]
        )

    @on_concurrent_change
    def change(
        self,
        ctx: Context,
        name: str,
        policy: str,
        change: Callable[[Namespace], Namespace],
        events: Callable[[Namespace], Sequence[MetadefEvent]],
    ) -> Namespace:
        """The namespace after ``change``, saved, and ``events`` of it told. For the use cases of what is in a
        namespace, too."""
        namespace = self.show(ctx, name)
        self._policy.authorize(ctx, policy, target(namespace))
        after = replace(change(namespace).checked(), version=namespace.version + 1)
        self._writer.save(NamespaceChanged(namespace, after), events=events(after))
        return after


def target(namespace: Outline) -> Mapping[str, object]:
    """What policies may look at."""
    return {
        "owner": namespace.owner,
        "project_id": namespace.owner,
        "visibility": namespace.visibility.value,
        "namespace": namespace.name,
    }


def _check_owner(ctx: Context, owner: str | None) -> None:
    if owner != ctx.project and not ctx.admin:
        raise errors.Forbidden("owner: only an admin may give a namespace to another project")
