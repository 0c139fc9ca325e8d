"""Options of [notify_messaging], and the one in [DEFAULT] that operators know; imports nothing but oslo.config and what
every notifier has."""

from __future__ import annotations

from oslo_config import cfg

from glancecore.ports.notifier import PER_NOTIFIER

OPTIONS: list[cfg.Opt] = [
    cfg.StrOpt(
        "notification_format",
        default="glance",
        choices=["glance", "cadf", "both"],
        help=(
            "glance: the event types and payloads of Glance. cadf: events of the DMTF's CADF for audit tools, as"
            " audit.image.create and so on; they say who did it in the payload, too."
        ),
    ),
]

DEFAULT_OPTIONS: list[cfg.Opt] = [
    cfg.StrOpt(
        "default_publisher_id",
        sample_default="image.HOST",
        help="Who sends: publisher_id of all notifications. Not set: image. and the name of this host.",
    ),
]


def list_opts() -> list[tuple[str, list[cfg.Opt]]]:
    """For oslo-config-generator."""
    return [("DEFAULT", list(DEFAULT_OPTIONS)), ("notify_messaging", [*OPTIONS, *PER_NOTIFIER])]
