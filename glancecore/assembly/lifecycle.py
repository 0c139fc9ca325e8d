"""A service that is built: starting what runs beside requests, and ending all of it in order."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from glancecore.assembly.extensions import Extensions
from glancecore.kernel.core import CoreExtension, CoreKernel, CoreTools
from glancecore.kernel.notifications import Notifications
from glancecore.kernel.transfer.stores import Stores
from glancecore.periodic.runner import PeriodicRunner, Scheduled
from glancecore.ports.repository import Database

if TYPE_CHECKING:
    from flask import Flask

LOG = logging.getLogger(__name__)
C = TypeVar("C", bound=CoreExtension)


@dataclass(slots=True)
class Service:
    """A running image service without its HTTP server."""

    kernel: CoreKernel
    extensions: Extensions
    #: What jobs are made with; the jobs of the whole deployment, and those of this machine.
    tools: CoreTools
    periodic: PeriodicRunner
    machine: PeriodicRunner
    make_app: Callable[[], Flask]
    #: Everybody who reaches the socket may do everything.
    open_to_all: bool
    #: Plugins that are left out: (kind, name, for stores the id) -> why.
    broken: Mapping[tuple[str, str], str]
    made: Flask | None = None

    @property
    def app(self) -> Flask:
        """What serves requests, made when it is first asked for. Raises ConfigError."""
        if self.made is None:
            self.made = self.make_app()
        return self.made

    @property
    def database(self) -> Database:
        return self.kernel.database

    @property
    def stores(self) -> Stores:
        return self.kernel.stores

    @property
    def notifications(self) -> Notifications:
        return self.kernel.notifications

    @property
    def holder(self) -> str:
        """By what its leases name this process."""
        return self.kernel.leases.holder

    def of(self, cls: type[C]) -> C:
        """A capability of the core."""
        return self.kernel.of(cls)

    def start(self) -> None:
        """The threads that look after what other processes have left, and deliver events."""
        self.kernel.reaper.start()
        for capability in self.kernel.made.values():
            capability.start()
        self.extensions.run()

    def take_over(self) -> None:
        """Only look after what other processes have left."""
        self.extensions.run()  # what they take over is worked on here, too
        self.kernel.reaper.start()

    def start_jobs(self) -> None:
        self.periodic.start()
        self.machine.start()

    def stop_jobs(self) -> None:
        self.periodic.stop()
        self.machine.stop()

    def runner_of(self, scheduled: Scheduled) -> PeriodicRunner:
        return self.machine if scheduled.machine else self.periodic

    def close(self) -> None:
        """All of it ends, whatever goes wrong with a part."""
        for end in (
            self.stop_jobs,
            self.kernel.reaper.stop,
            self.extensions.stop,
            *(x.stop for x in reversed(self.kernel.made.values())),
            self.stores.close,
            self.database.close,
            self.extensions.end_tracer,
        ):
            try:
                end()
            except Exception:  # whatever a plugin raises
                LOG.exception("a part of the service could not be stopped")
