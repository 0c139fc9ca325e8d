"""Options of [ext_template]."""

from __future__ import annotations

from oslo_config import cfg

OPTIONS: list[cfg.Opt] = [
    cfg.IntOpt("longest", default=200, min=1, max=1000, help="Characters that a note has at most.")
]


def list_opts() -> list[tuple[str, list[cfg.Opt]]]:
    """For oslo-config-generator."""
    return [("ext_template", OPTIONS)]
