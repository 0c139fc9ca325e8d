"""Images: create, show, list, change, delete, deactivate, tag."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from contextvars import ContextVar
from dataclasses import dataclass, field, replace

from glancecore.domain import errors, fields, metadata, patch, text
from glancecore.domain.clock import now
from glancecore.domain.context import Context, Viewer
from glancecore.domain.events import EventType, ImageEvent
from glancecore.domain.image import Image, Visibility
from glancecore.domain.metadata import MetadataLimits
from glancecore.domain.quota import Limits
from glancecore.features.images.deletion import Deletion
from glancecore.features.images.locations import Locations
from glancecore.features.images.property_protection import PropertyProtection
from glancecore.kernel.retrying import on_concurrent_change
from glancecore.kernel.subscriptions import Subscriptions
from glancecore.kernel.writer import Writer
from glancecore.policies.authorizer import Authorizer
from glancecore.ports.quota import Quota
from glancecore.ports.repository import (
    NARROWER,
    Change,
    ImageAdded,
    ImagePage,
    ImageQuery,
    ImageRepository,
    WithinLimits,
)
from glancecore.sdk.checkpoints import checkpoint

#: Most bytes of metadata in one page of a list, but for those of its last image. A list of 1,000 usual images has less.
PAGE_BYTES = 4 << 20
#: Images that may be looked through for a page. Most pages fill at the first look; where it is not enough, the second
#: one is taken.
LOOKS = (1_000, 10_000)
#: Pages that are read for one when the policy shows none of their images, those behind the first of ``LOOKS[0]`` images
#: or more: a page without images does not lead on.
PAGES = 4


@dataclass(frozen=True, slots=True)
class NewImage:
    """What a caller asks for; ``fields`` by the names of Image, ``properties`` are the custom ones."""

    id: str | None = None
    fields: Mapping[str, object] = field(default_factory=dict)
    tags: Sequence[str] = ()
    properties: Mapping[str, str | None] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageRules:
    """What images may have, who may change it, and what is listed. ``read_only``: names that
    extensions show. ``unlists``: whether extensions take images out of the lists of others."""

    limits: MetadataLimits
    protection: PropertyProtection
    read_only: Collection[str] = ()
    unlists: bool = False


#: What a request was shown last.
_SHOWN: ContextVar[tuple[Context, Image] | None] = ContextVar("images_shown", default=None)
#: Whose rules are asked before an image is known, the usual one first.
_VISIBILITIES = sorted(Visibility, key=lambda x: x is not Visibility.SHARED)


class Images:
    """Use cases on images without their data."""

    def __init__(
        self,
        repository: ImageRepository,
        authorizer: Authorizer,
        quota: Quota,
        rules: ImageRules,
        deletion: Deletion,
        locations: Locations,
        writer: Writer,
        on: Subscriptions,
    ) -> None:
        self._repository = repository
        self._policy = authorizer
        self._quota = quota
        self._limits = rules.limits
        self._protection = rules.protection
        self._deletion = deletion
        self._locations = locations
        self._writer = writer
        self._on = on
        self._judge: Callable[[Image, Image | None], None] | None = None
        self._read_only = frozenset(rules.read_only)
        self._unlists = rules.unlists

    def judge_properties(self, judge: Callable[[Image, Image | None], None]) -> None:
        """``judge`` is asked of each image that is made (image, None) or changed (after, before). It raises
        PropertiesInvalid."""
        self._judge = judge

    # -- reading -----------------------------------------------------------------------------------
    def show(self, ctx: Context, image_id: str) -> Image:
        """The image. Raises ImageNotFound."""
        image = self._repository.get(image_id, ctx.viewer)
        self._policy.authorize(ctx, "get_image", image)
        _SHOWN.set((ctx, image))
        return image

    def meant(self, ctx: Context, image_id: str) -> Image:
        """The same, but not read again when this request was shown it last: a reference has led to it."""
        shown = _SHOWN.get()
        return (
            shown[1] if shown is not None and shown[0] is ctx and shown[1].id == image_id else self.show(ctx, image_id)
        )

    def has_name(self, ctx: Context, name: str) -> bool:
        """Whether an image that is listed for the caller's project has it, hidden or not: others' community images take
        no name away, and others' private ones take none from admins."""
        if not self._repository.has_name(name, ctx.project):
            return False
        query = ImageQuery(Viewer(ctx.project), equal={"name": (name,)}, limit=1)
        return any(self.find(ctx, replace(query, hidden=x)).images for x in (False, True))

    def places_told(self, image: Image) -> None:
        """Somebody has been shown where its data is, and may read it there."""
        self._locations.when_read(image)

    def may_read(self, ctx: Context, name: str) -> bool:
        return self._protection.may(ctx, name, "read")

    def find(self, ctx: Context, query: ImageQuery) -> ImagePage:
        """Raises Forbidden, UnknownMarker, TooBroad."""
        self._policy.authorize(ctx, "get_images")
        if query.limit == 0:
            return ImagePage()
        if keys := sorted(self._read_only & query.properties.keys()):
            raise errors.Invalid(
                f"{keys[0]}: images can't be filtered by it; it is no property, but shown by an extension"
            )
        if not all(self.may_read(ctx, x) for x in query.properties):
            return ImagePage()  # a property that the caller may not read can't be probed by filtering
        limit = query.limit
        # who names an image has it
        query = replace(
            query,
            max_bytes=PAGE_BYTES,
            unlisted_at=now() if self._unlists and not ctx.admin and "id" not in query.equal else None,
        )
        for _ in range(PAGES):
            found = self._found(query)
            shown = [x for x in found.images if self._policy.allows(ctx, "get_image", x)]
            if shown or found.marker is None:
                return ImagePage(
                    shown[:limit], shown[limit - 1].id if len(shown) > limit else self._end(ctx, found, shown)
                )
            query = replace(query, marker=found.marker, limit=max(limit, LOOKS[0]))
        raise errors.TooBroad(
            f"none of the next images is shown to you, and too many are left to be looked through: {NARROWER}"
        )

    def _end(self, ctx: Context, found: ImagePage, shown: Sequence[Image]) -> str | None:
        """Where a page with all of ``shown`` leads on: an image that the policy shows."""
        if found.marker is None or found.marker == shown[-1].id:
            return found.marker
        if found.marker != found.images[-1].id:  # one that was looked at and does not fit
            with suppress(errors.ImageNotFound):
                if self._policy.allows(ctx, "get_image", self._repository.get(found.marker, ctx.viewer)):
                    return found.marker
        return shown[-1].id

    def _found(self, query: ImageQuery) -> ImagePage:
        """A page that ends early, or a refusal, costs a second question; most pages fill at the first."""
        for most in LOOKS:
            last = most == LOOKS[-1]
            try:
                page = self._repository.find(replace(query, most=most))
            except errors.TooBroad:
                if last:
                    raise
                continue
            if last or page.marker is None or page.full(query):
                return page
        raise AssertionError("the last look returns or raises")

    # -- changing ----------------------------------------------------------------------------------
    def create(self, ctx: Context, read: Callable[[], NewImage]) -> Image:
        """The image that ``read`` gives, which is asked when there is one that the caller may create.

        Raises Forbidden, ImageExists, QuotaExceeded, LimitExceeded, PropertiesInvalid, and what ``read`` raises."""
        self.require_creating(ctx)
        new = read()
        at = now()
        owner = str(given) if (given := new.fields.get("owner", ctx.project)) is not None else None
        if owner != ctx.project and not ctx.admin:
            raise errors.Forbidden("only an admin may create an image for another owner")
        image = Image(id=new.id or str(uuid.uuid4()), created_at=at, updated_at=at, properties=dict(new.properties))
        image = replace(image, **{**new.fields, "owner": owner}).tagged(*new.tags)  # type: ignore[arg-type]
        self._policy.authorize(
            ctx, "add_image", {"owner": owner, "project_id": owner, "visibility": image.visibility.value}
        )
        self._check_visibility(ctx, image)
        metadata.check(image, self._limits)
        for name in new.properties:
            if name in self._read_only:
                raise errors.ReadOnlyProperty(f"{name} is set by the service and can't be given")
            if not self._protection.may(ctx, name, "create"):
                raise errors.ProtectedProperty(f"property {name} is protected: you may not create it")
        if self._judge is not None:
            self._judge(image, None)
        self._on.check_image(ctx, None, image)
        limits = Limits(images=self._quota.limits(owner).images, metadata_bytes=self._limits.project_bytes)
        changes: list[Change] = [ImageAdded(image)]
        if limits != Limits():
            changes.append(WithinLimits(owner, limits))
        checkpoint("create.before_commit")
        self._writer.save(*changes, events=[ImageEvent(EventType.IMAGE_CREATE, image)])
        checkpoint("create.after_commit")
        return image

    def require_creating(self, ctx: Context) -> None:
        """Raises Forbidden when the policy lets the caller create no image, whatever its visibility. Admins may create
        for others, so they are asked when it is known for whom."""
        own = [{"owner": ctx.project, "project_id": ctx.project, "visibility": x.value} for x in _VISIBILITIES]
        if not ctx.admin and not any(self._policy.allows(ctx, "add_image", x) for x in own):
            self._policy.authorize(ctx, "add_image", own[0])

    def update(self, ctx: Context, image_id: str, read: Callable[[], Sequence[patch.PatchOperation]]) -> Image:
        """Apply a patch, which is read when the caller has been found to be allowed to change the image.

        Raises ImageNotFound, Forbidden, Conflict, Invalid, LimitExceeded, QuotaExceeded, and what ``read`` raises; all
        or nothing."""
        rights = patch.Rights(
            ctx.admin,
            lambda name, action: self._protection.may(ctx, name, action),
            self._locations.order,
            self._read_only,
        )
        wanted: list[Sequence[patch.PatchOperation]] = []

        def change(image: Image) -> Image:
            if not wanted:
                operations = read()
                if any(x.name == fields.LOCATIONS for x in operations):
                    operations = self._locations.looked_up(ctx, image, operations)
                wanted.append(operations)
            after = patch.apply(image, wanted[0], rights)
            if after.visibility is not image.visibility:
                self._check_visibility(ctx, after)
            if self._judge is not None:
                metadata.check(after, self._limits, image)  # counts before costly rules
                self._judge(after, image)
            return after

        return self._change(ctx, image_id, "modify_image", change)

    def delete(self, ctx: Context, image_id: str, *, version: int | None = None) -> None:
        """``version``: only when the image is at it still. Raises ImageNotFound, Forbidden, Conflict; BlobInUse and
        StoreUnavailable (the image stays)."""
        image = self.show(ctx, image_id)
        self._policy.authorize(ctx, "delete_image", image)
        self._on.check_image(ctx, image, None)
        self._deletion.delete(image, version)

    def deactivate(self, ctx: Context, image_id: str) -> None:
        self._change(ctx, image_id, "deactivate", Image.deactivate)

    def reactivate(self, ctx: Context, image_id: str) -> None:
        self._change(ctx, image_id, "reactivate", lambda x: x.reactivate(admin=ctx.admin))

    def add_tag(self, ctx: Context, image_id: str, tag: str) -> None:
        """Idempotent. Raises Invalid, LimitExceeded."""
        if len(tag) > fields.MAX_NAME:
            raise errors.Invalid(f"tag: at most {fields.MAX_NAME} characters")
        text.label("tag", tag)

        def change(image: Image) -> Image:
            return image.tagged(*image.tags, tag)

        self._change(ctx, image_id, "modify_image", change)

    def remove_tag(self, ctx: Context, image_id: str, tag: str) -> None:
        """Raises TagNotFound."""

        def change(image: Image) -> Image:
            if tag not in image.tags:
                raise errors.TagNotFound(f"image {image.id} has no tag {tag!r}")
            return image.tagged(*(x for x in image.tags if x != tag))

        self._change(ctx, image_id, "modify_image", change)

    # -- inside ------------------------------------------------------------------------------------
    @on_concurrent_change
    def _change(self, ctx: Context, image_id: str, policy: str, change: Callable[[Image], Image]) -> Image:
        image = self.show(ctx, image_id)
        self._policy.authorize(ctx, policy, image)
        after = change(image)
        if after == image:
            return image
        metadata.check(after, self._limits, image)
        self._on.check_image(ctx, image, after)
        saved = self._writer.image(image, after)
        with self._locations.effects(image, saved.after) as effects:
            self._writer.save(
                saved,
                *self._within_project(saved.after, image),
                *effects.changes,
                events=[ImageEvent(EventType.IMAGE_UPDATE, saved.after)],
            )
        return saved.after

    def _check_visibility(self, ctx: Context, image: Image) -> None:
        if image.visibility is Visibility.PUBLIC:
            self._policy.authorize(ctx, "publicize_image", image)
        elif image.visibility is Visibility.COMMUNITY:
            self._policy.authorize(ctx, "communitize_image", image)

    def _within_project(self, after: Image, before: Image) -> list[Change]:
        """What keeps the metadata of all images of a project within its limit."""
        limit = self._limits.project_bytes
        if limit is None or (after.owner == before.owner and not metadata.grows(after, before)):
            return []
        return [WithinLimits(after.owner, Limits(metadata_bytes=limit))]
