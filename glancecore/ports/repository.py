"""What a database driver implements for images: reads, and one atomic ``commit`` of changes.

There are no open transactions between calls: a use case reads, decides, and commits a list of changes that are applied
all or none. Every condition that must still hold at that moment (the version read, the lease held, the quota) is part
of the change, so the same port works in-process and over the private metadata service, one round trip a call. The kit
``glancecore.testing.repository`` checks each rule."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from glancecore.domain.context import EVERYTHING, Viewer
from glancecore.domain.image import Image, Status
from glancecore.domain.lease import Lease
from glancecore.domain.member import Member
from glancecore.domain.quota import Limits, Usage
from glancecore.ports.image_query import (
    MOST,
    NARROWER,
    ImagePage,
    ImageQuery,
    RangeFilter,
    Sort,
    SortField,
    TimeFilter,
    TimeOp,
)
from glancecore.ports.job_repository import JobRepository
from glancecore.ports.metadef_repository import MetadefRepository
from glancecore.ports.options import Options, Section
from glancecore.ports.outbox_repository import EventsRecorded, OutboxRepository
from glancecore.ports.place_repository import PlaceRepository
from glancecore.ports.plugin import Plugin
from glancecore.ports.record_repository import RecordChange, RecordRepository
from glancecore.ports.repeating import reads, repeatable
from glancecore.ports.task_repository import TaskChange, TaskRepository

__all__ = [
    "MOST",
    "NARROWER",
    "Change",
    "Database",
    "ImageAdded",
    "ImageChanged",
    "ImagePage",
    "ImageQuery",
    "ImageRemoved",
    "ImageRepository",
    "LeaseChanged",
    "LeaseEnded",
    "LeaseTaken",
    "MemberAdded",
    "MemberChanged",
    "MemberRemoved",
    "RangeFilter",
    "Sort",
    "SortField",
    "TimeFilter",
    "TimeOp",
    "WithinLimits",
]


# -- changes ---------------------------------------------------------------------------------------
@dataclass(frozen=True, slots=True)
class ImageAdded:
    """Raises ImageExists when the id is or was in use (until purged)."""

    image: Image


@dataclass(frozen=True, slots=True)
class ImageChanged:
    """``after`` replaces ``before``. Raises ConcurrentChange unless the stored version is ``before.version``;
    ImageNotFound when the image is gone. ``after.version`` must be ``before.version + 1``, and id and created_at stay
    as they are: else ValueError, the caller's mistake. ``as_member`` is ignored."""

    before: Image
    after: Image


@dataclass(frozen=True, slots=True)
class ImageRemoved:
    """The image with its tags, properties, locations and members goes; its id stays used until purged.

    Raises ImageNotFound. The version is not compared: who deletes holds the lease."""

    image: Image
    at: datetime


@dataclass(frozen=True, slots=True)
class MemberAdded:
    """Raises MemberExists; QuotaExceeded when the image would have more than ``limit`` members (None: no limit);
    ImageNotFound."""

    member: Member
    limit: int | None = None


@dataclass(frozen=True, slots=True)
class MemberChanged:
    """New status and updated_at. Raises MemberNotFound."""

    member: Member


@dataclass(frozen=True, slots=True)
class MemberRemoved:
    """Raises MemberNotFound."""

    image_id: str
    member: str


@dataclass(frozen=True, slots=True)
class LeaseTaken:
    """``lease`` lives ``ttl`` seconds by the database's clock unless extended.

    Raises ImageBusy when the image is leased already (expired or not), unless ``replacing`` is that lease's token: then
    it is taken over (LeaseLost when the stored token is another one or none). The image itself need not exist."""

    lease: Lease
    ttl: float
    replacing: str | None = None


@dataclass(frozen=True, slots=True)
class LeaseChanged:
    """The same token with other ``blobs``, ``reserved`` or ``stable``; it lives no longer for that. Raises
    LeaseLost."""

    lease: Lease


@dataclass(frozen=True, slots=True)
class LeaseEnded:
    """Raises LeaseLost unless this very lease (by token) is still stored; it need not be unexpired."""

    lease: Lease


@dataclass(frozen=True, slots=True)
class WithinLimits:
    """After all other changes of this commit, what ``project`` uses and has reserved must be within ``limits``.

    Raises QuotaExceeded naming the resource, the use and the limit; also when the commit makes the use smaller but not
    small enough. Two commits for one project are judged one after the other."""

    project: str | None
    limits: Limits


Change = (
    ImageAdded
    | ImageChanged
    | ImageRemoved
    | MemberAdded
    | MemberChanged
    | MemberRemoved
    | LeaseTaken
    | LeaseChanged
    | LeaseEnded
    | WithinLimits
    | TaskChange
    | EventsRecorded
    | RecordChange
)


