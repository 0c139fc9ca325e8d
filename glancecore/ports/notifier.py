"""What a notifier plugin implements: tell others what happened."""

from __future__ import annotations

from abc import ABC, abstractmethod

from oslo_config import cfg

from glancecore.domain.events import Event
from glancecore.ports.options import Options, Section


class Notifier(ABC):
    """Receives each event after the commit that made it true. Thread-safe."""

    options: Options = ()

    def __init__(self, conf: Section, config: cfg.ConfigOpts) -> None:
        """``conf`` is the plugin's own section; ``config`` the whole, for oslo libraries with sections of their own."""
        self.conf = conf
        self.config = config

    @abstractmethod
    def notify(self, event: Event) -> None:
        """Send it, or hand it to something that will; must not block the request for longer than a second.

        What it raises is logged and goes no further: the user's operation has happened.
        """
