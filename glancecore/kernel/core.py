"""What the capabilities of the core are made of, and what they are handed.

A capability of the core is the same as an extension of a third party (``glancecore.ports.extension``) in all but this:
it is in the list ``CORE`` of ``glancecore.assembly.core``, it sees the whole configuration and a wider kernel, and it
may serve what all others rest on. None of this is a port: it changes with the core."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, ClassVar, Protocol, TypeVar, cast

from oslo_config import cfg
from oslo_policy.policy import RuleDefault

from glancecore.domain.clock import now
from glancecore.domain.context import Context
from glancecore.domain.image import Image
from glancecore.domain.task import Task
from glancecore.kernel.leases import Leases
from glancecore.kernel.lookups import Lookups
from glancecore.kernel.notifications import Notifications
from glancecore.kernel.operations import Operations
from glancecore.kernel.project_quota import ProjectQuota
from glancecore.kernel.reaper import Reaper
from glancecore.kernel.subscriptions import Subscriptions
from glancecore.kernel.transfer.data_settings import DataSettings
from glancecore.kernel.transfer.signatures import Signatures
from glancecore.kernel.transfer.staged_data import StagedData
from glancecore.kernel.transfer.stores import Stores
from glancecore.kernel.writer import Writer
from glancecore.policies.authorizer import Authorizer
from glancecore.ports.extension import Kernel
from glancecore.ports.http import Route, Schema
from glancecore.ports.repository import Database

C = TypeVar("C", bound="CoreExtension")
#: What an extension shows of images: see ``Extension.present``.
Shows = Callable[[Context, Sequence[Image]], Sequence[Mapping[str, object]]]


class Beside:
    """What extensions say of images beside their keys: see ``Extension.named`` and ``headers``. This is what is said
    without any."""

    def named(self, ctx: Context, name: str) -> str | None:
        """The id of the image that is meant by a name that no image has. Raises ImageNotFound, Conflict."""
        del ctx, name
        return None

    def headers(self, row: Mapping[str, object]) -> Mapping[str, str]:
        """For the answer that shows ``row``."""
        del row
        return {}


class Plugins(Protocol):
    """The plugins that the operator wants: see ``glancecore.assembly.loader.Loader``."""

    def wanted(self, kind: str) -> Mapping[str, str]: ...

    def every(self, kind: str, **things: Any) -> dict[str, Any]: ...

    def make(self, kind: str, name: str, option: str, **things: Any) -> Any: ...

    def in_time(self, kind: str, name: str, start: Callable[[], Any], late: Callable[[Any], None]) -> Any: ...

    def or_left_out(self, kind: str, name: str, option: str) -> AbstractContextManager[None]: ...


@dataclass(frozen=True, slots=True)
class Startup:
    """How this process was started: see ``glancecore.assembly.build.build``."""

    tolerate_outages: bool = False
    serving: bool = False


def _nobody(image_id: str, store_id: str) -> Task:
    raise LookupError(f"no capability copies image {image_id} to {store_id}")


@dataclass(slots=True)
class Hooks:
    """What one offers all others, which need not know who that is. Filled while the service is built."""

    #: Runs a job of this machine soon.
    run_job: Callable[[str], None] = lambda _name: None
    #: Copies an image's data into one more store: (image's id, store's id) -> the task.
    copy_image: Callable[[str, str], Task] = _nobody
    #: Names of the methods by which data is imported.
    import_methods: Sequence[str] = ()
    #: Where data is staged by users, for a later import; None: no import method takes such data.
    staged_data: StagedData | None = None
    #: What clients are told of the extensions that are switched on.
    extensions: Sequence[Mapping[str, str]] = ()
    #: The keys that extensions show on images, and how they find what to show. The latter is complete when requests are
    #: served.
    shown_keys: Mapping[str, Schema] = field(default_factory=dict)
    shows: Callable[[], Sequence[Shows]] = list
    #: Whether one of them takes images out of the lists of others.
    unlists: bool = False
    beside: Beside = field(default_factory=Beside)


@dataclass(slots=True)
class CoreKernel:
    """``plugins`` makes those of the operator's. ``made``: the capabilities so far, in the order of ``CORE``."""

    conf: cfg.ConfigOpts
    plugins: Plugins
    database: Database
    policy: Authorizer
    quota: ProjectQuota
    stores: Stores
    notifications: Notifications
    on: Subscriptions
    leases: Leases
    writer: Writer
    operations: Operations
    reaper: Reaper
    lookups: Lookups
    signatures: Signatures
    data_settings: DataSettings
    startup: Startup
    hooks: Hooks = field(default_factory=Hooks)
    made: dict[type[CoreExtension], CoreExtension] = field(default_factory=dict)

    def of(self, cls: type[C]) -> C:
        """The one of that class. It must stand before the caller in ``CORE``."""
        return cast("C", self.made[cls])


class CoreExtension:
    """One capability of the core; one instance in a process. What it needs of others it asks the kernel for when it is
    made."""

    rules: ClassVar[Sequence[RuleDefault]] = ()
    #: Periodic jobs by name, each as ``module:class``: a job knows its capability, so the capability does not import
    #: its jobs.
    jobs: ClassVar[Mapping[str, str]] = {}

    def __init__(self, kernel: CoreKernel) -> None:
        """Make the use cases, once, and subscribe. Starts nothing. Raises ConfigError with option and fix."""
        self.kernel = kernel

    @property
    def minors(self) -> Iterable[int]:
        """Minor versions of the Image API that are there because of it."""
        return ()

    def routes(self) -> Iterable[Route]:
        """Asked for once, in a process that serves requests: what needs Flask is imported here."""
        return ()

    def schemas(self) -> Mapping[str, Schema]:
        """The documents of GET /v2/schemas, by name."""
        return {}

    def start(self) -> None:
        """What runs beside requests, in each process that looks after what others have left. In the order of
        ``CORE``."""

    def stop(self) -> None:
        """Ends within seconds, also when it was not started. In the reverse order."""


@dataclass(frozen=True, slots=True)
class CoreTools:
    """A ``JobTools`` (``glancecore.ports.periodic``), and what only the core's own jobs know of."""

    core: CoreKernel
    kernel: Kernel

    @property
    def database(self) -> Database:
        return self.core.database

    @property
    def stores(self) -> Stores:
        return self.core.stores

    def of(self, cls: type[C]) -> C:
        return self.core.of(cls)

    def clock(self) -> datetime:
        return now()
