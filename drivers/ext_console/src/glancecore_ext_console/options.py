"""Options of [ext_console]."""

from __future__ import annotations

from oslo_config import cfg

OPTIONS: list[cfg.Opt] = []


def list_opts() -> list[tuple[str, list[cfg.Opt]]]:
    """For oslo-config-generator."""
    return [("ext_console", OPTIONS)]
