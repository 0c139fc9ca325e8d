"""Options of [ext_census]."""

from __future__ import annotations

from oslo_config import cfg

OPTIONS: list[cfg.Opt] = [
    cfg.IntOpt("keep_days", default=30, min=1, help="Days after which a count is forgotten."),
    cfg.IntOpt("at_once", default=1, min=1, help="Images that a process counts at the same time; the others wait."),
]


def list_opts() -> list[tuple[str, list[cfg.Opt]]]:
    """For oslo-config-generator."""
    return [("ext_census", OPTIONS)]
