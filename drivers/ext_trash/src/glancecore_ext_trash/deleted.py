"""The trash of a project, and what is remembered of images beside it: who deleted them, and until when they may not
be."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import datetime, timedelta

from glancecore.domain import errors
from glancecore.domain.context import Context
from glancecore.domain.image import Image
from glancecore.ports.extension import Collection, Kernel
from glancecore.ports.record_repository import Record, RecordAdded, RecordChanged, RecordQuery, RecordRemoved
from glancecore.sdk.checkpoints import checkpoint
from glancecore.sdk.records import saving

#: By image: who has deleted it, or wanted to.
DELETIONS = Collection("trash.deletions", of_image=True)
#: By image: since when it has not been protected.
UNPROTECTED = Collection("trash.unprotected", of_image=True)
#: Times that a record is written anew, because somebody else was faster.
_TRIES = 20
#: Between a request to delete an image and its deletion, at most; and those that are kept of several.
_ABOUT, _MOST_NOTED = timedelta(minutes=10), 20


def stamp(when: datetime) -> str:
    return f"{when:%Y-%m-%dT%H:%M:%SZ}"


class DeletedImages:
    """All methods but ``check_image`` raise ImageNotFound for what is not in the trash, or not the caller's to see."""

    def __init__(self, kernel: Kernel, cooldown: timedelta) -> None:
        self._kernel = kernel
        self._cooldown = cooldown

    # -- what is deleted ---------------------------------------------------------------------------
    def page(self, ctx: Context, project: str | None, marker: str | None, limit: int) -> list[Image]:
        """The project's, the last one first. Raises Forbidden, UnknownMarker."""
        self._kernel.policy.authorize(ctx, "trash_show", _target(project))
        behind = None
        if marker is not None:
            try:
                behind = self._kernel.trash.get(marker)
            except errors.ImageNotFound:
                behind = None
            if behind is None or behind.owner != project:
                raise errors.UnknownMarker(
                    "marker: it is no deleted image of the project any more; begin the list anew"
                )
        return self._kernel.trash.of_project(project, behind, limit)

    def get(self, ctx: Context, image_id: str) -> Image:
        image = self._kernel.trash.get(image_id)
        if not self._kernel.policy.allows(ctx, "trash_show", _target(image.owner)):
            raise errors.ImageNotFound(f"no deleted image {image_id}")
        return image

    def restore(self, ctx: Context, image_id: str) -> Image:
        """Raises Forbidden."""
        image = self.get(ctx, image_id)
        self._kernel.policy.authorize(ctx, "trash_restore", _target(image.owner))
        deleter = self.deleters([image]).get(image.id)
        if (
            deleter
            and deleter.get("project") != image.owner
            and not self._kernel.policy.allows(ctx, "trash_overrule", _target(image.owner))
        ):
            raise errors.Forbidden("an admin of another project has deleted this image; ask an admin to restore it")
        restored = self._kernel.trash.restore(image.id)
        checkpoint("trash.restored")
        for record in self._kernel.records.find(RecordQuery(DELETIONS.name, equal=[image.id], limit=1)):
            with suppress(errors.ConcurrentChange, errors.RecordNotFound):  # it is being deleted anew
                self._kernel.writer.save(RecordRemoved(record))
        return restored

    def purge(self, ctx: Context, image_id: str) -> None:
        """Raises Forbidden, Conflict, StoreError."""
        image = self.get(ctx, image_id)
        self._kernel.policy.authorize(ctx, "trash_purge", _target(image.owner))
        self._kernel.trash.purge(image.id)

    def deleters(self, images: Sequence[Image]) -> dict[str, Mapping[str, object]]:
        """By image: ``user`` and ``project`` of who has deleted it, where that is known. Of several who wanted to at
        once, one of another project."""
        if not images:
            return {}
        found = {
            x.id: x.data
            for x in self._kernel.records.find(
                RecordQuery(DELETIONS.name, equal=[y.id for y in images], limit=len(images))
            )
        }
        return {x.id: _foremost(who, x.owner) for x in images if (who := _noted(found.get(x.id)))}

    def goes_at(self, image: Image) -> datetime | None:
        """From when on it may go for good; None: deletions are not delayed any more, and it goes soon."""
        keeps = self._kernel.trash.keeps
        return None if keeps is None else image.updated_at + keeps

    # -- what is not deleted yet -------------------------------------------------------------------
    def check_image(self, ctx: Context, before: Image | None, after: Image | None) -> None:
        """Raises Conflict while an image that was protected may not be deleted."""
        if before is None:
            return
        if after is None:
            if until := self.deletable_at([before]).get(before.id):
                raise errors.Conflict(f"image {before.id} was protected; it can be deleted from {stamp(until)} on")
            if not before.protected and self._kernel.trash.keeps is not None:
                self._note_deletion(before, {"user": ctx.user, "project": ctx.project})
        elif self._cooldown and before.protected and not after.protected:
            self._note(Record(UNPROTECTED.name, before.id, {"at": stamp(self._kernel.clock())}, image_id=before.id))

    def deletable_at(self, images: Sequence[Image]) -> dict[str, datetime]:
        """By image that can't be deleted yet: from when on it can."""
        if not self._cooldown or not images:
            return {}
        now, found = (
            self._kernel.clock(),
            self._kernel.records.find(RecordQuery(UNPROTECTED.name, equal=[x.id for x in images], limit=len(images))),
        )
        ends = {x.id: datetime.fromisoformat(str(x.data["at"])) + self._cooldown for x in found}
        return {x: y for x, y in ends.items() if y > now}

    def _note_deletion(self, image: Image, who: Mapping[str, object]) -> None:
        """Beside others who delete it at the same moment: which of them has done it nobody knows."""
        for _ in range(_TRIES):
            before = next(iter(self._kernel.records.find(RecordQuery(DELETIONS.name, equal=[image.id], limit=1))), None)
            noted = [
                x
                for x in _noted(before.data if before else None, self._kernel.clock())
                if (x["user"], x["project"]) != (who["user"], who["project"])
            ]
            noted.sort(key=lambda x: x["project"] != image.owner)  # those of other projects are admins, and stay
            data = {"who": [*noted[-_MOST_NOTED:], {**who, "at": stamp(self._kernel.clock())}]}
            try:
                self._kernel.writer.save(
                    RecordAdded(Record(DELETIONS.name, image.id, data, image_id=image.id))
                    if before is None
                    else RecordChanged(before, replace(before, data=data, version=before.version + 1))
                )
            except (errors.ConcurrentChange, errors.RecordExists, errors.RecordNotFound):
                continue
            checkpoint("trash.noted")
            return
        raise errors.Conflict(f"image {image.id} is being changed by others all the time; try again")

    def _note(self, record: Record) -> None:
        """Before what it tells of happens; when that fails, it tells of an attempt, and the next one replaces it."""
        for _ in range(_TRIES):
            try:
                self._kernel.writer.save(saving(self._kernel.records, record))
            except (errors.ConcurrentChange, errors.RecordExists):
                continue
            return
        raise errors.Conflict(f"image {record.id} is being changed by others all the time; try again")


def _noted(data: Mapping[str, object] | None, at: datetime | None = None) -> list[Mapping[str, object]]:
    """Who has wanted to delete the image at about that time, or, where none is given, about when the last one has: it
    is deleted since. What was refused long before does not count. The image's own times say less: they change when its
    copies are moved."""
    who = (data or {}).get("who")
    if not isinstance(who, list) or not who:
        return []
    end = at or max(datetime.fromisoformat(x["at"]) for x in who)
    return [dict(x) for x in who if end - datetime.fromisoformat(x["at"]) < _ABOUT]


def _foremost(who: Sequence[Mapping[str, object]], owner: str | None) -> Mapping[str, object]:
    found = next((x for x in who if x.get("project") != owner), who[-1])
    return {"user": found.get("user"), "project": found.get("project")}


def _target(project: str | None) -> dict[str, object]:
    return {"project_id": project, "owner": project}
