"""What a running import is made with: the services of this process that its parts use."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

from glancecore.domain.metadata import MetadataLimits
from glancecore.features.imports.kept_secrets import KeptSecrets
from glancecore.kernel.leases import Leases
from glancecore.kernel.operations import Operations
from glancecore.kernel.transfer.signatures import Signatures
from glancecore.kernel.transfer.staged_data import StagedData
from glancecore.kernel.transfer.stores import Stores
from glancecore.kernel.writer import Writer
from glancecore.ports.import_method import ImportMethod
from glancecore.ports.import_step import ImportStep
from glancecore.ports.quota import Quota
from glancecore.ports.repository import Database


@dataclass(frozen=True, slots=True)
class ImportSettings:
    """The operator's choices. ``workers``: imports that this process runs at once, and ``workers_of_project`` those of
    one project; the others wait. ``parallel_stores``: stores that one import writes to at once. ``niceness``: of the
    threads that run imports beside requests. ``attempts``: how often a fetch or a write that made no progress is tried.
    ``min_rate``: bytes a second, over each ``rate_window`` seconds, that a source must send; ``fetch_timeout``: seconds
    for all of it. ``takeovers``: how often an import whose process died is taken over in one stage. ``keep_for``: how
    long a failed import keeps what it has fetched. ``metadata``: what methods and steps may make of an image's;
    ``check_formats``: raises Invalid for a disk format, or container format, that no image may have (None: not asked
    for)."""

    workers: int = 16
    workers_of_project: int = 2
    parallel_stores: int = 1
    attempts: int = 5
    pause: float = 1.0
    keep_for: timedelta = timedelta(hours=1)
    min_rate: int = 1024
    rate_window: float = 60.0
    fetch_timeout: float = 86400.0
    takeovers: int = 5
    progress_interval: float = 1.0
    niceness: int = 0
    work_dir: Path = Path("/tmp")  # noqa: S108 (always given)
    metadata: MetadataLimits = field(default_factory=MetadataLimits)
    check_formats: Callable[[str | None, str | None], None] = lambda _disk, _container: None


@dataclass(frozen=True, slots=True)
class ImportServices:
    """``steps`` in the operator's order."""

    database: Database
    stores: Stores
    staged_data: StagedData
    operations: Operations
    quota: Quota
    methods: Mapping[str, ImportMethod]
    steps: Mapping[str, ImportStep]
    signatures: Signatures
    kept: KeptSecrets
    settings: ImportSettings

    @property
    def leases(self) -> Leases:
        return self.operations.leases

    @property
    def writer(self) -> Writer:
        return self.operations.writer
