"""The options of the jobs that come with the core, for the sample file."""

from __future__ import annotations

from oslo_config import cfg

from glancecore.features.cache import options as cache
from glancecore.features.copies import options as copies
from glancecore.features.images import options as images
from glancecore.ports.periodic import job_options


def list_opts() -> list[tuple[str, list[cfg.Opt]]]:
    """For oslo-config-generator."""
    return [(f"periodic_{name}", job_options(interval, options)) for module in (images, copies, cache) for name, (options, interval) in module.JOBS.items()]
