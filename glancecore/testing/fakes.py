"""In-memory ports for tests of use cases. They pass the same kits as real drivers."""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from glancecore.domain import errors, metadata
from glancecore.domain.context import EVERYTHING, Viewer
from glancecore.domain.image import HIDDEN, Image, Status, Visibility
from glancecore.domain.lease import Lease, Operation
from glancecore.domain.member import Member
from glancecore.domain.quota import Usage, exceeded, weigh
from glancecore.domain.task import Task
from glancecore.ports import outbox_repository as outbox_port
from glancecore.ports import record_repository as record_port
from glancecore.ports import repository as port
from glancecore.ports import task_repository as task_port
from glancecore.ports import unlisted
from glancecore.ports.job_repository import JobRecord, JobRepository
from glancecore.ports.options import Section
from glancecore.ports.place_repository import PlaceRepository, StorePlaces
from glancecore.testing import memory_records
from glancecore.testing.memory_metadefs import MemoryMetadefs
from glancecore.testing.memory_outbox import Kept, MemoryOutbox, record


@dataclass(slots=True)
class _State:
    images: dict[str, Image] = field(default_factory=dict)
    members: dict[tuple[str, str], Member] = field(default_factory=dict)
    #: With the moment of expiry, by the monotonic clock.
    leases: dict[str, tuple[Lease, float]] = field(default_factory=dict)
    removed: dict[str, datetime] = field(default_factory=dict)
    tasks: dict[str, Task] = field(default_factory=dict)
    outbox: Kept = field(default_factory=dict)
    records: memory_records.Kept = field(default_factory=dict)

    def copy(self) -> _State:
        return _State(
            dict(self.images),
            dict(self.members),
            dict(self.leases),
            dict(self.removed),
            dict(self.tasks),
            dict(self.outbox),
            dict(self.records),
        )


class MemoryDatabase(port.Database):
    """Everything in dicts: each question looks at all images, each commit works on a copy."""

    def __init__(self, conf: Section | None = None) -> None:
        super().__init__(conf)  # type: ignore[arg-type]  # it has no options
        self.images: MemoryImages = MemoryImages()
        self.metadefs: MemoryMetadefs = MemoryMetadefs(lambda x: self.images.commit(x))  # noqa: PLW0108 - the tests put other images in
        self.jobs: MemoryJobs = MemoryJobs()
        self.places: MemoryPlaces = MemoryPlaces(self)

    @property
    def tasks(self) -> MemoryTasks:  # type: ignore[override]  # the tests put other images in
        return MemoryTasks(self.images)

    @property
    def records(self) -> memory_records.MemoryRecords:  # type: ignore[override]
        return memory_records.MemoryRecords(self.images)

    @property
    def outbox(self) -> MemoryOutbox:  # type: ignore[override]
        return MemoryOutbox(self.images)

    def ping(self) -> None:
        pass

    def sync(self, revision: str = "head") -> None:
        pass

    def version(self) -> str | None:
        return self.head()

    def head(self) -> str:
        return "1"

    def purge(self, before: datetime, limit: int | None = 100) -> int:
        with self.images.lock:
            removed = self.images.state.removed
            old = sorted((at, id_) for id_, at in removed.items() if at < before)[:limit]
            for _, id_ in old:
                del removed[id_]
        return len(old)

    def close(self) -> None:
        pass


