"""Whose each section of the operator's files is: a store's id is the name of its own one, so it must not be that of
another."""

from __future__ import annotations

import logging
from collections.abc import Collection, Mapping
from importlib.metadata import entry_points

from oslo_config import cfg

from glancecore.conf import library_options, opts
from glancecore.domain.errors import ConfigError

LOG = logging.getLogger(__name__)
#: Of stores with a purpose of their own.
RESERVED = "os_glance_"
_OPTION = "[DEFAULT] enabled_backends"
_FIX = "choose another id for this store, and call its section so"


def owners(plugins: Mapping[str, str], drivers: Collection[str]) -> dict[str, str]:
    """Section in lower case -> who reads it. ``plugins``: the same of those that are installed, by their names;
    ``drivers``: the names of the stores' drivers, whose options are listed in a section of that name and belong to no
    section."""
    found = {x.lower(): "an installed plugin" for x in of_plugins() if x not in drivers}
    found |= {x.lower(): who for x, who in plugins.items()}
    found |= {x.lower(): "a library of the service" for x in library_options.SECTIONS}
    return found | {group.lower(): "the service itself" for group, _ in opts.list_opts()}


def refuse_taken(conf: cfg.ConfigOpts, plugins: Mapping[str, str], drivers: Collection[str]) -> None:
    """Raises ConfigError for a store id whose section is somebody else's, before anything is made of the store."""
    known = owners(plugins, drivers)
    seen: dict[str, str] = {}
    for store in conf.enabled_backends:
        name = store.lower()
        if name.startswith(RESERVED):
            raise ConfigError(f"{_OPTION}: the store id {store!r} begins with {RESERVED}, which is reserved; {_FIX}")
        if name in known:
            raise ConfigError(
                f"{_OPTION}: the store id {store!r} is the name of a section that {known[name]} reads; {_FIX}"
            )
        if (other := seen.setdefault(name, store)) != store:
            raise ConfigError(
                f"{_OPTION}: the stores {other!r} and {store!r} would read the same section, where case does not count;"
                f" {_FIX}"
            )


def refuse_shared(conf: cfg.ConfigOpts, of_stores: Mapping[str, Collection[str]]) -> None:
    """Raises ConfigError when others have declared options in a store's section. Asked when everything is loaded: only
    then plugins have said what they read. ``of_stores``: store id -> the names of its own options."""
    for group, options in conf._groups.items():  # noqa: SLF001 (there is no public list)
        for store, own in of_stores.items():
            if store.lower() == group.lower() and (others := sorted(options._opts.keys() - set(own))):  # noqa: SLF001
                raise ConfigError(
                    f"{_OPTION}: the store id {store!r} is the name of a section in which {others[0]} is another"
                    f" plugin's option; {_FIX}"
                )


def of_plugins() -> dict[str, set[str]]:
    """Section -> options: what this project's installed plugins declare, in use or not."""
    found: dict[str, set[str]] = {}
    for entry in entry_points(group="oslo.config.opts"):
        if entry.value.startswith("glancecore"):
            try:
                declared = entry.load()()
            except (Exception, SystemExit) as exc:  # noqa: BLE001 (whatever a plugin raises)
                LOG.warning("the options of %s are not known: %s: %s", entry.value, type(exc).__name__, exc)
                continue
            for group, options in declared:
                found.setdefault(str(group), set()).update(x.dest for x in options)
    return found
