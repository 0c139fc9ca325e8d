"""What a quota plugin implements: say what a project may use. The database enforces it atomically."""

from __future__ import annotations

from abc import ABC, abstractmethod

from oslo_config import cfg

from glancecore.domain.quota import Limits
from glancecore.ports.options import Options, Section
from glancecore.ports.plugin import Plugin


class Quota(Plugin, ABC):
    """Thread-safe."""

    options: Options = ()
    #: Whether ``GET /v2/info/usage`` also shows the usage of a project that has no limit.
    shows_usage = False
    #: Whether projects have limits of their own there. Where they have not, ``glance-manage quota`` and the API keep
    #: them in the database, beside what ``limits`` says.
    per_project = False

    def __init__(self, conf: Section, config: cfg.ConfigOpts) -> None:
        """``conf`` is the plugin's own section; ``config`` the whole, for oslo libraries with sections of their own."""
        self.conf = conf
        self.config = config

    @abstractmethod
    def limits(self, project: str | None) -> Limits:
        """The limits of the project that owns what is stored. Raises GlanceError when they can't be learnt."""