# -- the ports -------------------------------------------------------------------------------------
class ImageRepository(ABC):
    """Images, their members and leases. Thread-safe. Any method may raise DatabaseUnavailable."""

    @reads
    @abstractmethod
    def get(self, image_id: str, viewer: Viewer = EVERYTHING) -> Image:
        """The image if it exists, is not in a hidden status, and ``viewer`` may see it; else ImageNotFound.

        Visible: to an admin everything; else own, public, community, shared with the viewer (any member status), and
        images without owner that are not private. ``as_member`` is the viewer's project when it is a member and the
        image is shared."""

    @reads
    @abstractmethod
    def get_any(self, image_id: str) -> Image:
        """The image in whatever status, for the service's own work. Raises ImageNotFound when it is removed."""

    @reads
    @abstractmethod
    def find(self, query: ImageQuery) -> ImagePage:
        """At most ``query.limit`` images in the asked order. Raises UnknownMarker, TooBroad.

        Cost: a fixed number of statements, each of bounded work, whatever the number of images but those stepped over;
        keyset paging. A page ends where ``query.most`` images have been looked through, and leads on; when none of them
        fits, or when more of them would have to be sorted, it is TooBroad. Who follows the markers finds each image
        that fits once, in order."""

    @reads
    @abstractmethod
    def versions(self, image_ids: Sequence[str]) -> dict[str, int]:
        """The stored versions of those that are there, in whatever status: whether somebody has changed them. At most
        1,000 ids, in one statement."""

    @reads
    @abstractmethod
    def has_name(self, name: str, project: str | None) -> bool:
        """Whether an image that some list has, hidden or not, has exactly this name and is the project's own, public,
        or shared with whomever."""

    @abstractmethod
    def commit(self, *changes: Change) -> None:
        """Apply all changes, in order, or none; durable when it returns. Raises what the changes say, and Invalid when
        the database can't store a value. After DatabaseUnavailable the changes may have been applied: the message says
        so. Also keeps each project's usage (``domain.quota``) exact."""

    @reads
    @abstractmethod
    def member(self, image_id: str, member: str) -> Member:
        """Raises MemberNotFound."""

    @reads
    @abstractmethod
    def members(self, image_id: str) -> list[Member]:
        """All of an image's members, by member id."""

    @reads
    @abstractmethod
    def usage(self, project: str | None) -> Usage:
        """What the project uses and has reserved."""

    @reads
    @abstractmethod
    def projects(self) -> list[str | None]:
        """Those that have images, or a usage that is kept, in order; None comes first, for images without owner."""

    @abstractmethod
    def recount(self, project: str | None, *, mend: bool) -> tuple[Usage, Usage]:
        """What is kept of the project's usage, without what is reserved, and what its images weigh; with ``mend`` the
        first is made the second. Commits of others meanwhile are in both or in neither. Keeping the usage exact is
        ``commit``'s: this is for rows that somebody else has written."""

    @reads
    @abstractmethod
    def located(self, url: str) -> list[str]:
        """Ids of the images that have a location at exactly this URL, in whatever store and status, in order."""

    @reads
    @abstractmethod
    def lease(self, image_id: str) -> Lease | None:
        """The stored lease, expired or not."""

    @repeatable
    @abstractmethod
    def extend(self, holder: str, ttl: float) -> frozenset[str]:
        """Heartbeat: every lease of ``holder`` lives ``ttl`` seconds from now; the tokens that it still holds."""

    @reads
    @abstractmethod
    def expired(self, limit: int = 100) -> list[Lease]:
        """Leases that nobody has extended in time, oldest first."""

    @reads
    @abstractmethod
    def leases(self, after: str = "", limit: int = 100) -> list[Lease]:
        """Every lease, expired or not, in the order of the images' ids by code points, behind the id ``after``."""

    @reads
    @abstractmethod
    def unleased(self, limit: int = 100) -> list[Image]:
        """Images in a transient status (saving, importing, deleting) without any lease, the oldest save first. Staged
        ones (uploading) rest without one."""

    @reads
    @abstractmethod
    def scan(self, statuses: frozenset[Status], after: str = "", limit: int = 100) -> list[Image]:
        """Images in one of these statuses, hidden or not, in the order of their ids by code points, behind the id
        ``after``, which need not exist. Who goes on behind the last one of each page has seen every image that was
        there all the time."""

    @reads
    @abstractmethod
    def pending(self, before: datetime, limit: int = 100) -> list[Image]:
        """Images that are pending_delete and were saved last before that time. Oldest save first."""

    @reads
    @abstractmethod
    def deleted(self, project: str | None, behind: Image | None = None, limit: int = 100) -> list[Image]:
        """The project's images that are pending_delete, those first that were saved last; then by created_at and id,
        the larger first. ``behind``: those that come behind this one, which need not be there any more. What it costs
        does not depend on how many images there are."""


class Database(Plugin, ABC):
    """A database driver: the repositories on one place, and the care of its schema."""

    options: Options = ()
    images: ImageRepository
    metadefs: MetadefRepository
    tasks: TaskRepository
    outbox: OutboxRepository
    jobs: JobRepository
    places: PlaceRepository
    records: RecordRepository

    def __init__(self, conf: Section) -> None:
        self.conf = conf

    @reads
    @abstractmethod
    def ping(self) -> None:
        """Raises DatabaseUnavailable, or ConfigError when the schema is missing or too old, SchemaUnknown when it is
        none that ``sync`` could upgrade."""

    @abstractmethod
    def sync(self, revision: str = "head") -> None:
        """Bring the schema to ``revision``; safe to call twice and from two processes at once."""

    @reads
    @abstractmethod
    def version(self) -> str | None:
        """The schema's revision; None for an empty database."""

    @reads
    @abstractmethod
    def head(self) -> str:
        """The revision that this driver works with."""

    @abstractmethod
    def purge(self, before: datetime, limit: int | None = 100) -> int:
        """Forget images removed before that time, the oldest first, at most ``limit`` (None: all): their ids may be
        used again. How many."""

    @abstractmethod
    def close(self) -> None:
        """Give back connections; called when the process ends and in a child after a fork."""
