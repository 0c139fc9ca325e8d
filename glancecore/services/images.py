"""Images: create, show, list, change, delete, deactivate, tag."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

from glancecore.domain import errors, fields, patch
from glancecore.domain.context import Context
from glancecore.domain.events import EventType, ImageEvent
from glancecore.domain.image import Image, Visibility
from glancecore.domain.quota import Limits
from glancecore.policies.authorizer import Authorizer
from glancecore.ports.quota import Quota
from glancecore.ports.repository import Change, ImageAdded, ImageChanged, ImageQuery, ImageRepository, WithinLimits
from glancecore.services.checkpoints import reach
from glancecore.services.deletion import Deletion
from glancecore.services.image_properties import ImageProperties
from glancecore.services.locations import Locations
from glancecore.services.notifications import Notifications
from glancecore.services.property_protection import PropertyProtection
from glancecore.services.retrying import on_concurrent_change


@dataclass(frozen=True, slots=True)
class ImageLimits:
    """Numbers per image; None means no limit."""

    properties: int | None = 128
    tags: int | None = 128
    members: int | None = 128
    locations: int | None = 10


@dataclass(frozen=True, slots=True)
class NewImage:
    """What a caller asks for; ``fields`` by the names of Image, ``properties`` are the custom ones."""

    id: str | None = None
    fields: Mapping[str, object] = field(default_factory=dict)
    tags: Sequence[str] = ()
    properties: Mapping[str, str | None] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Page:
    """One page of a list; ``marker`` is where the next one begins, None when this one was not full."""

    images: Sequence[Image] = ()
    marker: str | None = None


def now() -> datetime:
    return datetime.now(UTC)


class Images:
    """Use cases on images without their data."""

    def __init__(self, repository: ImageRepository, authorizer: Authorizer, quota: Quota, limits: ImageLimits,
                 protection: PropertyProtection, deletion: Deletion, locations: Locations, notifications: Notifications,
                 definitions: ImageProperties | None = None) -> None:
        self._repository = repository
        self._policy = authorizer
        self._quota = quota
        self._limits = limits
        self._protection = protection
        self._deletion = deletion
        self._locations = locations
        self._notifications = notifications
        self._definitions = definitions

    # -- reading -----------------------------------------------------------------------------------------------------
    def show(self, ctx: Context, image_id: str) -> Image:
        """The image. Raises ImageNotFound."""
        image = self._repository.get(image_id, ctx.viewer)
        self._policy.authorize(ctx, "get_image", image)
        return image

    def find(self, ctx: Context, query: ImageQuery) -> Page:
        """Raises Forbidden, UnknownMarker."""
        self._policy.authorize(ctx, "get_images")
        if query.limit == 0:
            return Page()
        if any(not self._protection.may(ctx, name, "read") for name in query.properties):
            return Page()  # a property that the caller may not read can't be probed by filtering
        found = self._repository.find(query)
        marker = found[-1].id if found and len(found) == query.limit else None
        return Page([x for x in found if self._policy.allows(ctx, "get_image", x)], marker)

    # -- changing ----------------------------------------------------------------------------------------------------
    def create(self, ctx: Context, new: NewImage) -> Image:
        """Raises Forbidden, ImageExists, QuotaExceeded, LimitExceeded, PropertiesInvalid."""
        at = now()
        owner = str(given) if (given := new.fields.get("owner", ctx.project)) is not None else None
        if owner != ctx.project and not ctx.admin:
            raise errors.Forbidden("only an admin may create an image for another owner")
        image = Image(id=new.id or str(uuid.uuid4()), created_at=at, updated_at=at, properties=dict(new.properties))
        image = replace(image, **{**new.fields, "owner": owner}).tagged(*new.tags)  # type: ignore[arg-type]
        self._policy.authorize(ctx, "add_image", {"owner": owner, "project_id": owner, "visibility": image.visibility.value})
        self._check_visibility(ctx, image)
        self._check_counts(image)
        for name in new.properties:
            if not self._protection.may(ctx, name, "create"):
                raise errors.ProtectedProperty(f"property {name} is protected: you may not create it")
        if self._definitions is not None:
            self._definitions.check(image)
        changes: list[Change] = [ImageAdded(image)]
        limit = self._quota.limits(owner).images
        if limit is not None:
            changes.append(WithinLimits(owner, Limits(images=limit)))
        reach("create.before_commit")
        told = self._notifications.about(ImageEvent(EventType.IMAGE_CREATE, image))
        self._repository.commit(*changes, *told.changes)
        reach("create.after_commit")
        told.send()
        return image

    def update(self, ctx: Context, image_id: str, operations: Sequence[patch.Operation]) -> Image:
        """Apply a patch. Raises ImageNotFound, Forbidden, Conflict, Invalid, LimitExceeded; all or nothing."""
        if not operations:
            return self.show(ctx, image_id)
        rights = patch.Rights(ctx.admin, lambda name, action: self._protection.may(ctx, name, action), self._locations.order)
        if any(x.name == fields.LOCATIONS for x in operations):
            image = self.show(ctx, image_id)
            self._policy.authorize(ctx, "modify_image", image)
            operations = self._locations.looked_up(ctx, image, operations)

        def change(image: Image) -> Image:
            after = patch.apply(image, operations, rights)
            if after.visibility is not image.visibility:
                self._check_visibility(ctx, after)
            self._check_counts(after, image)
            if self._definitions is not None:
                self._definitions.check(after, image)
            return after

        return self._change(ctx, image_id, "modify_image", change)

    def delete(self, ctx: Context, image_id: str) -> None:
        """Raises ImageNotFound, Forbidden, BlobInUse (the image stays), StoreUnavailable (it stays)."""
        image = self.show(ctx, image_id)
        self._policy.authorize(ctx, "delete_image", image)
        self._deletion.delete(image)

    def deactivate(self, ctx: Context, image_id: str) -> None:
        self._change(ctx, image_id, "deactivate", Image.deactivate)

    def reactivate(self, ctx: Context, image_id: str) -> None:
        self._change(ctx, image_id, "reactivate", Image.reactivate)

    def add_tag(self, ctx: Context, image_id: str, tag: str) -> None:
        """Idempotent. Raises Invalid, LimitExceeded."""
        if len(tag) > fields.MAX_NAME:
            raise errors.Invalid(f"tag: at most {fields.MAX_NAME} characters")

        def change(image: Image) -> Image:
            after = image.tagged(*image.tags, tag)
            self._check_counts(after, image)
            return after

        self._change(ctx, image_id, "modify_image", change)

    def remove_tag(self, ctx: Context, image_id: str, tag: str) -> None:
        """Raises TagNotFound."""
        def change(image: Image) -> Image:
            if tag not in image.tags:
                raise errors.TagNotFound(f"image {image.id} has no tag {tag!r}")
            return image.tagged(*(x for x in image.tags if x != tag))

        self._change(ctx, image_id, "modify_image", change)

    # -- inside ------------------------------------------------------------------------------------------------------
    @on_concurrent_change
    def _change(self, ctx: Context, image_id: str, policy: str, change: Callable[[Image], Image]) -> Image:
        image = self.show(ctx, image_id)
        self._policy.authorize(ctx, policy, image)
        after = change(image)
        if after == image:
            return image
        after = replace(after, version=image.version + 1, updated_at=now())
        effects = self._locations.effects(image, after)
        told = self._notifications.about(ImageEvent(EventType.IMAGE_UPDATE, after))
        effects.commit(self._repository, ImageChanged(image, after), *told.changes)
        told.send()
        effects.follow()
        return after

    def _check_visibility(self, ctx: Context, image: Image) -> None:
        if image.visibility is Visibility.PUBLIC:
            self._policy.authorize(ctx, "publicize_image", image)
        elif image.visibility is Visibility.COMMUNITY:
            self._policy.authorize(ctx, "communitize_image", image)

    def _check_counts(self, after: Image, before: Image | None = None) -> None:
        """An image above a quota stays editable as long as nothing is added (contract 6)."""
        had, tagged = (set(before.properties), len(before.tags)) if before else (set(), 0)
        most = self._limits.properties
        if most is not None and len(after.properties) > most and not set(after.properties) <= had:
            raise errors.LimitExceeded(f"{len(after.properties)} properties; image_property_quota allows {most}")
        most = self._limits.tags
        if most is not None and len(after.tags) > most and len(after.tags) > tagged:
            raise errors.LimitExceeded(f"{len(after.tags)} tags; image_tag_quota allows {most}")
