"""Events as OpenStack notifications (oslo.messaging)."""

from __future__ import annotations

import logging
import socket
import warnings
from datetime import UTC, datetime
from importlib.metadata import entry_points

from oslo_config import cfg
from oslo_service import backend

from glancecore.domain.errors import ConfigError
from glancecore.domain.event_payload import payload
from glancecore.domain.events import Event
from glancecore.ports.notifier import Notifier
from glancecore.ports.options import Section
from glancecore_notify_messaging.options import DEFAULT_OPTIONS, OPTIONS
from glancecore_notify_messaging.outgoing import Message, Outgoing

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # futurist loads eventlet where it is installed, which then says that it is deprecated
    # chosen before oslo.messaging comes, which takes eventlet when nobody has
    backend.init_backend(backend.BackendType.THREADING)
    import oslo_messaging
    from oslo_messaging.transport import NotificationTransport

LOG = logging.getLogger(__name__)


class MessagingNotifier(Notifier):
    """To the message bus of [oslo_messaging_notifications], by oslo.messaging's drivers and with its options.

    Events leave in order, by a thread of their own: a request never waits for the bus.
    """

    options = OPTIONS

    def __init__(self, conf: Section, config: cfg.ConfigOpts) -> None:
        super().__init__(conf, config)
        config.register_opts(DEFAULT_OPTIONS)
        self._transport = _transport(config)
        _check_drivers(config)
        publisher = config.default_publisher_id or f"image.{socket.gethostname()}"
        self._notifier = oslo_messaging.Notifier(self._transport, publisher)
        self._outgoing = Outgoing(self._send, self._transport.cleanup, conf.queue_size, conf.drain_seconds)

    def notify(self, event: Event) -> None:
        self._outgoing.put(Message(event.type.value, payload(event, datetime.now(UTC))))

    def close(self) -> None:
        """Send what waits and let the connections go, as at the end of the process."""
        self._outgoing.close()

    def _send(self, message: Message) -> bool:
        before = self._transport.failures
        try:
            self._notifier.info({}, message.event_type, message.payload)
        except Exception:  # what is not oslo.messaging's own trouble; the thread must live whatever happens
            LOG.exception("%s was not sent", message.event_type)
            return False
        return self._transport.failures == before


class CountingTransport(NotificationTransport):  # type: ignore[misc]
    """oslo.messaging's notifier logs what could not be sent and tells nobody: here it is counted on its way there."""

    def __init__(self, wrapped: NotificationTransport) -> None:
        super().__init__(wrapped._driver)  # noqa: SLF001 (there is no public way to it)
        self.failures = 0

    def _send_notification(self, target: oslo_messaging.Target, ctxt: object, message: object, version: float,
                           retry: int | None = None) -> None:
        # -1 means for ever; the rabbit driver takes it for "not once more" while it connects the first time, None it understands
        try:
            super()._send_notification(target, ctxt, message, version, None if retry is None or retry < 0 else retry)
        except Exception:
            self.failures += 1
            raise


def _transport(config: cfg.ConfigOpts) -> CountingTransport:
    oslo_messaging.set_transport_defaults(control_exchange="glance")  # where consumers of Glance's notifications look
    try:
        return CountingTransport(oslo_messaging.get_notification_transport(config))
    except oslo_messaging.InvalidTransportURL as exc:
        raise ConfigError(f"{_url_option(config)} is not valid ({_without_url(exc)}); write it as "
                          "rabbit://user:password@host:5672/virtual-host") from exc
    except oslo_messaging.DriverLoadFailure as exc:
        names = ", ".join(sorted(entry_points(group="oslo.messaging.drivers").names))
        raise ConfigError(f"{_url_option(config)}: the transport {exc.driver} can't be loaded ({exc.ex}); choose one of {names}") from exc
    except ValueError as exc:  # such as a port that is no number
        raise ConfigError(f"{_url_option(config)} is not valid ({exc}); write it as "
                          "rabbit://user:password@host:5672/virtual-host") from exc


def _check_drivers(config: cfg.ConfigOpts) -> None:
    """Raises ConfigError where oslo.messaging would send nothing and say so in the log only."""
    group = config.oslo_messaging_notifications
    if not group.driver:
        raise ConfigError("[oslo_messaging_notifications] driver: not set, so nothing would be sent; set it to messagingv2, or remove "
                          "messaging from [DEFAULT] notifiers")
    known = entry_points(group="oslo.messaging.notify.drivers").names
    for name in group.driver:
        if name not in known:
            raise ConfigError(f"[oslo_messaging_notifications] driver = {name}: choose one of {', '.join(sorted(known))}")
    if not group.topics:
        raise ConfigError("[oslo_messaging_notifications] topics: not set; set it to notifications, or to what the consumers listen to")


def _url_option(config: cfg.ConfigOpts) -> str:
    """Which of the two options has the URL."""
    return f"[{'oslo_messaging_notifications' if config.oslo_messaging_notifications.transport_url else 'DEFAULT'}] transport_url"


def _without_url(exc: oslo_messaging.InvalidTransportURL) -> str:
    """It has the password in it."""
    said = str(exc)
    return said.replace(str(exc.url), "…") if exc.url else said
