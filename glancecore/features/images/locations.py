"""Data that lies in a store already, and dropping one copy of several."""

from __future__ import annotations

import contextlib
import logging
import uuid
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from urllib.parse import urlsplit

from glancecore.domain import errors, fields, patch
from glancecore.domain.context import Context
from glancecore.domain.events import EventType, ImageEvent, task_events
from glancecore.domain.image import Attachment, Image, Location, LocationStatus, Status
from glancecore.domain.lease import Lease, Operation
from glancecore.domain.quota import Limits
from glancecore.domain.task import Task, TaskStatus, TaskType
from glancecore.features.images.location_hashing import LocationHashing
from glancecore.kernel.lookups import Check, Lookups
from glancecore.kernel.operations import Operations
from glancecore.kernel.retrying import on_concurrent_change
from glancecore.kernel.transfer.blobs import Blobs
from glancecore.kernel.transfer.inspection import InspectionRules, Inspector
from glancecore.kernel.transfer.store_facade import StoreFacade
from glancecore.kernel.transfer.stores import Stores
from glancecore.policies.authorizer import Authorizer
from glancecore.ports.quota import Quota
from glancecore.ports.repository import Change, ImageRepository, LeaseEnded, WithinLimits
from glancecore.ports.store import Cap
from glancecore.ports.task_repository import TaskAdded
from glancecore.sdk.checkpoints import checkpoint

LOG = logging.getLogger(__name__)
#: URLs that a caller may never name: they lead into the service's own machine, or to credentials of its configuration.
REFUSED_SCHEMES = frozenset({"file", "filesystem", "swift+config"})
#: Bytes that are read of data at a location before it is taken: enough to tell its format.
HEAD = 4 << 20


@dataclass(frozen=True, slots=True)
class NamedLocation:
    """A location as a caller gives it. ``checksum`` (md5) and the hash are what its data must have, lower-case hex."""

    url: str = field(repr=False)
    metadata: Mapping[str, str] = field(default_factory=dict)
    checksum: str | None = None
    hash_algo: str | None = None
    hash_value: str | None = None


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
        self._leases = operations.leases
        self._hashing = hashing
        self._lookups = lookups
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
        (data,) = self._look_up(ctx, [(image, wanted, self._readers(ctx, wanted))])
        if data.hash_algo is None and self._hashes(data.location):
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
        found = self._look_at(self._stores.holding(location), location.url, image.size, image, lambda: None)
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
        found = iter(self._look_up(ctx, [(of, x, self._readers(ctx, x)) for of, x in new]))

        def attachment(wanted: NamedLocation) -> Attachment:
            return _again(image, known[wanted.url], wanted) if wanted.url in known else next(found)

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
        if before.status is Status.QUEUED and any(map(self._hashes, after.locations)):
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
            if (
                wanted.hash_algo is not None and wanted.hash_algo != self._settings.algorithm
            ):  # all images have the same
                raise errors.Conflict(
                    f"validation_data: os_hash_algo must be {self._settings.algorithm}, not {wanted.hash_algo}"
                )

    def _check_number(self, count: int) -> None:
        if self._settings.limit is not None and count > self._settings.limit:
            raise errors.LimitExceeded(f"{count} locations; image_location_quota allows {self._settings.limit}")

    def _readers(self, ctx: Context, wanted: NamedLocation) -> Sequence[StoreFacade]:
        """The stores that read such URLs, of those that the caller may name data in; nobody is asked. Raises
        BadLocation, UnknownStore, Forbidden."""
        scheme = _scheme(wanted.url)
        if scheme in REFUSED_SCHEMES:
            raise errors.BadLocation(f"url: {scheme}:// locations are made by the service only")
        named = wanted.metadata.get("store")
        readers = [x for x in ([self._stores.get(named)] if named else self._stores) if scheme in x.schemes]
        if not readers:
            raise errors.BadLocation(
                f"url: no store here reads {scheme or 'such'} locations"
                if not named
                else f"url: store {named} reads no {scheme or 'such'} locations"
            )
        allowed = readers if "service" in ctx.roles else [x for x in readers if x.offers(Cap.EXTERNAL)]
        if not allowed:
            raise errors.Forbidden(
                "only a service may add a location in a store of the cloud; yours must be on a web server"
            )
        return allowed

    def _look_up(
        self, ctx: Context, wanted: Sequence[tuple[Image, NamedLocation, Sequence[StoreFacade]]]
    ) -> Sequence[Attachment]:
        """Ask the stores, for all of them within one time limit. Raises BadLocation, BadContent, Conflict (another
        image's bytes), ServerBusy (too many at once)."""
        if not wanted:
            return ()
        return self._lookups.run(
            lambda check: [self._find(image, location, readers, check) for image, location, readers in wanted],
            ctx.project,
            outside=any(x.offers(Cap.EXTERNAL) for _, _, readers in wanted for x in readers),
        )

    def _find(self, image: Image, wanted: NamedLocation, readers: Sequence[StoreFacade], check: Check) -> Attachment:
        failure: errors.StoreError | None = None
        for store in readers:
            check()
            try:
                url = store.canonical(wanted.url)
                known = next((x for x in image.live_locations if (x.store, x.url) == (store.id, url)), None)
                if known is not None:
                    return _again(image, known, wanted)
                if store.draining:
                    raise errors.Conflict(f"url: it leads to store {store.id}, which is draining: it takes no new data")
                self._blobs.check_free(image, store, url)
                size = store.size(url)
                virtual_size = self._look_at(store, url, size, image, check)
            except errors.StoreError as exc:
                failure = exc
                continue
            location = Location(url, store.id, {**wanted.metadata, "store": store.id})
            return Attachment(
                location,
                size,
                virtual_size,
                wanted.checksum,
                wanted.hash_algo,
                wanted.hash_value,
                (image.disk_format, image.container_format),
                unproved=wanted.hash_value is not None and self._hashes(location),
            )
        raise errors.BadLocation(f"url does not pass filtering: {failure}") from failure

    def _hashes(self, location: Location) -> bool:
        """Whether its data is read and hashed before or after it is used: always when others may change it."""
        return self._settings.hashing or not self._stores.vouch(location)

    def _look_at(self, store: StoreFacade, url: str, size: int, image: Image, check: Check) -> int | None:
        """Inspect the beginning; the whole is inspected when it is hashed."""
        inspector = Inspector(image.disk_format or "", image.container_format or "", self._settings.inspection)
        if size:
            with contextlib.closing(store.open(url, 0, min(size, HEAD))) as pieces:
                for piece in pieces:
                    check()
                    inspector.update(piece)
        if size <= HEAD:
            return inspector.finish()
        if inspector.wants_end:
            with contextlib.closing(store.open(url, size - 512, 512)) as end:
                return inspector.ends(size, b"".join(end))
        return inspector.so_far() or (size if image.disk_format in ("raw", "iso") else None)

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


def _again(image: Image, known: Location, wanted: NamedLocation) -> Attachment:
    """A location that the image has; what is said of it may change."""
    return Attachment(replace(known, metadata={**wanted.metadata, "store": known.store}), image.size or 0)


def _scheme(url: str) -> str:
    try:
        return urlsplit(url).scheme
    except ValueError:
        return ""
