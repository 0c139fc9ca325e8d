"""Options of [ext_trash]."""

from __future__ import annotations

from oslo_config import cfg

OPTIONS: list[cfg.Opt] = [
    cfg.IntOpt(
        "cooldown_minutes",
        default=0,
        min=0,
        max=525_600,
        help=(
            "Minutes for which an image can't be deleted after its protection was taken away, by nobody. 0: it can be"
            " deleted at once."
        ),
    ),
]


def list_opts() -> list[tuple[str, list[cfg.Opt]]]:
    """For oslo-config-generator."""
    return [("ext_trash", OPTIONS)]
