"""What an extension implements, and what it is handed: every extension point of the service in one file.

An extension is a capability: routes, rows, rules, events, long work, periodic jobs, commands. Entry points: group
``glancecore.extensions``; options: section ``ext_NAME``; switched on by ``[DEFAULT] enabled_extensions``. The guide is
``docs/writing-an-extension.md``, the kit ``glancecore.testing.extension``."""

from __future__ import annotations

import argparse
from abc import ABC
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

from oslo_policy.policy import DocumentedRuleDefault

from glancecore.domain.context import Context, Initiator
from glancecore.domain.events import Event
from glancecore.domain.image import Image, Location, Status
from glancecore.domain.lease import BlobRef, Lease
from glancecore.domain.patch import PatchOperation
from glancecore.domain.quota import Limits
from glancecore.ports.http import Route, Schema
from glancecore.ports.notifier import Notification
from glancecore.ports.options import Options, Section
from glancecore.ports.overview import Overview
from glancecore.ports.periodic import PeriodicJob
from glancecore.ports.plugin import Plugin
from glancecore.ports.record_repository import MOST_KEYS, RecordRepository
from glancecore.ports.repository import Change, ImagePage, ImageQuery
from glancecore.ports.site import Entrance, Identity
from glancecore.ports.tracer import Tracer
from glancecore.ports.trash import Trash as Trash  # noqa: PLC0414 - extensions import it from here
from glancecore.ports.upkeep import StoreUpkeep
from glancecore.ports.upload_sessions import UploadSessions
from glancecore.ports.uses import Uses as Uses  # noqa: PLC0414 - extensions import it from here

if TYPE_CHECKING:
    from flask import Response

#: Answers a request of the core's in other words; None: it is not in these.
Dialect = Callable[..., "Response | None"]
#: Writes an extension's answer to a command on standard output.
Print = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Collection:
    """Records that an extension keeps. ``name`` begins with the extension's and a dot, at most 64 characters; ``keys``
    name what they are found by, in the order of ``Record.keys``; ``of_image``: they go with an image."""

    name: str
    keys: tuple[str, ...] = ()
    of_image: bool = False

    def __post_init__(self) -> None:
        if len(self.name) > 64 or len(self.keys) > MOST_KEYS:
            raise ValueError(f"collection {self.name}: at most 64 characters and {MOST_KEYS} keys")


class Background(Protocol):
    """Something that runs beside requests, in each process that looks after what others have left."""

    def start(self) -> None: ...

    def stop(self) -> None:
        """Ends within seconds; what it leaves is taken up by others, or at the next start."""


# -- what an extension is handed -------------------------------------------------------------------
class Images(Protocol):
    """Images as users see them: each call asks the policy, and raises Forbidden or ImageNotFound."""

    def show(self, ctx: Context, image_id: str) -> Image: ...

    def find(self, ctx: Context, query: ImageQuery) -> ImagePage: ...

    def may_read(self, ctx: Context, name: str) -> bool:
        """Whether the caller sees that property of images, as ``property_protection_file`` says: what hangs on one that
        he does not see must not tell him."""

    def has_name(self, ctx: Context, name: str) -> bool:
        """Whether an image that is listed for the caller's project has that name, hidden or not."""

    def update(self, ctx: Context, image_id: str, read: Callable[[], Sequence[PatchOperation]]) -> Image:
        """``read`` gives the steps of the patch, once the caller is found to be allowed to change the image. All of it
        is done or nothing."""

    def delete(self, ctx: Context, image_id: str, *, version: int | None = None) -> None:
        """``version``: only when the image is at it still, or else Conflict."""

    def deactivate(self, ctx: Context, image_id: str) -> None: ...

    def reactivate(self, ctx: Context, image_id: str) -> None: ...


class Rows(Protocol):
    """Images as they are stored, for the service's own work: nobody is asked."""

    def get_any(self, image_id: str) -> Image:
        """Raises ImageNotFound."""

    def versions(self, image_ids: Sequence[str]) -> Mapping[str, int]:
        """Of those that are there; at most 1,000 ids: see ``ImageRepository.versions``."""

    def scan(self, statuses: frozenset[Status], after: str = "", limit: int = 100) -> list[Image]:
        """In the order of their ids; see ``ImageRepository.scan``: it looks through all images."""

    def leases(self, after: str = "", limit: int = 100) -> list[Lease]:
        """What is being worked on, in the order of the images' ids; see ``ImageRepository.leases``."""


class Data(Protocol):
    """The bytes of images, read where they are good."""

    def readable(self, image: Image, prefer: Sequence[str] = ()) -> list[Location]:
        """The good copies, in the order to read them. Raises StoreUnavailable."""

    def open(self, image: Image, offset: int = 0, length: int | None = None) -> Iterator[bytes]:
        """From the first copy that answers; when one breaks off, the next one goes on. Raises StoreUnavailable,
        DataDamaged."""


