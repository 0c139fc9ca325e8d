"""Events as OpenStack notifications (oslo.messaging)."""

from __future__ import annotations

import socket
import warnings
from importlib.metadata import entry_points

from oslo_config import cfg
from oslo_context.context import RequestContext
from oslo_service import backend

from glancecore.domain.context import Initiator
from glancecore.domain.errors import ConfigError
from glancecore.domain.event_payload import payload
from glancecore.ports.notifier import Notification, Notifier
from glancecore.ports.options import Section
from glancecore.sdk import log_lines
from glancecore_notify_messaging.options import DEFAULT_OPTIONS, OPTIONS

with warnings.catch_warnings():
    warnings.simplefilter(
        "ignore"
    )  # futurist loads eventlet where it is installed, which then says that it is deprecated
    # chosen before oslo.messaging comes, which takes eventlet when nobody has
    backend.init_backend(backend.BackendType.THREADING)
    import oslo_messaging
    from oslo_messaging.transport import NotificationTransport


class NotSent(Exception):
    """oslo.messaging has logged why."""


class MessagingNotifier(Notifier):
    """To the message bus of [oslo_messaging_notifications], by oslo.messaging's drivers and with its options."""

    plugin_api = "1.0"
    options = OPTIONS

    def __init__(self, conf: Section, config: cfg.ConfigOpts) -> None:
        super().__init__(conf, config)
        config.register_opts(DEFAULT_OPTIONS)
        self._transport = _transport(config)
        _check_drivers(config)
        self._publisher = config.default_publisher_id or f"image.{socket.gethostname()}"
        self._notifier = oslo_messaging.Notifier(self._transport, self._publisher)

    def notify(self, notification: Notification) -> None:
        with log_lines.kept():  # what is logged inside tells of the event's request
            self._notify(notification)

    def _notify(self, notification: Notification) -> None:
        event_type, context, before = (
            notification.event.type.value,
            _context(notification.initiator),
            self._transport.failures,
        )
        if self.conf.notification_format in ("glance", "both"):
            self._notifier.info(context, event_type, payload(notification.event, notification.at))
        if self.conf.notification_format in ("cadf", "both"):
            from glancecore_notify_messaging.audit import cadf  # pyCADF is for those who want it

            self._notifier.info(context, f"audit.{event_type}", cadf(notification, self._publisher))
        if self._transport.failures > before:
            raise NotSent(f"{event_type} was not sent")

    def close(self) -> None:
        self._transport.cleanup()


def _context(initiator: Initiator | None) -> RequestContext:
    """Who did it. oslo.messaging sends what is known to be harmless of a context of this very class, and nothing of
    others; the address is not among it."""
    if initiator is None:
        return RequestContext(overwrite=False)
    return RequestContext(
        user_id=initiator.user, project_id=initiator.project, request_id=initiator.request_id, overwrite=False
    )


class CountingTransport(NotificationTransport):  # type: ignore[misc]
    """oslo.messaging's notifier logs what could not be sent and tells nobody: here it is counted on its way there."""

    def __init__(self, wrapped: NotificationTransport) -> None:
        super().__init__(wrapped._driver)  # noqa: SLF001 (there is no public way to it)
        self.failures = 0

    def _send_notification(
        self, target: oslo_messaging.Target, ctxt: object, message: object, version: float, retry: int | None = None
    ) -> None:
        # -1 means for ever; the rabbit driver takes it for "not once more" while it connects the first time, None it
        # understands
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
        raise ConfigError(
            f"{_url_option(config)} is not valid ({_without_url(exc)}); write it as "
            "rabbit://user:password@host:5672/virtual-host"
        ) from exc
    except oslo_messaging.DriverLoadFailure as exc:
        names = ", ".join(sorted(entry_points(group="oslo.messaging.drivers").names))
        raise ConfigError(
            f"{_url_option(config)}: the transport {exc.driver} can't be loaded ({exc.ex}); choose one of {names}"
        ) from exc
    except ValueError as exc:  # such as a port that is no number
        raise ConfigError(
            f"{_url_option(config)} is not valid ({exc}); write it as rabbit://user:password@host:5672/virtual-host"
        ) from exc


def _check_drivers(config: cfg.ConfigOpts) -> None:
    """Raises ConfigError where oslo.messaging would send nothing and say so in the log only."""
    group = config.oslo_messaging_notifications
    if not group.driver:
        raise ConfigError(
            "[oslo_messaging_notifications] driver: not set, so nothing would be sent; set it to messagingv2, or remove"
            " messaging from [DEFAULT] notifiers"
        )
    known = entry_points(group="oslo.messaging.notify.drivers").names
    for name in group.driver:
        if name not in known:
            raise ConfigError(
                f"[oslo_messaging_notifications] driver = {name}: choose one of {', '.join(sorted(known))}"
            )
    if not group.topics:
        raise ConfigError(
            "[oslo_messaging_notifications] topics: not set; set it to notifications, or to what the consumers"
            " listen to"
        )


def _url_option(config: cfg.ConfigOpts) -> str:
    """Which of the two options has the URL."""
    return (
        f"[{'oslo_messaging_notifications' if config.oslo_messaging_notifications.transport_url else 'DEFAULT'}]"
        " transport_url"
    )


def _without_url(exc: oslo_messaging.InvalidTransportURL) -> str:
    """It has the password in it."""
    said = str(exc)
    return said.replace(str(exc.url), "…") if exc.url else said
