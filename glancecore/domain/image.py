"""The image: its fields, and the transitions that keep it consistent.

Values are frozen; a transition returns the next image. What a transition does not allow raises; nothing here
talks to a database or a store.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum

from glancecore.domain import errors
from glancecore.domain.location import Attachment, Location, LocationStatus
from glancecore.domain.staged import Digests, ImportCheckpoint, Importing, Staged
from glancecore.domain.status import HIDDEN, NEXT, RECEIVING, Status

__all__ = [
    "HIDDEN",
    "NEXT",
    "RECEIVING",
    "Attachment",
    "Image",
    "Location",
    "LocationStatus",
    "Status",
    "Visibility",
]


class Visibility(StrEnum):
    PUBLIC = "public"
    PRIVATE = "private"
    SHARED = "shared"
    COMMUNITY = "community"


@dataclass(frozen=True, slots=True)
class Image:
    """One image. Times are aware UTC; sizes bytes; ``min_ram`` MiB; ``min_disk`` GiB.

    ``version`` counts saves and is the compare-and-set key; ``attempt`` counts uploads and makes blob keys unique,
    so that a writer that has lost its lease can never touch a later attempt's bytes. ``last_error`` says in a user's
    words why the last transient operation was given up.
    """

    id: str
    created_at: datetime
    updated_at: datetime
    name: str | None = None
    owner: str | None = None
    status: Status = Status.QUEUED
    visibility: Visibility = Visibility.SHARED
    protected: bool = False
    hidden: bool = False
    container_format: str | None = None
    disk_format: str | None = None
    min_ram: int = 0
    min_disk: int = 0
    size: int | None = None
    virtual_size: int | None = None
    checksum: str | None = None
    hash_algo: str | None = None
    hash_value: str | None = None
    tags: tuple[str, ...] = ()
    properties: Mapping[str, str | None] = field(default_factory=dict)
    locations: tuple[Location, ...] = ()
    version: int = 1
    attempt: int = 0
    last_error: str | None = None
    staged: Staged | None = None
    importing: Importing | None = None
    #: The status that an image in pending_delete had, and gets back when that is undone.
    status_before_delete: Status | None = None
    #: Its hash is what somebody said; the data was not read yet, and nobody uses it until it is found to have that
    #: hash.
    unproved: bool = False
    #: The viewer's project when the image is shared with it; told by the repository, not part of the image.
    as_member: str | None = None

    # -- reading -----------------------------------------------------------------------------------
    @property
    def live_locations(self) -> tuple[Location, ...]:
        return tuple(x for x in self.locations if x.status is not LocationStatus.DELETING)

    @property
    def good_locations(self) -> tuple[Location, ...]:
        """Those that may be read: nothing wrong is known of them."""
        return tuple(x for x in self.locations if x.status in (LocationStatus.ACTIVE, LocationStatus.PENDING_DELETE))

    @property
    def blob_key(self) -> str:
        """Name for this attempt's bytes in a store: the image's id, with the attempt from the second on."""
        return self.id if self.attempt <= 1 else f"{self.id}.{self.attempt}"

    def tagged(self, *tags: str) -> Image:
        """With exactly these tags: a set, kept sorted."""
        return replace(self, tags=tuple(sorted(set(tags))))

    # -- transitions -------------------------------------------------------------------------------
    def to(self, status: Status) -> Image:
        """The same image in ``status``. Raises WrongStatus when the state table does not allow it."""
        if status not in NEXT[self.status]:
            raise errors.WrongStatus(f"image {self.id} is {self.status.value}: it can't become {status.value}")
        return replace(self, status=status)

    def require(self, *statuses: Status) -> None:
        """Raises WrongStatus, naming what is needed, unless the image has one of ``statuses``."""
        if self.status not in statuses:
            needed = " or ".join(x.value for x in statuses)
            raise errors.WrongStatus(f"image {self.id} is {self.status.value}; this needs status {needed}")

    def require_formats(self) -> None:
        """Raises Invalid unless both formats are set: data needs them."""
        for name in ("disk_format", "container_format"):
            if getattr(self, name) is None:
                raise errors.Invalid(f"{name} must be set before data is uploaded")

    def begin_upload(self) -> Image:
        self.require(Status.QUEUED)
        self.require_formats()
        return replace(self.to(Status.SAVING), attempt=self.attempt + 1, last_error=None)

    def finish_upload(self, digests: Digests, locations: tuple[Location, ...]) -> Image:
        found = self._with_digests(digests).to(Status.ACTIVE)
        return replace(found, locations=locations, unproved=False, last_error=None)

    def give_up(self, stable: Status, last_error: str | None) -> Image:
        """Back to ``stable`` as if the operation had not begun; ``last_error`` tells the user why."""
        back = replace(self.to(stable), last_error=last_error)
        if stable is Status.QUEUED:
            back = replace(
                back,
                size=None,
                virtual_size=None,
                checksum=None,
                hash_algo=None,
                hash_value=None,
                locations=(),
                staged=None,
                unproved=False,
            )
        return back

    def _with_digests(self, found: Digests | Attachment) -> Image:
        return replace(
            self,
            size=found.size,
            virtual_size=found.virtual_size,
            checksum=found.checksum,
            hash_algo=found.hash_algo,
            hash_value=found.hash_value,
        )

    # -- imports -----------------------------------------------------------------------------------
    def begin_stage(self) -> Image:
        self.require(Status.QUEUED)
        self.require_formats()
        return replace(self.to(Status.UPLOADING), last_error=None)

    def finish_stage(self, staged: Staged) -> Image:
        """The data is there and waits for an import; the image rests."""
        self.require(Status.UPLOADING)
        return replace(self, staged=staged, size=staged.digests.size)

    def begin_import(self, task: str, stores: tuple[str, ...], kept: Staged | None = None) -> Image:
        """From queued or uploading: importing; ``kept`` is what an earlier import has left for this one. An image that
        has data stays as it is and gets more copies. Raises WrongStatus while nothing proves that data."""
        if self.unproved:
            raise errors.WrongStatus(
                f"image {self.id}: its data is not copied before it was read and found to have the hash that it is said"
                " to have"
            )
        marks = Importing(task, stores, formats=(self.disk_format, self.container_format))
        begun = replace(self, attempt=self.attempt + 1, importing=marks)
        if self.status not in (Status.ACTIVE, Status.DEACTIVATED):
            begun = replace(begun.to(Status.IMPORTING), last_error=None)
        if kept is not None:
            begun = begun.with_staged(kept)
        worked = begun.staged.worked if begun.staged is not None else None
        if worked is None:
            return begun
        disk_format, container_format = worked.formats
        return replace(begun, disk_format=disk_format, container_format=container_format).with_import_properties(
            dict(worked.properties)
        )

    def with_checkpoint(self, *steps: str) -> Image:
        """What this import has done until now is noted with the staged data: it needs no more of these steps."""
        if self.staged is None:
            return self
        names = [name for name, _ in self.importing.properties] if self.importing is not None else []
        given = tuple((name, self.properties[name]) for name in names if name in self.properties)
        worked = ImportCheckpoint(steps, (self.disk_format, self.container_format), given)
        return replace(self, staged=replace(self.staged, worked=worked))

    def with_staged(self, staged: Staged | None) -> Image:
        """Other staged data: fetched, or made by a step."""
        return replace(self, staged=staged, size=staged.digests.size if staged else self.size)

    def with_import_properties(self, properties: Mapping[str, str | None]) -> Image:
        """With these properties, which it loses again when the import fails."""
        marks = self.importing or Importing()
        noted = {name for name, _ in marks.properties}
        new = tuple((name, self.properties.get(name)) for name in properties if name not in noted)
        return replace(
            self,
            properties={**self.properties, **properties},
            importing=replace(marks, properties=(*marks.properties, *new)),
        )

    def copied(self, location: Location) -> Image:
        """A store has its copy."""
        return replace(self._without(location.store), locations=(*self.locations, location))

    def not_copied(self, store: str) -> Image:
        """A store could not take it, and the import goes on with the others."""
        after = self._without(store)
        marks = after.importing or Importing()
        return replace(after, importing=replace(marks, stores_failed=(*marks.stores_failed, store)))

    def finish_import(self, digests: Digests | None) -> Image:
        """The copies are made. ``digests`` None: it was active already, with other copies."""
        marks = replace(self.importing or Importing(), task=None, stores_left=(), formats=(), properties=())
        if digests is None:
            return replace(self, importing=marks)
        return replace(self.finish_upload(digests, self.locations), importing=marks, staged=None)

    def fail_import(self, stable: Status, last_error: str, copies: frozenset[str]) -> Image:
        """Back to ``stable``, without the copies in these stores."""
        before = self.importing or Importing()
        marks = replace(before, task=None, stores_left=(), formats=(), properties=())
        own = {**self.properties, **dict(before.properties)}
        # a damaged copy in one of these stores is older than the import
        kept = replace(
            self,
            locations=tuple(x for x in self.locations if x.store not in copies or x.status is LocationStatus.DAMAGED),
            importing=marks,
            properties={name: own[name] for name in own if (name, None) not in before.properties},
        )
        if stable in (Status.ACTIVE, Status.DEACTIVATED):
            return kept
        if before.formats:
            kept = replace(kept, disk_format=before.formats[0], container_format=before.formats[1])
        return kept.give_up(stable, last_error)

    def _without(self, store: str) -> Image:
        marks = self.importing or Importing()
        return replace(self, importing=replace(marks, stores_left=tuple(x for x in marks.stores_left if x != store)))

    def attach(self, data: Attachment, at: int | None = None, *, to: Status = Status.ACTIVE) -> Image:
        """With one more copy, behind ``at`` others (None: behind all). A queued image goes on to ``to`` by its first
        one.

        Raises WrongStatus, Invalid (a location twice, another size), Conflict (another hash, other formats than it was
        inspected as)."""
        self.require(Status.QUEUED, Status.ACTIVE)
        if data.formats not in (None, (self.disk_format, self.container_format)):
            raise errors.Conflict(
                "disk_format or container_format has changed while the data at the location was looked at; try again"
            )
        if any(x.url == data.location.url for x in self.locations):
            raise errors.Invalid(f"image {self.id} has this location already")
        if self.size is not None and self.size != data.size:
            raise errors.Invalid(f"the data at the location has {data.size} bytes, the image {self.size}")
        for name in ("checksum", "hash_algo", "hash_value"):
            expected, known = getattr(data, name), getattr(self, name)
            if expected is not None and known is not None and expected != known:
                raise errors.Conflict(f"validation_data: the image's {name} is {known}, not {expected}")
        places = len(self.locations) if at is None else at
        locations = (*self.locations[:places], data.location, *self.locations[places:])
        if self.status is Status.ACTIVE:
            return replace(self, locations=locations)
        self.require_formats()
        known = self._with_digests(data).to(to)
        return replace(known, locations=locations, unproved=data.unproved, last_error=None)

    def drop(self, url: str, *, deactivated: bool = False) -> Image:
        """One copy is marked: nobody reads it any more. ``deactivated``: also of a deactivated image. Raises
        WrongStatus, LastLocation."""
        self.require(Status.ACTIVE, *([Status.DEACTIVATED] if deactivated else []))
        if not any(x.url != url for x in self.good_locations):
            raise errors.LastLocation(f"image {self.id}: its last copy can't be removed; delete the image instead")
        return replace(self, locations=tuple(x.drop() if x.url == url else x for x in self.locations))

    def dropped(self) -> Image:
        """Without the marked copies: their bytes are gone."""
        return replace(self, locations=self.live_locations)

    def undo_drop(self) -> Image:
        """The marked copies could not be removed: they are as good, or as bad, as before."""
        return replace(self, locations=tuple(x.undo_drop() for x in self.locations))

    def _require_unprotected(self) -> None:
        if self.protected:
            raise errors.ProtectedImage(f"image {self.id} is protected: set protected to false before deleting it")

    def begin_delete(self) -> Image:
        self._require_unprotected()
        return replace(self.to(Status.DELETING), locations=self._turned(LocationStatus.ACTIVE, LocationStatus.DELETING))

    def undo_delete(self, stable: Status) -> Image:
        """The backend refused to let the bytes go (in use): the image is as it was, and a copy that was being removed
        before that, too."""
        return self.to(stable).undo_drop()

    def postpone_delete(self) -> Image:
        """Deleted for everybody, but its data stays for a while. Raises ProtectedImage, WrongStatus."""
        self._require_unprotected()
        return replace(
            self.to(Status.PENDING_DELETE),
            status_before_delete=self.status,
            locations=self._turned(LocationStatus.ACTIVE, LocationStatus.PENDING_DELETE),
        )

    def restore(self) -> Image:
        """As it was before it was deleted. Raises WrongStatus."""
        self.require(Status.PENDING_DELETE)
        return replace(
            self.to(self.status_before_delete or Status.ACTIVE),
            status_before_delete=None,
            locations=self._turned(LocationStatus.PENDING_DELETE, LocationStatus.ACTIVE),
        )

    # -- what audits find --------------------------------------------------------------------------
    def marked(self, url: str, status: LocationStatus) -> Image:
        """With the copy at ``url`` found damaged, or good again."""
        return replace(self, locations=tuple(replace(x, status=status) if x.url == url else x for x in self.locations))

    def without(self, url: str) -> Image:
        """The copy at ``url`` is gone."""
        return replace(self, locations=tuple(x for x in self.locations if x.url != url))

    def _turned(self, old: LocationStatus, new: LocationStatus) -> tuple[Location, ...]:
        return tuple(replace(x, status=new) if x.status is old else x for x in self.locations)

    def deactivate(self) -> Image:
        if self.status is Status.DEACTIVATED:
            return self
        if self.status is not Status.ACTIVE:
            raise errors.Forbidden(f"image {self.id} is {self.status.value}: only an active image can be deactivated")
        return replace(self.to(Status.DEACTIVATED), last_error=None)

    def proved(self, digests: Digests) -> Image:
        """All of its data was read, and is what it is said to be."""
        found = replace(self._with_digests(digests), unproved=False)
        return found.to(Status.ACTIVE) if self.status is Status.IMPORTING else found

    def found_bad(self, last_error: str) -> Image:
        """Its data is not safe, or not what it is said to be: nobody uses it, until an administrator says otherwise,
        also when it is had back from the trash."""
        bad = replace(self, last_error=last_error)
        if self.status is Status.PENDING_DELETE:
            return replace(bad, status_before_delete=Status.DEACTIVATED)
        return bad.to(Status.DEACTIVATED) if self.status is Status.ACTIVE else bad

    def reactivate(self, *, admin: bool) -> Image:
        """Raises Forbidden."""
        if self.status is Status.ACTIVE:
            return self
        if self.status is not Status.DEACTIVATED:
            raise errors.Forbidden(
                f"image {self.id} is {self.status.value}: only a deactivated image can be reactivated"
            )
        if self.last_error is not None and not admin:
            raise errors.Forbidden(
                f"image {self.id} was deactivated by the service, as its data was found to be bad ({self.last_error}):"
                " only an administrator can reactivate it"
            )
        return replace(self.to(Status.ACTIVE), last_error=None)