class Policy(Protocol):
    """Every route that answers 2xx has asked it: the service answers 500 otherwise."""

    @property
    def names(self) -> Sequence[str]:
        """All rules that there are, those of extensions included."""

    def allows(self, ctx: Context, rule: str, target: Image | Mapping[str, object] | None = None) -> bool: ...

    def authorize(self, ctx: Context, rule: str, target: Image | Mapping[str, object] | None = None) -> None:
        """Raises Forbidden, or ImageNotFound when the caller may not even see the image."""


class Writer(Protocol):
    def save(self, *changes: Change, events: Sequence[Event] = (), initiator: Initiator | None = None) -> None:
        """All changes or none, and the events with them. Raises what the changes say."""


class Held(Protocol):
    """An image that the extension works on."""

    @property
    def image(self) -> Image:
        """As it was when the work began."""

    @property
    def check(self) -> Callable[[], None]:
        """Raises LeaseLost once somebody else has taken the image over: call it for each piece."""

    def reserve(self, size: int) -> None:
        """Bytes of the image's project. Raises QuotaExceeded, LeaseLost."""

    def made(self, remove: Callable[[], None], belongs: Callable[[Image], bool]) -> None:
        """The work has made something: ``remove`` takes it away when the work fails, unless it ``belongs`` to the image
        by then."""

    def finish(
        self,
        change: Callable[[Image], Image] = ...,
        *changes: Change,
        events: Callable[[Image], Sequence[Event]] = ...,
        initiator: Initiator | None = None,
    ) -> Image:
        """The end of the work, in one commit: what has become of the image, ``changes``, and the lease. ``initiator``:
        who wanted it, where that is known."""


class Operations(Protocol):
    def hold(
        self,
        image: Image,
        after: Image | None,
        operation: str,
        *,
        stable: Status = ...,
        blobs: tuple[BlobRef, ...] = (),
        reserve: int = 0,
        limits: Limits = ...,
        events: Callable[[Image], Sequence[Event]] = ...,
    ) -> AbstractContextManager[Held]:
        """Work on an image that takes long, under a lease; nobody else works on it meanwhile. ``after`` None: the image
        stays as it is. When the process dies, another one is told by ``Subscriptions.abandoned``. Raises ImageBusy,
        WrongStatus, QuotaExceeded, and Gone when the image was deleted."""

    def resume(self, lease: Lease) -> AbstractContextManager[Held]:
        """The work of a process that has died, held by this one. Raises Gone when the image is no more."""


class Kernel(Protocol):
    """The service as an extension sees it. It grows in minor releases."""

    @property
    def images(self) -> Images: ...

    @property
    def rows(self) -> Rows: ...

    @property
    def data(self) -> Data: ...

    @property
    def policy(self) -> Policy: ...

    @property
    def records(self) -> RecordRepository:
        """``glancecore.sdk.records.saving`` makes the change that keeps one."""

    @property
    def writer(self) -> Writer: ...

    @property
    def operations(self) -> Operations: ...

    @property
    def uploads(self) -> UploadSessions: ...

    @property
    def trash(self) -> Trash: ...

    @property
    def uses(self) -> Uses: ...

    @property
    def identity(self) -> Identity: ...

    @property
    def overview(self) -> Overview: ...

    @property
    def upkeep(self) -> StoreUpkeep: ...

    @property
    def extensions(self) -> Sequence[str]:
        """Names of those that are switched on; all of them once ``start`` is called."""

    def clock(self) -> datetime:
        """Now, aware UTC. All times of an extension come from here, so that tests can move it."""

    def extension(self, name: str) -> Any:
        """Another extension that is named in ``needs``."""


class Subscriptions(Protocol):
    """What an extension wants to be told. Nothing that is called here may take long: it is in somebody's request, or
    holds up others."""

    def committed(self, call: Callable[[Notification], None]) -> None:
        """Each event, in the process that has made it happen, after the commit. What it raises is logged."""

    def checks_image(self, call: Callable[[Context, Image | None, Image | None], None]) -> None:
        """Before a user creates an image (None, after), changes what is said of it, activates or deactivates it
        (before, after), or deletes it (before, None). Its data is not asked for: uploads, imports and locations are
        what an image is made for, their bytes are known only when they have come, and the policy (``upload_image``,
        ``set_image_location``, ``add_image_location``) and import steps are there to refuse them. It refuses by raising
        Forbidden, Conflict, Invalid or LimitExceeded."""

    def abandoned(self, operation: str, call: Callable[[Lease], None]) -> None:
        """The process that worked on it has died, and this one holds the lease now: finish the work, or undo it, with
        ``operations.resume``."""

    def every_pass(self, call: Callable[[], None]) -> None:
        """Each time that the reaper looks around, in every process that does; every few seconds."""


class CommandTree(Protocol):
    """``glance-manage NAME …`` of an extension."""

    def add(
        self, words: str, summary: str, run: Callable[[Any, argparse.Namespace, Print], int], *arguments: Argument
    ) -> None:
        """``words``: of the command behind the extension's name. ``run`` gets the extension and what was given; it
        returns the exit code. ``--json`` is there for each command, as ``args.json``."""


