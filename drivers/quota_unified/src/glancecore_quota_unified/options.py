"""Options of [quota_unified]; imports nothing but oslo.config, so that samples build anywhere."""

from __future__ import annotations

from oslo_config import cfg

OPTIONS: list[cfg.Opt] = [
    cfg.FloatOpt(
        "cache_seconds",
        default=5.0,
        min=0,
        help="Seconds that a project's limits are taken from memory; so long a change in Keystone may go unnoticed.",
    ),
]


def list_opts() -> list[tuple[str, list[cfg.Opt]]]:
    """For oslo-config-generator."""
    return [("quota_unified", list(OPTIONS))]
