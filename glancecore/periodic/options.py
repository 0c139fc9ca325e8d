"""Options of the jobs that come with the core, for the sample file."""

from __future__ import annotations

from oslo_config import cfg

from glancecore.ports.periodic import job_options

REAPER: list[cfg.Opt] = [
    cfg.IntOpt("purge_after_days", default=0, min=0,
               help="Forget images that were removed so many days ago: their ids may then be used again. 0: never; glance-manage db purge does "
                    "it by hand."),
]
#: Job -> its options, and seconds from one start to the next.
JOBS: dict[str, tuple[list[cfg.Opt], float]] = {"reaper": (REAPER, 300.0)}


def list_opts() -> list[tuple[str, list[cfg.Opt]]]:
    """For oslo-config-generator."""
    return [(f"periodic_{name}", job_options(interval, options)) for name, (options, interval) in JOBS.items()]