class MemoryImages(port.ImageRepository):
    def __init__(self) -> None:
        self.lock = threading.RLock()
        self.state = _State()
        #: Usage is never kept here but always counted, so it is only wrong by what a test puts here.
        self.miscounted: dict[str | None, Usage] = {}

    # -- reads -------------------------------------------------------------------------------------
    def get(self, image_id: str, viewer: Viewer = EVERYTHING) -> Image:
        image = self._seen_by(self.get_any(image_id), viewer)
        if not self.visible(image, viewer):
            raise errors.ImageNotFound(f"no image {image_id}")
        return image

    def get_any(self, image_id: str) -> Image:
        image = self.state.images.get(image_id)
        if image is None:
            raise errors.ImageNotFound(f"no image {image_id}")
        return image

    def find(self, query: port.ImageQuery) -> port.ImagePage:
        with self.lock:
            seen = [self._seen_by(x, query.viewer) for x in self.state.images.values()]
            found = [x for x in seen if self.listed(x, query)]
            marker = None
            if query.marker is not None:
                try:
                    marker = self.get(query.marker, query.viewer)
                except errors.ImageNotFound:
                    raise errors.UnknownMarker(f"marker {query.marker} is no image that you can see") from None
        if marker is not None and all(x.id != marker.id for x in found):
            found.append(marker)
        self.sort(found, query)
        start = 0 if marker is None else [x.id for x in found].index(marker.id) + 1
        if query.limit <= 0:
            return port.ImagePage()
        window = found[start : start + query.most]
        page = [x for x in window if self.matches(x, query)][: query.limit]
        before = itertools.accumulate((metadata.size(x) for x in page), initial=0)
        page = [x for x, count in zip(page, before, strict=False) if query.max_bytes is None or count < query.max_bytes]
        return port.ImagePage.ended(page, query, window[-1].id if len(found) > start + query.most else None)

    def versions(self, image_ids: Sequence[str]) -> dict[str, int]:
        with self.lock:
            return {x.id: x.version for x in self.state.images.values() if x.id in image_ids}

    def has_name(self, name: str, project: str | None) -> bool:
        with self.lock:
            return any(
                x.name == name
                and x.status not in HIDDEN
                and (self.own(x, Viewer(project)) or x.visibility in (Visibility.PUBLIC, Visibility.SHARED))
                for x in self.state.images.values()
            )

    def member(self, image_id: str, member: str) -> Member:
        try:
            return self.state.members[image_id, member]
        except KeyError:
            raise errors.MemberNotFound(f"{member} is no member of image {image_id}") from None

    def members(self, image_id: str) -> list[Member]:
        with self.lock:
            return sorted((x for x in self.state.members.values() if x.image_id == image_id), key=lambda x: x.member)

    def usage(self, project: str | None) -> Usage:
        with self.lock:
            return self._usage(self.state, project)

    def projects(self) -> list[str | None]:
        with self.lock:
            return sorted({x.owner for x in self.state.images.values()} | set(self.miscounted), key=lambda x: x or "")

    def recount(self, project: str | None, *, mend: bool) -> tuple[Usage, Usage]:
        with self.lock:
            true = sum((weigh(x) for x in self.state.images.values() if x.owner == project), Usage())
            kept = true + self.miscounted.get(project, Usage())
            if mend:
                self.miscounted.pop(project, None)
        return kept, true

    def located(self, url: str) -> list[str]:
        with self.lock:
            return sorted(x.id for x in self.state.images.values() if any(y.url == url for y in x.locations))

    def lease(self, image_id: str) -> Lease | None:
        return self.state.leases.get(image_id, (None, 0.0))[0]

    def leases(self, after: str = "", limit: int = 100) -> list[Lease]:
        with self.lock:
            return sorted((x for x, _ in self.state.leases.values() if x.image_id > after), key=lambda x: x.image_id)[
                :limit
            ]

    def expired(self, limit: int = 100) -> list[Lease]:
        with self.lock:
            old = sorted((at, x.image_id) for x, at in self.state.leases.values() if at < time.monotonic())
            return [self.state.leases[id_][0] for _, id_ in old[:limit]]

    def unleased(self, limit: int = 100) -> list[Image]:
        with self.lock:
            left = [
                x
                for x in self.state.images.values()
                if x.id not in self.state.leases and x.status in (Status.SAVING, Status.IMPORTING, Status.DELETING)
            ]
        return sorted(left, key=lambda x: (x.updated_at, x.id))[:limit]

    def scan(self, statuses: frozenset[Status], after: str = "", limit: int = 100) -> list[Image]:
        with self.lock:
            found = [x for x in self.state.images.values() if x.status in statuses and x.id > after]
        return sorted(found, key=lambda x: x.id)[:limit]

    def pending(self, before: datetime, limit: int = 100) -> list[Image]:
        with self.lock:
            found = [
                x for x in self.state.images.values() if x.status is Status.PENDING_DELETE and x.updated_at < before
            ]
        return sorted(found, key=lambda x: (x.updated_at, x.id))[:limit]

    def deleted(self, project: str | None, behind: Image | None = None, limit: int = 100) -> list[Image]:
        def place(image: Image) -> tuple[datetime, datetime, str]:
            return image.updated_at, image.created_at, image.id

        with self.lock:
            found = [x for x in self.state.images.values() if x.status is Status.PENDING_DELETE and x.owner == project]
        return sorted((x for x in found if behind is None or place(x) < place(behind)), key=place, reverse=True)[:limit]

    # -- who sees what -----------------------------------------------------------------------------
    def _seen_by(self, image: Image, viewer: Viewer) -> Image:
        is_member = image.visibility is Visibility.SHARED and (image.id, viewer.project) in self.state.members
        return replace(image, as_member=viewer.project if is_member else None)

    def visible(self, image: Image, viewer: Viewer) -> bool:
        if image.status in HIDDEN:
            return False
        if viewer.admin or self.own(image, viewer) or image.as_member is not None:
            return True
        if image.owner is None:
            return image.visibility is not Visibility.PRIVATE
        return image.visibility in (Visibility.PUBLIC, Visibility.COMMUNITY)

    def own(self, image: Image, viewer: Viewer) -> bool:
        return viewer.project is not None and image.owner == viewer.project

    def listed(self, image: Image, query: port.ImageQuery) -> bool:
        """Whether the image is in the asked list before any filter."""
        viewer, wanted = query.viewer, query.visibility
        if not self.visible(image, viewer) or image.hidden is not query.hidden:
            return False
        own = self.own(image, viewer)
        if wanted is not None and image.visibility is not wanted:
            return False
        if viewer.admin:
            return wanted is not None or query.all_visible or own or image.visibility is not Visibility.COMMUNITY
        if own or image.visibility is Visibility.PUBLIC:
            return own or not self.left(image, query.unlisted_at)
        if image.visibility is Visibility.COMMUNITY:
            return wanted is not None or query.all_visible
        if image.as_member is not None and query.member_status in (None, self.member(image.id, image.as_member).status):
            return True
        return wanted is None and query.all_visible and image.owner is None

    def left(self, image: Image, at: datetime | None) -> bool:
        """Whether it has left the lists of others."""
        record = self.state.records.get((unlisted.COLLECTION, image.id))
        return at is not None and record is not None and str(record.keys[0]) <= unlisted.moment(at)

    def matches(self, image: Image, query: port.ImageQuery) -> bool:
        return (
            all(getattr(image, name) in allowed for name, allowed in query.equal.items())
            and set(query.tags) <= set(image.tags)
            and all(image.properties.get(name) == value for name, value in query.properties.items())
            and all(self.in_time(getattr(image, x.field.value), x) for x in query.times)
            and all(self.in_range(getattr(image, x.field), x) for x in query.ranges)
        )

    def in_time(self, value: datetime, wanted: port.TimeFilter) -> bool:
        ours, theirs = value.replace(microsecond=0), wanted.value.replace(microsecond=0)
        compare: dict[port.TimeOp, bool] = {
            port.TimeOp.GT: ours > theirs,
            port.TimeOp.GTE: ours >= theirs,
            port.TimeOp.LT: ours < theirs,
            port.TimeOp.LTE: ours <= theirs,
            port.TimeOp.EQ: ours == theirs,
            port.TimeOp.NEQ: ours != theirs,
        }
        return compare[wanted.op]

    def in_range(self, value: int | None, wanted: port.RangeFilter) -> bool:
        return (
            value is not None
            and (wanted.minimum is None or value >= wanted.minimum)
            and (wanted.maximum is None or value <= wanted.maximum)
        )

    def sort(self, images: list[Image], query: port.ImageQuery) -> None:
        by_id = port.Sort(port.SortField.ID, query.sort[-1].descending if query.sort else True)
        for key in reversed([*query.sort, by_id]):

            def value(image: Image, name: str = key.field.value) -> tuple[bool, object]:
                found = getattr(image, name)
                return found is not None, found if found is not None else 0

            images.sort(key=value, reverse=key.descending)

    # -- commit ------------------------------------------------------------------------------------
    def commit(self, *changes: port.Change) -> None:
        with self.lock:
            state = self.state.copy()
            for change in changes:
                getattr(self, _APPLY[type(change)])(state, change)
            for change in changes:
                if isinstance(change, port.WithinLimits):
                    self.judge(state, change)
            self.state = state

    def extend(self, holder: str, ttl: float) -> frozenset[str]:
        with self.lock:
            held = [x for x, _ in self.state.leases.values() if x.holder == holder]
            for lease in held:
                self.state.leases[lease.image_id] = (lease, time.monotonic() + ttl)
        return frozenset(x.token for x in held)

    def _usage(self, state: _State, project: str | None) -> Usage:
        stored = sum((weigh(x) for x in state.images.values() if x.owner == project), Usage())
        return (
            stored
            + self.miscounted.get(project, Usage())
            + Usage(bytes=sum(x.reserved for x, _ in state.leases.values() if x.project == project))
        )

    def judge(self, state: _State, change: port.WithinLimits) -> None:
        used, limits = self._usage(state, change.project), change.limits
        name = exceeded(used, limits)
        if name is not None:
            raise errors.QuotaExceeded(f"quota {name} exceeded: this would make {used}, the limit is {limits}")

    def add_image(self, state: _State, change: port.ImageAdded) -> None:
        image = change.image
        if image.id in state.images or image.id in state.removed:
            raise errors.ImageExists(f"image id {image.id} is or was in use")
        state.images[image.id] = replace(image, as_member=None)

    def change_image(self, state: _State, change: port.ImageChanged) -> None:
        before, after = change.before, change.after
        if (after.id, after.created_at, after.version) != (before.id, before.created_at, before.version + 1):
            raise ValueError("after must be the next version of before, with its id and created_at")
        stored = self._image(state, before.id)
        if stored.version != before.version:
            raise errors.ConcurrentChange(f"image {before.id} was changed by somebody else meanwhile")
        state.images[after.id] = replace(after, as_member=None)

    def remove_image(self, state: _State, change: port.ImageRemoved) -> None:
        id_ = self._image(state, change.image.id).id
        del state.images[id_]
        state.members = {key: x for key, x in state.members.items() if x.image_id != id_}
        state.records = {key: x for key, x in state.records.items() if x.image_id != id_}
        state.removed[id_] = change.at

    def _image(self, state: _State, image_id: str) -> Image:
        if image_id not in state.images:
            raise errors.ImageNotFound(f"no image {image_id}")
        return state.images[image_id]

    def add_member(self, state: _State, change: port.MemberAdded) -> None:
        new = change.member
        self._image(state, new.image_id)
        if (new.image_id, new.member) in state.members:
            raise errors.MemberExists(f"{new.member} is a member of image {new.image_id} already")
        state.members[new.image_id, new.member] = new
        count = sum(1 for x in state.members.values() if x.image_id == new.image_id)
        if change.limit is not None and count > change.limit:
            raise errors.QuotaExceeded(f"this would make {count} members, the limit is {change.limit}")

    def change_member(self, state: _State, change: port.MemberChanged) -> None:
        new = change.member
        old = self._member(state, new.image_id, new.member)
        state.members[new.image_id, new.member] = replace(old, status=new.status, updated_at=new.updated_at)

    def remove_member(self, state: _State, change: port.MemberRemoved) -> None:
        self._member(state, change.image_id, change.member)
        del state.members[change.image_id, change.member]

    def _member(self, state: _State, image_id: str, member: str) -> Member:
        if (image_id, member) not in state.members:
            raise errors.MemberNotFound(f"{member} is no member of image {image_id}")
        return state.members[image_id, member]

    def take_lease(self, state: _State, change: port.LeaseTaken) -> None:
        lease = change.lease
        if change.replacing is not None:
            self._held(state, lease.image_id, change.replacing)
        elif lease.image_id in state.leases:
            raise errors.ImageBusy(f"another operation is working on image {lease.image_id}")
        state.leases[lease.image_id] = (lease, time.monotonic() + change.ttl)

    def change_lease(self, state: _State, change: port.LeaseChanged) -> None:
        new = change.lease
        old, until = self._held(state, new.image_id, new.token)
        state.leases[new.image_id] = (replace(old, blobs=new.blobs, reserved=new.reserved, stable=new.stable), until)

    def end_lease(self, state: _State, change: port.LeaseEnded) -> None:
        self._held(state, change.lease.image_id, change.lease.token)
        del state.leases[change.lease.image_id]

    def _held(self, state: _State, image_id: str, token: str) -> tuple[Lease, float]:
        held = state.leases.get(image_id)
        if held is None or held[0].token != token:
            raise errors.LeaseLost(f"the operation no longer holds image {image_id}")
        return held

    def add_task(self, state: _State, change: task_port.TaskAdded) -> None:
        if change.task.id in state.tasks:
            raise errors.TaskExists(f"task id {change.task.id} is in use")
        state.tasks[change.task.id] = change.task

    def change_task(self, state: _State, change: task_port.TaskChanged) -> None:
        before, after = change.before, change.after
        if (after.id, after.type, after.created_at, after.version) != (
            before.id,
            before.type,
            before.created_at,
            before.version + 1,
        ):
            raise ValueError("after must be the next version of before, with its id, type and created_at")
        stored = state.tasks.get(before.id)
        if stored is None:
            raise errors.TaskNotFound(f"no task {before.id}")
        if stored.version != before.version:
            raise errors.ConcurrentChange(f"task {before.id} was changed by somebody else meanwhile")
        state.tasks[after.id] = after

    def record(self, state: _State, change: outbox_port.EventsRecorded) -> None:
        record(state.outbox, change)

    def add_record(self, state: _State, change: record_port.RecordAdded) -> None:
        if change.record.image_id is not None:
            self._image(state, change.record.image_id)
        memory_records.add(state.records, change)

    def change_record(self, state: _State, change: record_port.RecordChanged) -> None:
        if change.after.image_id is not None:
            self._image(state, change.after.image_id)
        memory_records.alter(state.records, change)

    def remove_record(self, state: _State, change: record_port.RecordRemoved) -> None:
        memory_records.remove(state.records, change)

    def at_the_end(self, state: _State, change: port.WithinLimits) -> None:
        """Limits are judged when all else is done."""


