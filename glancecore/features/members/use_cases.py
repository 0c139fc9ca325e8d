"""Sharing an image with other projects."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from glancecore.domain import errors, text
from glancecore.domain.clock import now
from glancecore.domain.context import Context
from glancecore.domain.events import EventType, MemberEvent
from glancecore.domain.image import Image, Visibility
from glancecore.domain.member import Member, MemberStatus
from glancecore.kernel.writer import Writer
from glancecore.policies.authorizer import Authorizer
from glancecore.ports.repository import ImageRepository, MemberAdded, MemberChanged, MemberRemoved


class Members:
    def __init__(self, repository: ImageRepository, authorizer: Authorizer, limit: int | None, writer: Writer) -> None:
        self._repository = repository
        self._policy = authorizer
        self._limit = limit
        self._writer = writer

    def add(self, ctx: Context, image_id: str, read: Callable[[], str]) -> Member:
        """Share with the project that ``read`` gives, status pending; it is read when the caller has been found to be
        allowed to.

        Raises Forbidden (not shared), Invalid, MemberExists, QuotaExceeded, and what ``read`` raises."""
        image = self._image(ctx, image_id)
        self._policy.authorize(ctx, "add_member", image)
        _require_shared(image)
        project = text.label("member", read())
        if "/" in project:
            raise errors.Invalid("member: a project id has no slash")
        at = now()
        member = Member(image.id, project, MemberStatus.PENDING, at, at)
        self._writer.save(MemberAdded(member, self._limit), events=[MemberEvent(EventType.MEMBER_CREATE, member)])
        return member

    def list(self, ctx: Context, image_id: str) -> list[Member]:
        """The owner sees all, a member only itself. Raises Forbidden (not shared)."""
        image = self._image(ctx, image_id)
        self._policy.authorize(ctx, "get_members", image)
        _require_shared(image)
        found = self._repository.members(image.id)
        return found if _owns(ctx, image) else [x for x in found if x.member == ctx.project]

    def show(self, ctx: Context, image_id: str, project: str) -> Member:
        """Raises MemberNotFound for another's row and for an image that is not shared."""
        image = self._image(ctx, image_id)
        self._policy.authorize(ctx, "get_member", image)
        if image.visibility is not Visibility.SHARED or not (_owns(ctx, image) or project == ctx.project):
            raise _no_member(image, project)
        return self._repository.member(image.id, project)

    def set_status(self, ctx: Context, image_id: str, project: str, read: Callable[[], MemberStatus]) -> Member:
        """Only that project itself, or an admin: nobody else is told whether it is a member. Raises Forbidden,
        MemberNotFound, and what ``read`` raises."""
        image = self._image(ctx, image_id)
        if project != ctx.project and not ctx.admin:
            raise errors.Forbidden("only the member project itself may change its status")
        self._policy.authorize(ctx, "modify_member", replace(image, as_member=project))
        member = self._repository.member(image.id, project)
        status = read()
        after = replace(member, status=status, updated_at=now())
        self._writer.save(MemberChanged(after), events=[MemberEvent(EventType.MEMBER_UPDATE, after)])
        return after

    def remove(self, ctx: Context, image_id: str, project: str) -> None:
        """Raises Forbidden, MemberNotFound."""
        image = self._image(ctx, image_id)
        self._policy.authorize(ctx, "delete_member", image)
        _require_shared(image)
        member = self._repository.member(image.id, project)
        self._writer.save(MemberRemoved(image.id, project), events=[MemberEvent(EventType.MEMBER_DELETE, member)])

    def _image(self, ctx: Context, image_id: str) -> Image:
        image = self._repository.get(image_id, ctx.viewer)
        self._policy.authorize(ctx, "get_image", image)
        return image


def _owns(ctx: Context, image: Image) -> bool:
    return ctx.admin or (ctx.project is not None and ctx.project == image.owner)


def _require_shared(image: Image) -> None:
    if image.visibility is not Visibility.SHARED:
        raise errors.Forbidden(f"image {image.id} is {image.visibility.value}: only shared images have members")


def _no_member(image: Image, project: str) -> errors.MemberNotFound:
    return errors.MemberNotFound(f"image {image.id} has no member {project}")
