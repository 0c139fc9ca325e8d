"""Options of [notify_messaging], and the one in [DEFAULT] that operators know; imports nothing but oslo.config."""

from __future__ import annotations

from oslo_config import cfg

OPTIONS: list[cfg.Opt] = [
    cfg.IntOpt("queue_size", default=1000, min=1,
               help="Most events of one worker that wait to be sent while the message bus is slow or away; more are lost, logged and counted."),
    cfg.FloatOpt("drain_seconds", default=5.0, min=0,
                 help="Seconds that a worker which ends waits for its events to be sent. Keep it below [server] graceful_timeout."),
]

DEFAULT_OPTIONS: list[cfg.Opt] = [
    cfg.StrOpt("default_publisher_id", sample_default="image.HOST",
               help="Who sends: publisher_id of all notifications. Not set: image. and the name of this host."),
]


def list_opts() -> list[tuple[str, list[cfg.Opt]]]:
    """For oslo-config-generator."""
    return [("DEFAULT", list(DEFAULT_OPTIONS)), ("notify_messaging", list(OPTIONS))]