class MemoryTasks(task_port.TaskRepository):
    """A view on the same state as the images, so that a commit changes both."""

    def __init__(self, images: MemoryImages) -> None:
        self._images = images

    def get(self, task_id: str) -> Task:
        found = self._images.state.tasks.get(task_id)
        if found is None:
            raise errors.TaskNotFound(f"no task {task_id}")
        return found

    def find(self, query: task_port.TaskQuery) -> list[Task]:
        found = [
            x
            for x in self._alive(query.now)
            if query.owner in (None, x.owner) and query.status in (None, x.status) and query.type in (None, x.type)
        ]
        if query.marker is not None:
            marker = self._images.state.tasks.get(query.marker)
            if marker is None:
                raise errors.UnknownMarker(f"marker {query.marker} is no task")
            if marker not in found:
                found.append(marker)
        keys = [*query.sort, (task_port.TaskSort.ID, query.sort[-1][1] if query.sort else True)]
        for key, descending in reversed(keys):
            found.sort(key=lambda x, name=key.value: getattr(x, name), reverse=descending)  # type: ignore[misc]
        start = 0 if query.marker is None else [x.id for x in found].index(query.marker) + 1
        return found[start : start + max(query.limit, 0)]

    def of_image(self, image_id: str, now: datetime, limit: int = 1000) -> list[Task]:
        found = [x for x in self._alive(now) if x.image_id == image_id]
        return sorted(found, key=lambda x: (x.created_at, x.id), reverse=True)[:limit]

    def abandoned(self, limit: int = 100) -> list[Task]:
        leases = self._images.state.leases
        held = {x.image_id for x, _ in leases.values() if x.operation in (Operation.IMPORT, Operation.HASH)}
        left = [x for x in self._images.state.tasks.values() if not x.finished and x.image_id not in held]
        return sorted(left, key=lambda x: (x.created_at, x.id))[:limit]

    def outlived(self, now: datetime, limit: int = 100) -> list[Task]:
        queued = {x.id for x in self._images.state.images.values() if x.status is Status.QUEUED}
        keeping = [(x.kept_until, x.id, x) for x in self._images.state.tasks.values() if x.kept_until is not None]
        return [
            task
            for until, _, task in sorted(keeping, key=lambda x: x[:2])
            if until <= now or task.image_id not in queued
        ][:limit]

    def forget(self, before: datetime, limit: int = 1000) -> int:
        with self._images.lock:
            tasks = self._images.state.tasks
            old = sorted(
                (x.expires_at, x.id)
                for x in tasks.values()
                if x.expires_at is not None and x.expires_at < before and x.kept_until is None
            )[:limit]
            for _, id_ in old:
                del tasks[id_]
        return len(old)

    def _alive(self, now: datetime) -> list[Task]:
        return [x for x in self._images.state.tasks.values() if x.expires_at is None or x.expires_at > now]


