"""What the jobs of the core are made with: the services of this process that they use."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from glancecore.domain.clock import now
from glancecore.features.cache.use_cases import Caching
from glancecore.features.copies.use_cases import Copies
from glancecore.features.images.deletion import Deletion
from glancecore.features.images.location_hashing import LocationHashing
from glancecore.features.images.locations import Locations
from glancecore.features.imports.use_cases import Imports
from glancecore.kernel.leases import Leases
from glancecore.kernel.operations import Operations
from glancecore.kernel.reaper import Reaper
from glancecore.kernel.transfer.stores import Stores
from glancecore.ports.extension import Kernel
from glancecore.ports.repository import Database


@dataclass(frozen=True, slots=True)
class Tools:
    """A ``JobTools`` (``glancecore.ports.periodic``), and what only the core's own jobs know of."""

    database: Database
    kernel: Kernel
    stores: Stores
    copies: Copies
    imports: Imports
    deletion: Deletion
    reaper: Reaper
    leases: Leases
    hashing: LocationHashing
    locations: Locations
    #: None: the deployment has no image cache.
    caching: Caching | None
    #: Data of added locations is read and hashed.
    hash_locations: bool
    #: Seconds from a delayed deletion to the end of the data.
    scrub_time: float
    operations: Operations

    def clock(self) -> datetime:
        return now()
