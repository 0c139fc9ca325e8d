"""What a periodic job implements, and what it is handed.

A job runs again and again in one process of the whole deployment, the leader's, or, when it is a machine's own, in one
process of each machine; and once when an operator asks for it (``glance-periodic run NAME``). Entry points: group
``glancecore.periodic``; options: section ``periodic_NAME``."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, ClassVar, Protocol

from oslo_config import cfg

from glancecore.domain.image import Location
from glancecore.ports.options import Options, Section
from glancecore.ports.plugin import Plugin
from glancecore.ports.repository import Database
from glancecore.ports.store import Cap, StoredBlob

if TYPE_CHECKING:
    from glancecore.ports.extension import Kernel


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that a job has found. ``kind`` is a stable word for programs (orphan, damaged, copied …), ``subject``
    an image's id or a store's and a key (``fast/KEY``), ``text`` the sentence for people: no URL and no credential in
    it."""

    kind: str
    subject: str
    text: str


@dataclass(frozen=True, slots=True)
class Report:
    """What a run did. ``counts`` by what was counted; ``findings`` are the first ones, up to a bound: ``counts`` tells
    of all; ``errors``: what could not be done, in sentences."""

    counts: Mapping[str, int] = field(default_factory=dict)
    findings: tuple[Finding, ...] = ()
    errors: tuple[str, ...] = ()


class JobContext(Protocol):
    """One run of a job, and what the job tells of it. What was told so far is reported also when the run is cut off."""

    @property
    def dry_run(self) -> bool:
        """Change nothing; find and count what would be done."""

    @property
    def state(self) -> Mapping[str, object]:
        """What an earlier run remembered last, in whatever process; empty at first."""

    def remember(self, state: Mapping[str, object]) -> None:
        """Keep it (JSON values) for the next run, also when this one is cut off or its process dies. A dry run keeps
        nothing. Raises JobStopped."""

    def check(self) -> None:
        """Raises JobStopped when the process ends or no longer leads: call it before each unit of work, and at least
        once a second. Let it pass."""

    def pause(self, seconds: float) -> None:
        """Wait; ends early by raising JobStopped, as ``check`` does."""

    def count(self, what: str, by: int = 1) -> None:
        """``what`` is a short plural: checked, repaired, bytes."""

    def find(self, kind: str, subject: str, text: str) -> None:
        """Report a finding; it is also counted under its kind."""

    def fail(self, text: str) -> None:
        """Report what could not be done; the run goes on."""


class JobStore(Protocol):
    """A store as jobs see it: see ``glancecore.ports.store.Store``. Everything a driver raises is a named
    StoreError."""

    @property
    def id(self) -> str: ...

    @property
    def available(self) -> bool: ...

    @property
    def writable(self) -> bool: ...

    def offers(self, cap: Cap) -> bool: ...

    def open(self, url: str, offset: int = 0, length: int | None = None) -> Iterator[bytes]: ...

    def size(self, url: str) -> int: ...

    def list(self) -> Iterator[StoredBlob]: ...

    def delete(self, url: str) -> None: ...


class JobStores(Protocol):
    """All configured stores, in the operator's order."""

    def __iter__(self) -> Iterator[JobStore]: ...

    def get(self, store_id: str | None) -> JobStore:
        """The named store, or the default. Raises UnknownStore."""

    def holding(self, location: Location) -> JobStore:
        """The store of a recorded location. Raises StoreUnavailable when it is not configured any more."""


class JobTools(Protocol):
    """What every job may use."""

    @property
    def database(self) -> Database: ...

    @property
    def stores(self) -> JobStores: ...

    @property
    def kernel(self) -> Kernel:
        """For the jobs of extensions: their records, and what writes them with their events."""

    def clock(self) -> datetime:
        """Now, aware UTC."""


class PeriodicJob(Plugin, ABC):
    """One job; one instance in a process. ``run`` is called by one thread at a time, and by one process at a time
    unless it is dry.

    ``tools`` are the service's: see JobTools. A process may die in ``run`` at any point: the next run, in another
    process, must find its way from what the database and the stores say and from ``turn.state``."""

    options: ClassVar[Options] = ()
    #: It looks after what lies on the machine where it runs: each has its own runs, times, state and report.
    of_machine: ClassVar[bool] = False
    #: Seconds from one start to the next, unless the operator says otherwise.
    interval: ClassVar[float]
    #: Kinds of findings that can't be mended without an operator: they are errors in the log, and have an exit code of
    #: their own.
    alarms: ClassVar[frozenset[str]] = frozenset()
    #: One line for ``glance-periodic list``.
    summary: ClassVar[str]

    def __init__(self, conf: Section, tools: JobTools) -> None:
        """``conf`` is the job's own section, with ``interval`` and ``dry_run`` beside its options. Raises
        ConfigError."""
        self.conf = conf

    def applies(self) -> bool:
        """Whether this deployment has what the job is for; where it has not, the job is not run from time to time."""
        return True

    @abstractmethod
    def run(self, turn: JobContext) -> None:
        """Do it once. What this raises beside JobStopped makes the run a failed one, which is tried again soon."""


def job_options(interval: float, options: Options = ()) -> list[cfg.Opt]:
    """All options of a job's section: for its ``list_opts``. One of ``options`` may stand for a common one, by its
    name."""
    common = [
        cfg.FloatOpt("interval", default=interval, min=1.0, help="Seconds from one start of the job to the next."),
        cfg.BoolOpt("dry_run", default=False, help="Only report what would be done."),
    ]
    return list({x.name: x for x in (*common, *options)}.values())