class MemoryJobs(JobRepository):
    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._held: dict[str, tuple[str, float]] = {}
        self._records: dict[str, JobRecord] = {}

    def hold(self, name: str, holder: str, ttl: float) -> bool:
        with self._lock:
            there, until = self._held.get(name, ("", 0.0))
            if there not in ("", holder) and until >= time.monotonic():
                return False
            self._held[name] = (holder, time.monotonic() + ttl)
            return True

    def let_go(self, name: str, holder: str) -> None:
        with self._lock:
            if self._held.get(name, ("", 0.0))[0] == holder:
                del self._held[name]

    def holder(self, name: str) -> str | None:
        holder, until = self._held.get(name, ("", 0.0))
        return holder if until >= time.monotonic() and holder else None

    def record(self, name: str) -> JobRecord:
        return self._records.get(name, JobRecord())

    def keep(self, name: str, holder: str, record: JobRecord) -> None:
        with self._lock:
            if self._held.get(name, ("", 0.0))[0] != holder:
                raise errors.LeaseLost(f"{holder} no longer holds the job {name}")
            self._records[name] = record


class MemoryPlaces(PlaceRepository):
    def __init__(self, database: MemoryDatabase) -> None:
        self._database = database
        self._lock = threading.Lock()
        self._records: dict[str, StorePlaces] = {}

    def get(self, store: str) -> StorePlaces | None:
        return self._records.get(store)

    def all(self) -> list[StorePlaces]:
        return [x for _, x in sorted(self._records.items())]

    def replace(self, store: str, before: StorePlaces | None, after: StorePlaces | None) -> None:
        with self._lock:
            if self._records.get(store) not in (before, after):
                raise errors.ConcurrentChange(f"the places of store {store} were changed by somebody else meanwhile")
            if after is None:
                self._records.pop(store, None)
            else:
                self._records[store] = after

    def needed(self) -> list[str]:
        return sorted({x.store for image in self._database.images.state.images.values() for x in image.locations})

    def count(self, store: str) -> int:
        return len(self.holding(store, limit=len(self._database.images.state.images)))

    def holding(self, store: str, after: str = "", limit: int = 100) -> list[Image]:
        found = [
            x
            for x in self._database.images.state.images.values()
            if any(y.store == store for y in x.locations) and x.id > after
        ]
        return sorted(found, key=lambda x: x.id)[:limit]


#: Which method applies which change.
_APPLY: dict[type[port.Change], str] = {
    port.ImageAdded: "add_image",
    port.ImageChanged: "change_image",
    port.ImageRemoved: "remove_image",
    port.MemberAdded: "add_member",
    port.MemberChanged: "change_member",
    port.MemberRemoved: "remove_member",
    port.LeaseTaken: "take_lease",
    port.LeaseChanged: "change_lease",
    port.LeaseEnded: "end_lease",
    port.WithinLimits: "at_the_end",
    task_port.TaskAdded: "add_task",
    task_port.TaskChanged: "change_task",
    outbox_port.EventsRecorded: "record",
    record_port.RecordAdded: "add_record",
    record_port.RecordChanged: "change_record",
    record_port.RecordRemoved: "remove_record",
}