@dataclass(frozen=True, slots=True)
class Argument:
    """As argparse's ``add_argument(*names, **about)`` takes it."""

    names: tuple[str, ...]
    about: Mapping[str, Any]


# -- what an extension is --------------------------------------------------------------------------
class Extension(Plugin, ABC):
    """One capability; one instance in a process, whose methods are called by many threads.

    Class attributes say what it brings: ``rules`` for the policy file, ``collections`` of records, names of
    ``operations`` (at most 32 characters each) and ``events``, periodic ``jobs`` by name, keys that it ``shows`` on
    images with their schemas, and the extensions that it ``needs``. All names begin with the extension's own name,
    followed by a dot (collections, events) or an underscore (rules, operations, jobs). Keys may have any name that
    neither the service nor another enabled extension has: clients can't set them or filter by them, and a property of
    that name that an image has already stays as it is, unseen, while the extension is enabled."""

    title: ClassVar[str]
    options: ClassVar[Options] = ()
    rules: ClassVar[Sequence[DocumentedRuleDefault]] = ()
    collections: ClassVar[Sequence[Collection]] = ()
    operations: ClassVar[Sequence[str]] = ()
    events: ClassVar[Sequence[str]] = ()
    jobs: ClassVar[Mapping[str, type[PeriodicJob]]] = {}
    shows: ClassVar[Mapping[str, Schema]] = {}
    needs: ClassVar[frozenset[str]] = frozenset()
    #: It uses ``kernel.uploads``: the service has a staging store.
    takes_uploads: ClassVar[bool] = False
    #: It takes public images out of the lists of other projects, with ``glancecore.sdk.records.unlisting``. They stay
    #: usable by their ids, and are listed where clients name these. Without an extension that does, all are listed.
    unlists: ClassVar[bool] = False
    #: Headers of every answer below a path of its own, refusals included: ``{"/mine": {"X-Content-Type-Options":
    #: "nosniff"}}``. Those of the answer itself stay.
    site_headers: ClassVar[Mapping[str, Mapping[str, str]]] = {}

    def __init__(self, conf: Section, kernel: Kernel) -> None:
        """``conf`` is the section ``ext_NAME``. Raises ConfigError with option and fix."""
        self.conf = conf
        self.kernel = kernel

    def start(self) -> None:
        """Everything is there, also what it needs. It is called too where a configuration is only judged. Raises
        ConfigError."""

    def stop(self) -> None:
        """The end of what ``start`` and requests have opened; once, behind the background's, in a process that ends or
        has only judged."""

    def routes(self) -> Iterable[Route]:
        """Asked for once, in a process that serves requests: what they need of the web framework is imported here.
        Paths outside ``/v2/`` are free."""
        return ()

    def dialects(self) -> Mapping[str, Dialect]:
        """Other words for routes of the core, by method and path as in ``Route``: ``{"PUT /v2/images/<image_id>/file":
        …}``. It is asked as a route's handler is, before that of the core, and says None to what is not in its words.
        Asked for once, behind ``routes``."""
        return {}

    def entrances(self) -> Iterable[Entrance]:
        """Asked for once, behind ``routes``. Its routes below an entrance are never reached."""
        return ()

    def background(self) -> Iterable[Background]:
        return ()

    def tracer(self) -> Tracer | None:
        """What records where time goes, in this process; of one extension at most. Asked for once, behind ``start``, in
        every process: one that is only judged, and one that forks, must not be left with threads. It is closed behind
        everything else, also behind ``stop``."""
        return None

    def subscribe(self, on: Subscriptions) -> None:
        """Called once, before ``start``."""

    def present(self, ctx: Context, images: Sequence[Image]) -> Sequence[Mapping[str, object]]:
        """What of ``shows`` each image has, in their order: one question for a whole page. What it raises fails the
        request for the images."""
        del ctx
        return [{}] * len(images)

    def resolve(self, ctx: Context, reference: str) -> str | None:
        """The id of the image that is meant by what is no id; it may have slashes, and ends before ``/file``,
        ``/members`` and the like. Asked by what reads only. None: not of this kind. Raises ImageNotFound, Conflict."""
        del ctx, reference
        return None

    def named(self, ctx: Context, name: str) -> str | None:
        """The id of the image that is listed by a name that no image has which is listed for the caller; the row bears
        that name. None: of no image. Raises Conflict; ImageNotFound is an empty list."""
        del ctx, name
        return None

    def headers(self, shown: Mapping[str, object]) -> Mapping[str, str]:
        """Headers of the answer that shows an image alone, made of what ``present`` has said of it. Those of the answer
        itself stay."""
        del shown
        return {}

    @classmethod
    def commands(cls, manage: CommandTree) -> None:
        """Declare them. Nothing is started before one of them runs."""
