"""Data that lies in a store already, and dropping one copy of several."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace

from glancecore.domain import errors, fields, patch
from glancecore.domain.context import Context
from glancecore.domain.events import EventType, ImageEvent, task_events
from glancecore.domain.image import Attachment, Image, Location, LocationStatus, Status
from glancecore.domain.lease import Lease, Operation
from glancecore.domain.quota import Limits
from glancecore.domain.task import Task, TaskStatus, TaskType
from glancecore.features.images.location_hashing import LocationHashing
from glancecore.features.images.location_lookup import LocationLookup, NamedLocation, named_again
from glancecore.kernel.lookups import Lookups
from glancecore.kernel.operations import Operations
from glancecore.kernel.retrying import on_concurrent_change
from glancecore.kernel.transfer.blobs import Blobs
from glancecore.kernel.transfer.inspection import InspectionRules
from glancecore.kernel.transfer.stores import Stores
from glancecore.policies.authorizer import Authorizer
from glancecore.ports.quota import Quota
from glancecore.ports.repository import Change, ImageRepository, LeaseEnded, WithinLimits
from glancecore.ports.task_repository import TaskAdded
from glancecore.sdk.checkpoints import checkpoint


@dataclass(frozen=True, slots=True)
class LocationSettings:
    """The operator's choices. ``by_patch``: locations may be changed by PATCH; ``hashing``: data of added locations is
    read and hashed; ``limit``: most locations of an image, None for no limit."""

    by_patch: bool
    hashing: bool
    limit: int | None
    algorithm: str
    inspection: InspectionRules


@dataclass(slots=True)
class Effects:
    """What a change of locations brings with it: ``changes`` for the same commit, which is made in its ``with`` block.
    Then its work begins; when the commit fails, no lease of it is kept alive."""

    changes: list[Change] = field(default_factory=list)
    follow: Callable[[], None] = lambda: None
    give_up: Callable[[], None] = lambda: None
    #: It goes on after ``follow`` has returned.
    background: bool = False

    def __enter__(self) -> Effects:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is None:
            self.follow()
        else:
            self.give_up()


class Locations:
    def __init__(
        self,
        repository: ImageRepository,
        authorizer: Authorizer,
        quota: Quota,
        stores: Stores,
        operations: Operations,
        hashing: LocationHashing,
        lookups: Lookups,
        settings: LocationSettings,
    ) -> None:
        self._repository = repository
        self._policy = authorizer
        self._quota = quota
        self._stores = stores
        self._blobs = Blobs(repository, stores)
        self._lookup = LocationLookup(
            stores, self._blobs, lookups, hashing=settings.hashing, inspection=settings.inspection
        )
        self._leases = operations.leases
        self._hashing = hashing
        self._settings = settings
        self._writer = operations.writer
        self.when_read: Callable[[Image], None] = lambda _: None  # told each image whose locations were read

    # -- use cases ---------------------------------------------------------------------------------
    def list(self, ctx: Context, image_id: str) -> Sequence[Location]:
        """Where the image's copies lie. Raises ImageNotFound, Forbidden."""
        image = self._image(ctx, image_id)
        self._policy.authorize(ctx, "fetch_image_location", image)
        self.when_read(image)
        return self._stores.by_preference(image.good_locations)

    def add(self, ctx: Context, image_id: str, read: Callable[[], NamedLocation]) -> None:
        """Make data that lies in a store already the data of a queued image.

        It becomes active at once and is hashed behind the caller's back; with an expected hash it is importing until
        the data has been found to have it. With hashing switched off an expected hash is believed, unless others may
        change the data. The caller's wish is read when he may do it. Raises ImageNotFound, Forbidden, WrongStatus,
        Invalid, BadLocation, BadContent, Conflict (another image's data), ServerBusy, QuotaExceeded."""
        image = self._image(ctx, image_id)
        self._policy.authorize(ctx, "add_image_location", image)
        image.require(Status.QUEUED)
        image.require_formats()
        wanted = read()
        (data,) = self._lookup.find(ctx, [(image, wanted, self._lookup.readers(ctx, wanted))])
        if data.hash_algo is None and self._lookup.hashes(data.location):
            data = replace(data, hash_algo=self._settings.algorithm)  # so that clients see which hash is on its way
        saved = self._writer.image(image, image.attach(data, to=Status.IMPORTING if data.unproved else Status.ACTIVE))
        with self.effects(image, saved.after) as effects:
            task = self._task(ctx, saved.after, data)
            if not effects.background:
                task = task.succeed(task.created_at, {"image_id": image.id})
            event = ImageEvent(EventType.IMAGE_UPDATE if data.unproved else EventType.IMAGE_ACTIVATE, saved.after)
            try:
                self._writer.save(saved, TaskAdded(task), *effects.changes, events=[event, *task_events(None, task)])
            except errors.ConcurrentChange as exc:
                raise errors.WrongStatus(f"image {image.id} has changed meanwhile; look at its status") from exc
            checkpoint("location.after_intent")

    def remove_copy(self, ctx: Context, image_id: str, store_id: str) -> None:
        """Remove the copies that one store holds. Raises ImageNotFound, Conflict (no such store), Forbidden,
        LocationNotFound, WrongStatus, StoreError."""
        image = self._image(ctx, image_id)
        if store_id not in self._stores.ids:
            raise errors.Conflict(f"no store {store_id!r}; there are: {', '.join(self._stores.ids)}")
        self._policy.authorize(ctx, "delete_image_location", image)
        self._remove_copy(ctx, image_id, store_id)

    @on_concurrent_change
    def _remove_copy(self, ctx: Context, image_id: str, store_id: str) -> None:
        image = self._repository.get(image_id, ctx.viewer)
        there = [x.url for x in image.live_locations if x.store == store_id]
        if not there:
            raise errors.LocationNotFound(f"image {image_id} has no copy in store {store_id}")
        after = image
        for url in there:
            after = after.drop(url)
        saved = self._writer.image(image, after)
        with self.effects(image, saved.after) as effects:
            self._writer.save(saved, *effects.changes, events=[ImageEvent(EventType.IMAGE_UPDATE, saved.after)])

    @on_concurrent_change
    def leave(self, image_id: str, store_id: str, kept: str) -> None:
        """Remove the copies that one store holds of an image that has a good one at the URL ``kept``, for the service's
        own reasons; also of a deactivated image. Raises ImageNotFound, WrongStatus, LastLocation, ImageBusy, BlobInUse
        and other StoreErrors (they stay)."""
        image = self._repository.get_any(image_id)
        if not any(x.url == kept and x.store != store_id for x in image.good_locations):
            raise errors.LastLocation(
                f"image {image_id}: its copy in another store is gone, so that in store {store_id} stays"
            )
        after = image
        for location in image.good_locations:
            if location.store == store_id:
                after = after.drop(location.url, deactivated=True)
        if after == image:
            return
        saved = self._writer.image(image, after)
        with self.effects(image, saved.after) as effects:
            self._writer.save(saved, *effects.changes, events=[ImageEvent(EventType.IMAGE_UPDATE, saved.after)])
            checkpoint("move.marked")

    @on_concurrent_change
    def measure(self, image: Image, *, dry_run: bool) -> int | None:
        """Find the virtual size of an image that has none, by its data's beginning, and note it. None when that does
        not tell.

        Raises ImageNotFound, BadContent, StoreError."""
        image = self._repository.get_any(image.id)
        if image.virtual_size is not None or image.size is None or not image.good_locations:
            return image.virtual_size
        location = self._stores.by_preference(image.good_locations)[0]
        found = self._lookup.look_at(self._stores.holding(location), location.url, image.size, image, lambda: None)
        if found is not None and not dry_run:
            self._writer.save(self._writer.image(image, replace(image, virtual_size=found)))
        return found

    @on_concurrent_change
    def rename(self, image: Image, *, dry_run: bool) -> bool:
        """Note the canonical URLs of an image's copies, which another service or other settings may have written in
        another way. False when they are. Raises ImageNotFound."""
        if self._stores.renamed(image) == image:
            return False
        image = self._repository.get_any(image.id)
        after = self._stores.renamed(image)
        if after == image or any(x.status is LocationStatus.DELETING for x in image.locations):
            return False
        if not dry_run:
            self._writer.save(self._writer.image(image, after))
        return True

    # -- for PATCH ---------------------------------------------------------------------------------
    def looked_up(
        self, ctx: Context, image: Image, operations: Sequence[patch.PatchOperation]
    ) -> Sequence[patch.PatchOperation]:
        """The operations of a patch, with the locations that they name found in their stores. Permission and number are
        asked for first.

        Raises Forbidden, Invalid, LimitExceeded, BadLocation, BadContent, ServerBusy (too many look-ups at once), and
        Conflict for wrong ``validation_data`` and another image's data."""
        ours = [x for x in operations if x.name == fields.LOCATIONS]
        for operation in ours:
            self._check(ctx, image, operation)
        known = {x.url: x for x in image.live_locations}
        new: list[tuple[Image, NamedLocation]] = []
        typed = image
        for operation in operations:
            if operation.name in patch.FORMATS:  # what is named behind it is of that format
                typed = replace(typed, **{operation.name: operation.value})  # type: ignore[arg-type]
            elif operation in ours:  # what is known is sent back as it was read, or refused as a duplicate later
                new += [(typed, x) for x in _named([operation]) if x.url not in known]
        self._check_number(len(known) + len(new))
        found = iter(self._lookup.find(ctx, [(of, x, self._lookup.readers(ctx, x)) for of, x in new]))

        def attachment(wanted: NamedLocation) -> Attachment:
            return named_again(image, known[wanted.url], wanted) if wanted.url in known else next(found)

        return [
            replace(x, value=_each(x.value, attachment))
            if x.name == fields.LOCATIONS and x.op is not patch.Op.REMOVE
            else x
            for x in operations
        ]

    def order(self, locations: Sequence[Location]) -> Sequence[Location]:
        """As callers see them."""
        return self._stores.by_preference(locations)

    def effects(self, before: Image, after: Image) -> Effects:
        """What must be done with a change from ``before`` to ``after``. Raises LimitExceeded."""
        if before.locations == after.locations:
            return Effects()
        changes: list[Change] = []
        if len(after.live_locations) > len(before.live_locations):
            self._check_number(len(after.live_locations))
            most = self._quota.limits(after.owner).bytes
            if most is not None:
                changes.append(WithinLimits(after.owner, Limits(bytes=most)))
        if any(x.status is LocationStatus.DELETING for x in after.locations):
            lease = self._leases.new(after, Operation.DROP_LOCATION, Status.ACTIVE)
            return Effects(
                [*changes, self._leases.taken(lease)],
                lambda: self.finish_drop(lease),
                lambda: self._leases.forget(lease),
            )
        if before.status is Status.QUEUED and any(map(self._lookup.hashes, after.locations)):
            lease = self._leases.new(after, Operation.HASH, Status.QUEUED)
            return Effects(
                [*changes, self._leases.taken(lease)],
                lambda: self._hashing.start(lease),
                lambda: self._leases.forget(lease),
                background=True,
            )
        return Effects(changes)

    def finish_drop(self, lease: Lease) -> None:
        """Remove the marked copies' bytes, then their locations. Also called by the reaper. Raises StoreError: they
        stay."""
        try:
            try:
                image = self._repository.get_any(lease.image_id)
                for location in image.locations:
                    if location.status is LocationStatus.DELETING:
                        self._blobs.remove(image, location)
            except errors.StoreError:
                self._end_drop(lease, Image.undo_drop)
                raise
            checkpoint("drop.after_bytes")
            self._end_drop(lease, Image.dropped)
        finally:
            self._leases.forget(lease)

    # -- inside ------------------------------------------------------------------------------------
    @on_concurrent_change
    def _end_drop(self, lease: Lease, change: Callable[[Image], Image]) -> None:
        image = self._repository.get_any(lease.image_id)
        if image.status is Status.DELETING:
            raise errors.LeaseLost(f"image {image.id} is being deleted")
        self._writer.save(self._writer.image(image, change(image)), LeaseEnded(lease))

    def _check(self, ctx: Context, image: Image, operation: patch.PatchOperation) -> None:
        """All that can be said of an operation on locations before a store is asked."""
        if not self._settings.by_patch:
            raise errors.Forbidden("locations can't be changed by PATCH here: show_multiple_locations is off")
        removing = operation.op is patch.Op.REMOVE
        self._policy.authorize(ctx, "delete_image_location" if removing else "set_image_location", image)
        if removing:
            return
        if not (operation.op is patch.Op.REPLACE and image.live_locations):
            image.require(Status.QUEUED, Status.ACTIVE)
        for wanted in _named([operation]):
            ours = self._settings.algorithm  # all images have the same
            if wanted.hash_algo not in (None, ours):
                raise errors.Conflict(f"validation_data: os_hash_algo must be {ours}, not {wanted.hash_algo}")

    def _check_number(self, count: int) -> None:
        if self._settings.limit is not None and count > self._settings.limit:
            raise errors.LimitExceeded(f"{count} locations; image_location_quota allows {self._settings.limit}")

    def _task(self, ctx: Context, image: Image, data: Attachment) -> Task:
        """What the image's tasks tell of it. Only a web server's URL is shown: others are for services and
        administrators."""
        told: dict[str, object] = (
            {"loc_url": data.location.url} if not self._stores.vouch(data.location) else {"store": data.location.store}
        )
        if data.hash_value is not None:
            told["validation_data"] = {"os_hash_algo": data.hash_algo, "os_hash_value": data.hash_value}
        return Task(
            str(uuid.uuid4()),
            TaskType.LOCATION_IMPORT,
            image.updated_at,
            image.updated_at,
            TaskStatus.PROCESSING,
            image.owner,
            image.id,
            ctx.user,
            ctx.request_id,
            told,
        )

    def _image(self, ctx: Context, image_id: str) -> Image:
        image = self._repository.get(image_id, ctx.viewer)
        self._policy.authorize(ctx, "get_image", image)
        return image


def _named(operations: Iterable[patch.PatchOperation]) -> list[NamedLocation]:
    """The locations that operations name."""
    found: list[NamedLocation] = []
    for operation in operations:
        for each in operation.value if isinstance(operation.value, list) else [operation.value]:
            if isinstance(each, NamedLocation):
                found.append(each)
            elif operation.op is not patch.Op.REMOVE:
                raise TypeError("operations on locations have named locations as values")
    return found


def _each(value: object, attachment: Callable[[NamedLocation], Attachment]) -> object:
    """The value of an operation, a NamedLocation or a list of them, as Attachments."""
    if isinstance(value, list):
        return [attachment(x) for x in value]
    return attachment(value) if isinstance(value, NamedLocation) else value
