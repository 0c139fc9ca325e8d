"""All groups of the core, for registration and for the sample file."""

from __future__ import annotations

from oslo_config import cfg

from glancecore.conf import api, database, flavor, lease, periodic, plugins, registry, server, store
from glancecore.features.cache import options as cache
from glancecore.features.images import options as image
from glancecore.features.imports import options as imports
from glancecore.features.metadefs import options as metadefs
from glancecore.features.notifications import options as outbox
from glancecore.features.uploads import options as uploads

_GROUPS = (
    api,
    flavor,
    image,
    store,
    database,
    lease,
    imports,
    metadefs,
    outbox,
    periodic,
    plugins,
    registry,
    server,
    cache,
    uploads,
)


def register(conf: cfg.ConfigOpts) -> None:
    for module in _GROUPS:
        for group, options in module.OPTIONS.items():
            conf.register_opts(options, group=None if group == "DEFAULT" else group)


def list_opts() -> list[tuple[str, list[cfg.Opt]]]:
    """For oslo-config-generator."""
    return [(group, list(options)) for module in _GROUPS for group, options in module.OPTIONS.items()]
