"""Options of Glance with other names or another form here, honoured; what contradicts them stops the start."""

from __future__ import annotations

import copy
from collections.abc import Callable
from functools import partial
from urllib.parse import unquote, urlsplit

from oslo_config import cfg

from glancecore.conf import beside, glance_options
from glancecore.domain.errors import ConfigError
from glancecore.ports.options import Options

#: Glance's old names of drivers -> ours.
DRIVERS = {
    "filesystem": "file",
    "https": "http",
    "swift+http": "swift",
    "swift+https": "swift",
    "s3+http": "s3",
    "s3+https": "s3",
    "vsphere": "vmware",
}

#: What Glance once had in [DEFAULT], and nothing here does: the values that lose nothing, and what to do with others.
GONE = {
    "owner_is_tenant": ({"true", "1", "yes", "on"}, "images belong to projects here; remove it"),
    "allow_additional_image_properties": ({"true", "1", "yes", "on"}, "remove it, and set image_property_quota = 0"),
    "admin_role": ({"admin"}, "remove it, and say in the policy file who is an admin: context_is_admin"),
}

#: Options of [glance_store], or of a store, that say nothing of the form in which stores are named.
_IN_EITHER_FORM = ("default_backend", "weight", "store_description")


def steps() -> list[Callable[[cfg.ConfigOpts], object]]:
    """Each lets one of Glance's options be the default of ours, or raises ConfigError."""
    return [*(partial(_refuse_gone, name) for name in GONE), _limits, _notifications, _stores]


def _refuse_gone(name: str, conf: cfg.ConfigOpts) -> None:
    written = beside.written(conf).get("DEFAULT", {})
    harmless, fix = GONE[name]
    if name in written and (value := written[name][-1].strip()).lower() not in harmless:
        raise ConfigError(
            f"[DEFAULT] {name} = {value}: there is no such option any more, and without it more would be allowed; {fix}"
        )


def _limits(conf: cfg.ConfigOpts) -> None:
    if not conf.use_keystone_limits:
        return
    if said(conf, "quota_driver") and conf.quota_driver != "unified":
        raise ConfigError(
            f"[DEFAULT] use_keystone_limits = true and quota_driver = {conf.quota_driver} contradict each other; the"
            " first one means quota_driver = unified: remove one of them"
        )
    conf.set_default("quota_driver", "unified")


def _notifications(conf: cfg.ConfigOpts) -> None:
    """Glance sends when a driver is named; here the notifier has to be chosen."""
    sections = beside.written(conf)
    drivers = [
        *sections.get("oslo_messaging_notifications", {}).get("driver", ()),
        *sections.get("DEFAULT", {}).get("notification_driver", ()),
    ]
    wanted = [x.strip() for x in drivers if x.strip() not in ("", "noop")]
    if not wanted or "messaging" in conf.notifiers:
        return
    if said(conf, "notifiers"):
        raise ConfigError(
            f"[oslo_messaging_notifications] driver = {wanted[0]}, but [DEFAULT] notifiers ="
            f" {', '.join(conf.notifiers)} sends nothing there; add messaging to notifiers, or set driver = noop"
        )
    conf.set_default("notifiers", [*conf.notifiers, "messaging"])


def _stores(conf: cfg.ConfigOpts) -> None:
    """The form without ``enabled_backends``: names of drivers, and the options of all of them in [glance_store]."""
    old = [
        x
        for x in beside.written(conf).get("glance_store", {})
        if x not in _IN_EITHER_FORM and glance_options.fate("glance_store", x, store=True)
    ]
    if said(conf, "enabled_backends") or not old:
        return
    default = DRIVERS.get(conf.glance_store.default_store or "file", conf.glance_store.default_store or "file")
    names = [DRIVERS.get(x.strip(), x.strip()) for x in conf.glance_store.stores or ("file", "http")]
    if default not in names:
        raise ConfigError(
            f"[glance_store] default_store = {default} is none of stores = {', '.join(names)}; add it there"
        )
    conf.set_default("enabled_backends", {x: x for x in dict.fromkeys(names)})
    conf.set_default("default_backend", default, group="glance_store")


def in_old_section(conf: cfg.ConfigOpts, options: Options) -> Options:
    """A store's options, also read from [glance_store] when the operator has no ``enabled_backends``."""
    if said(conf, "enabled_backends"):
        return options
    found = [copy.copy(x) for x in options]
    for option in found:
        option.deprecated_opts = [*option.deprecated_opts, cfg.DeprecatedOpt(option.name, group="glance_store")]
    return found


def staging(conf: cfg.ConfigOpts) -> str | None:
    """The folder that ``node_staging_uri`` names. Raises ConfigError."""
    if not conf.node_staging_uri:
        return None
    url = urlsplit(conf.node_staging_uri)
    if (
        url.scheme != "file" or url.netloc not in ("", "localhost") or not url.path.startswith("/")
    ):  # in file://var/lib, var is a host
        raise ConfigError(
            f"[DEFAULT] node_staging_uri = {conf.node_staging_uri}: must be file:///path, with three slashes; other"
            " stores are chosen by staging_driver"
        )
    return unquote(url.path).rstrip("/") or "/"


def said(conf: cfg.ConfigOpts, name: str) -> bool:
    """The operator has set this option of [DEFAULT]."""
    where = conf.get_location(name)
    return where is not None and where.location.is_user_controlled
