"""Options of [ext_families]."""

from __future__ import annotations

from oslo_config import cfg

OPTIONS: list[cfg.Opt] = [
    cfg.BoolOpt(
        "resolve_names",
        default=True,
        help=(
            "Whether a list of images by name (GET /v2/images?name=debian/13@stable) answers what the reference means"
            " when no listed image has that name. Clients that look for names only need it."
        ),
    ),
    cfg.IntOpt("families_per_project", default=100, min=1, help="Families that a project may own."),
    cfg.IntOpt(
        "versions_per_family",
        default=10_000,
        min=1,
        max=1_000_000,
        help="Versions that a family may have had: labels are not used again, also when the image is deleted.",
    ),
    cfg.IntOpt(
        "channels_per_family", default=20, min=1, max=100, help="Channels that a family may have, beside latest."
    ),
    cfg.IntOpt("history_days", default=730, min=1, help="Days after which a move of a channel is forgotten."),
]


def list_opts() -> list[tuple[str, list[cfg.Opt]]]:
    """For oslo-config-generator."""
    return [("ext_families", OPTIONS)]
