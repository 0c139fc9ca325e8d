"""Telling others what has happened, as a capability: the operator's notifiers, and the outbox of those that lose
nothing."""

from __future__ import annotations

from collections.abc import Mapping

from oslo_config import cfg

from glancecore.domain.errors import ConfigError
from glancecore.kernel.core import CoreExtension, CoreKernel, Plugins
from glancecore.kernel.notifier_queue import NotifierQueue
from glancecore.kernel.outbox import Outbox, OutboxSettings
from glancecore.ports.notifier import Destination, DurableNotifier, Notifier


class NotificationsExtension(CoreExtension):
    def __init__(self, kernel: CoreKernel) -> None:
        super().__init__(kernel)
        conf = kernel.conf
        notifiers: dict[str, Notifier] = kernel.plugins.every("notifier")
        destinations = _destinations(conf, kernel.plugins, notifiers)
        options = conf.outbox
        self.outbox = Outbox(
            kernel.database.outbox,
            destinations if options.deliver else (),
            OutboxSettings(
                options.interval,
                options.batch,
                options.claim_seconds,
                options.first_pause,
                options.longest_pause,
                options.max_age,
            ),
        )
        immediate = {name: x for name, x in notifiers.items() if x.immediate}
        kernel.notifications.go_to(immediate, _queues(conf, notifiers), destinations, self.outbox.recorded)

    def start(self) -> None:
        self.outbox.start()

    def stop(self) -> None:
        self.outbox.stop()
        self.kernel.notifications.close()


def _queues(conf: cfg.ConfigOpts, notifiers: Mapping[str, Notifier]) -> list[NotifierQueue]:
    found = []
    for name, notifier in notifiers.items():
        if not notifier.immediate and not isinstance(notifier, DurableNotifier):
            options = conf[f"notify_{name}"]
            found.append(NotifierQueue(name, notifier, options.queue_size, options.drain_seconds))
    return found


def _destinations(conf: cfg.ConfigOpts, plugins: Plugins, notifiers: dict[str, Notifier]) -> list[Destination]:
    """Of all durable notifiers; one that can't tell them is taken out of ``notifiers``. Raises ConfigError."""
    found: list[Destination] = []
    for name, notifier in [*notifiers.items()]:
        if isinstance(notifier, DurableNotifier):
            del notifiers[name]
            with plugins.or_left_out("notifier", name, "[DEFAULT] notifiers"):
                found += plugins.in_time("notifier", name, notifier.destinations, lambda _: None)
                notifiers[name] = notifier
    for destination in found:
        if conf.outbox.claim_seconds < 2 * destination.timeout:
            raise ConfigError(
                f"[outbox] claim_seconds = {conf.outbox.claim_seconds:g}: {destination.name} may take"
                f" {destination.timeout:g} seconds for one event; set claim_seconds to {2 * destination.timeout:g} at"
                " least"
            )
    return found
