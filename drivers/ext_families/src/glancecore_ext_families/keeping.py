"""Changing families and their versions: each change and its event are one commit, and each is on top of the family as
it was read."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any

from glancecore.domain import errors
from glancecore.domain.context import Context
from glancecore.domain.events import Event, EventName, ExtensionEvent, ImageEvent
from glancecore.domain.image import Image, Status
from glancecore.ports.extension import Kernel
from glancecore.ports.notifier import Notification
from glancecore.ports.options import Section
from glancecore.ports.record_repository import (
    Record,
    RecordAdded,
    RecordChange,
    RecordChanged,
    RecordQuery,
    RecordRemoved,
)
from glancecore.sdk.checkpoints import checkpoint
from glancecore.sdk.records import saving, unlisting
from glancecore_ext_families.catalogue import Catalogue
from glancecore_ext_families.family import (
    FAMILIES,
    GONE,
    LABELS,
    MOVES,
    NAMES,
    PRIVATE,
    PROJECTS,
    PUBLIC,
    VERSIONS,
    Family,
    Version,
    own_id,
    public_id,
    stamp,
)
from glancecore_ext_families.references import LATEST, check_family, check_label
from glancecore_ext_families.retrying import again

CHANGED, VERSIONED = EventName("families.change"), EventName("families.version")
#: Records that are removed in one commit, and that a request removes itself; the job removes what is left.
_AT_ONCE, _IN_REQUEST = 50, 200


class Keeping:
    """All methods are for callers of whom the policy is asked already, but for what the caller may do to images and
    whether he may publish."""

    def __init__(self, kernel: Kernel, catalogue: Catalogue, conf: Section) -> None:
        self._kernel = kernel
        self._records = kernel.records
        self._catalogue = catalogue
        self._conf = conf
        #: Images whose owner changes just now.
        self._moving: set[str] = set()

    def event(self, ctx: Context, name: EventName, family: Family, **more: object) -> ExtensionEvent:
        """Of a family: what was done, by whom and why."""
        return ExtensionEvent(
            name,
            family.id,
            {"family": family.name, "owner": family.owner, "user": ctx.user, "project": ctx.project, **more},
        )

    def save(self, family: Family, *changes: RecordChange, events: Sequence[Event] = ()) -> Family:
        """The family and ``changes``, if nobody has changed it since it was read. Raises ConcurrentChange;
        RecordNotFound when it is gone."""
        record = family.saved()
        change: RecordChange = RecordChanged(family.record, record) if family.record else RecordAdded(record)
        checkpoint("families.before_save")
        self._kernel.writer.save(change, *changes, events=events)
        checkpoint("families.saved")
        return replace(family, record=record)

    # -- families ----------------------------------------------------------------------------------
    def create(self, ctx: Context, wanted: Mapping[str, Any]) -> Family:
        """Raises Invalid, Forbidden, Conflict, QuotaExceeded."""
        check_family(wanted["name"])
        family = Family(
            str(wanted.get("id") or uuid.uuid4()).lower(),
            wanted["name"],
            ctx.project,
            stamp(self._kernel.clock()),
            wanted.get("visibility", PRIVATE),
            wanted.get("description", ""),
        )
        if family.visibility == PUBLIC:
            self._kernel.policy.authorize(ctx, "families_publish", family.target)
        return self._create(ctx, family)

    @again
    def _create(self, ctx: Context, family: Family) -> Family:
        self._free(own_id(family.name, family.owner), f"your project has a family {family.name} already")
        names = [_naming(family, own_id(family.name, family.owner))]
        if family.visibility == PUBLIC:
            self._free(public_id(family.name), f"there is a public family {family.name} already")
            names.append(_naming(family, public_id(family.name)))
        for collection in (FAMILIES, GONE):
            if self._records.find(RecordQuery(collection.name, equal=[family.id], limit=1)):
                raise errors.Conflict(f"id {family.id} is used, or was by a deleted family; leave it out")
        return self.save(
            family,
            *names,
            self._counting(family.owner, 1),
            events=[self.event(ctx, CHANGED, family, action="create", visibility=family.visibility)],
        )

    def _free(self, record_id: str, said: str) -> None:
        if self._records.find(RecordQuery(NAMES.name, equal=[record_id], limit=1)):
            raise errors.Conflict(said)

    def _counting(self, owner: str | None, by: int) -> RecordChange:
        """Raises QuotaExceeded."""
        record_id = own_id("", owner)
        try:
            count = int(str(self._records.get(PROJECTS.name, record_id).data["families"]))
        except errors.RecordNotFound:
            count = 0
        most: int = self._conf.families_per_project
        if by > 0 and count + by > most:
            raise errors.QuotaExceeded(f"your project has {count} families; it may have {most}")
        return saving(self._records, Record(PROJECTS.name, record_id, {"families": max(0, count + by)}))

    @again
    def change(self, ctx: Context, family_id: str, wanted: Mapping[str, Any]) -> Family:
        """Description, default and visibility. Raises RecordNotFound, Forbidden, Conflict, Invalid."""
        family = self._catalogue.get(ctx, family_id)
        self._kernel.policy.authorize(ctx, "families_change", family.target)
        after = replace(family, **wanted)
        if after == family:
            return family
        if after.default != LATEST and after.default not in family.channels:
            raise errors.Invalid(
                f"default: family {family.name} has no channel {after.default}; its channels are"
                f" {', '.join([LATEST, *sorted(family.channels)])}"
            )
        changes: list[RecordChange] = []
        if after.visibility != family.visibility:
            self._kernel.policy.authorize(ctx, "families_publish", family.target)
            if after.visibility == PUBLIC:
                self._free(public_id(family.name), f"there is a public family {family.name} already")
                changes.append(_naming(family, public_id(family.name)))
            else:
                changes.append(RecordRemoved(self._records.get(NAMES.name, public_id(family.name))))
        return self.save(after, *changes, events=[self.event(ctx, CHANGED, after, action="change", **wanted)])

    @again
    def delete(self, ctx: Context, family_id: str, *, force: bool) -> None:
        """Its images stay. Raises RecordNotFound, Forbidden; Conflict unless it is empty, or ``force``."""
        family = self._catalogue.get(ctx, family_id)
        self._kernel.policy.authorize(ctx, "families_change", family.target)
        if not force and (family.channels or self._catalogue.newest(family, None, 1)):
            raise errors.Conflict(
                f"family {family.name} has versions or channels; take them out first, or say force=true (the images"
                " stay)"
            )
        if pinned := sorted(x for x, y in family.channels.items() if y.pinned):
            raise errors.Conflict(f"channel {pinned[0]} of family {family.name} is pinned; unpin it first")
        names = [RecordRemoved(x) for x in self._records.find(RecordQuery(NAMES.name, 0, [family.id]))]
        self._kernel.writer.save(
            RecordRemoved(family.stored),
            *names,
            self._counting(family.owner, -1),
            RecordAdded(Record(GONE.name, family.id)),
            events=[self.event(ctx, CHANGED, family, action="delete")],
        )
        self.sweep(family.id, _IN_REQUEST)

    def sweep(self, family_id: str, most: int) -> bool:
        """Remove at most so many records that a deleted family has left; True: none is left. May be called by several
        at once."""
        queries = [
            RecordQuery(VERSIONS.name, 0, prefix=f"{family_id}:", limit=_AT_ONCE),
            RecordQuery(MOVES.name, prefix=f"{family_id}:", limit=_AT_ONCE),
            RecordQuery(LABELS.name, prefix=f"{family_id}:", limit=_AT_ONCE),
        ]
        for query in queries:
            while page := self._records.find(query):
                if (most := most - len(page)) < 0:
                    return False
                if not self._remove(family_id, page):
                    return True
        for gone in self._records.find(RecordQuery(GONE.name, equal=[family_id])):
            with suppress(errors.RecordNotFound, errors.ConcurrentChange):  # somebody else has, or is at it
                self._kernel.writer.save(RecordRemoved(gone))
        return True

    def _remove(self, family_id: str, records: Sequence[Record]) -> bool:
        """False: all was removed already, and a family that has the id now is another one."""
        try:
            return self._removed(family_id, records)
        except (errors.RecordNotFound, errors.ConcurrentChange):
            for record in records:
                try:
                    if not self._removed(family_id, [record]):
                        return False
                except (errors.RecordNotFound, errors.ConcurrentChange):
                    continue  # somebody else has
        return True

    def _removed(self, family_id: str, records: Sequence[Record]) -> bool:
        """In one commit with what says that the family is deleted: while that is there no family has the id."""
        for gone in self._records.find(RecordQuery(GONE.name, equal=[family_id])):
            listed = unlisting(self._records, {x.image_id: None for x in records if x.image_id is not None})
            self._kernel.writer.save(
                RecordChanged(gone, replace(gone, version=gone.version + 1)),
                *(RecordRemoved(x) for x in records),
                *listed,
            )
            return True
        return False

    # -- versions ----------------------------------------------------------------------------------
    @again
    def add(self, ctx: Context, family_id: str, label: str, wanted: Mapping[str, Any]) -> tuple[Version, bool]:
        """The version, and whether it is new: saying the same again changes nothing. Raises RecordNotFound,
        ImageNotFound, Forbidden, Conflict, WrongStatus, QuotaExceeded."""
        family = self._catalogue.get(ctx, family_id)
        self._kernel.policy.authorize(ctx, "families_version", family.target)
        check_label(label)
        image = self._kernel.images.show(ctx, wanted["image_id"].lower())
        self._kernel.policy.authorize(ctx, "modify_image", image)
        if image.owner != family.owner:
            raise errors.Forbidden(f"image {image.id} belongs to another project than family {family.name}")
        version = Version(
            image.id,
            family.id,
            label,
            family.versions + 1,
            stamp(self._kernel.clock()),
            wanted.get("architecture"),
            wanted.get("firmware"),
            wanted.get("latest", True),
        )
        same = self._catalogue.version_of(image.id)
        if same is not None and (there := self._known(ctx, same, version)):
            return there, False
        if self._records.find(RecordQuery(LABELS.name, equal=[f"{family.id}:{label}"], limit=1)):
            raise errors.Conflict(
                f"label {label} is, or was, that of another image of family {family.name}: versions don't change; take"
                " another label"
            )
        image.require(Status.ACTIVE)
        most: int = self._conf.versions_per_family
        if family.versions >= most:
            raise errors.QuotaExceeded(f"family {family.name} has had {family.versions} versions; it may have {most}")
        after = replace(_of_one_kind(family, version), versions=version.number)
        keeping: RecordChange = RecordAdded(version.saved())
        if same is not None:  # of a family that is no more
            keeping = RecordChanged(same.stored, replace(version.saved(), version=same.stored.version + 1))
        label_kept = RecordAdded(Record(LABELS.name, f"{family.id}:{label}", {"image": image.id}))
        self.save(
            after,
            keeping,
            label_kept,
            *unlisting(self._records, {image.id: None}),
            events=[self.event(ctx, VERSIONED, family, action="add", label=label, image_id=image.id)],
        )
        return version, True

    def _known(self, ctx: Context, same: Version, wanted: Version) -> Version | None:
        """None: the family whose version it was is no more. Raises Conflict."""
        if same.family == wanted.family:
            if (
                replace(
                    same,
                    record=None,
                    number=wanted.number,
                    created_at=wanted.created_at,
                    deprecated_at=None,
                    obsolete_at=None,
                    ends_at=None,
                    replacement=None,
                    reason=None,
                    leaving_at=None,
                )
                == wanted
            ):
                return same
            raise errors.Conflict(
                f"image {same.image_id} is version {same.label} of this family already, and versions don't change"
            )
        other = self._catalogue.by_id([same.family]).get(same.family)
        if other is None:
            return None
        name = (
            f"version {same.label} of family {other.name}"
            if self._catalogue.sees(ctx, other)
            else "a version of another family"
        )
        raise errors.Conflict(f"image {same.image_id} is {name}: an image is a version of one family")

    @again
    def take_out(self, ctx: Context, family_id: str, label: str) -> None:
        """The image stays. Raises RecordNotFound, Forbidden; Conflict when a channel points to it."""
        family = self._catalogue.get(ctx, family_id)
        self._kernel.policy.authorize(ctx, "families_version", family.target)
        version = self._catalogue.version(ctx, family, label)
        if pointing := family.pointing(version.image_id):
            raise errors.Conflict(f"{pointing} to version {label}: promote another one first")
        self.save(
            family,
            RecordRemoved(version.stored),
            *unlisting(self._records, {version.image_id: None}),
            events=[self.event(ctx, VERSIONED, family, action="remove", label=label, image_id=version.image_id)],
        )

    def check_image(self, _ctx: Context, before: Image | None, after: Image | None) -> None:
        """Subscribed to: raises Conflict when an image is to be deleted that a channel points to. From here on no
        channel is moved to it, for a while."""
        if before is not None and after is not None and before.owner != after.owner:
            self._moving.add(after.id)
        if before is not None and after is None and not before.protected:
            self._check_leaving(before)

    def image_changed(self, notification: Notification) -> None:
        """Subscribed to: a family says nothing of an image that has become another project's. Where this process dies
        before, the job ``families_unlist`` does it."""
        event = notification.event
        if not isinstance(event, ImageEvent) or event.image.id not in self._moving:
            return
        self._moving.discard(event.image.id)
        if (version := self._catalogue.version_of(event.image.id)) is not None and (
            changes := self.unlisting([version], event.image.owner or "")
        ):
            self._kernel.writer.save(*changes)

    def unlisting(self, versions: Sequence[Version], owner: str | None = None) -> list[RecordChange]:
        """What brings the lists of others in line with the dates; nothing of what is so already. ``owner``: of all
        these images, where it has changed."""
        families = self._catalogue.by_id(x.family for x in versions)
        wanted = {
            x.image_id: x.unlisted_from if x.family in families and owner in (None, families[x.family].owner) else None
            for x in versions
        }
        changes = unlisting(self._records, wanted)
        if owner is not None:
            return changes
        left = {
            x.record.id if isinstance(x, RecordAdded) else x.after.id
            for x in changes
            if not isinstance(x, RecordRemoved)
        }
        others = [x.image_id for x in versions if x.image_id in left and not self._owns(families[x.family], x.image_id)]
        return unlisting(self._records, {**wanted, **dict.fromkeys(others)}) if others else changes

    def _owns(self, family: Family, image_id: str) -> bool:
        try:
            return self._kernel.rows.get_any(image_id).owner == family.owner
        except errors.ImageNotFound:
            return False

    @again
    def _check_leaving(self, before: Image) -> None:
        version = self._catalogue.version_of(before.id)
        if version is None:
            return
        # first the mark, which a move that is under way trips over, then the look
        try:
            self._kernel.writer.save(
                RecordChanged(version.stored, replace(version, leaving_at=stamp(self._kernel.clock())).saved())
            )
        except errors.RecordNotFound:
            raise errors.ConcurrentChange(f"image {before.id} was taken out of its family meanwhile") from None
        family = self._catalogue.by_id([version.family]).get(version.family)
        if family is None or family.owner != before.owner:  # nobody holds another project's image
            return
        if pointing := family.pointing(before.id):
            raise errors.Conflict(
                f"image {before.id} can't be deleted: {pointing} to it, as version {version.label}; promote another"
                " version, or delete what points there"
            )


def _naming(family: Family, record_id: str) -> RecordAdded:
    return RecordAdded(Record(NAMES.name, record_id, {"family": family.id}, (family.id,)))


def _of_one_kind(family: Family, version: Version) -> Family:
    """The family with what all versions have that may become ``latest``. Raises Conflict."""
    if not version.in_latest:
        return family
    if family.versions == 0 or (family.architecture, family.firmware) == (None, None):
        return replace(family, architecture=version.architecture, firmware=version.firmware)
    for what in ("architecture", "firmware"):
        had, has = getattr(family, what), getattr(version, what)
        if had != has:
            raise errors.Conflict(
                f"{what}: versions of family {family.name} that may become latest have {had or 'none'}, and this one"
                f" {has or 'none'}; make a family of its own for it, or add it with latest = false"
            )
    return family
