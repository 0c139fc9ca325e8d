"""Options of [ext_lifecycle]."""

from __future__ import annotations

from oslo_config import cfg

OPTIONS: list[cfg.Opt] = [
    cfg.IntOpt("policies_per_project", default=20, min=1, max=1000, help="Policies that a project may have."),
    cfg.IntOpt(
        "plans_per_policy",
        default=10,
        min=1,
        max=100,
        help="Plans of a policy that are kept; a new one takes the place of the oldest.",
    ),
    cfg.IntOpt("plan_hours", default=72, min=1, help="Hours for which a plan can be applied."),
    cfg.IntOpt(
        "images_per_plan",
        default=200,
        min=1,
        max=500,
        help="Images in one plan; the next plan has those that are left.",
    ),
]


def list_opts() -> list[tuple[str, list[cfg.Opt]]]:
    """For oslo-config-generator."""
    return [("ext_lifecycle", OPTIONS)]
