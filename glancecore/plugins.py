"""Finds and loads plugins; the only file that imports stevedore.

A plugin is an entry point in the group of its kind. Asking for one that is not installed is the operator's mistake
(ConfigError: what is installed, what was probably meant, what to install); one that is installed but can't be imported is
PluginBroken, and the caller decides by kind what that means (design section 2, style guide "Plugins").
"""

from __future__ import annotations

import difflib
import functools
import importlib.metadata
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from oslo_config import cfg
from stevedore import named

from glancecore.domain.errors import ConfigError
from glancecore.ports.import_step import ImportStep
from glancecore.ports.options import section

#: Kind -> (entry-point group, prefix of the distributions that this project ships).
KINDS = {
    "database": ("glancecore.databases", "db"),
    "store": ("glancecore.stores", "store"),
    "cache": ("glancecore.caches", "cache"),
    "import_method": ("glancecore.import_methods", "method"),
    "import_step": ("glancecore.import_steps", "step"),
    "certificates": ("glancecore.certificates", "certificates"),
    "auth": ("glancecore.auth", "auth"),
    "notifier": ("glancecore.notifiers", "notify"),
    "quota": ("glancecore.quotas", "quota"),
    "periodic": ("glancecore.periodic", "periodic"),
    "extension": ("glancecore.extensions", "ext"),
}


#: This project's plugins, and the distribution that each comes with. No other package is ever named to an operator: a typing error in a
#: configuration file must not become the name of somebody else's package.
SHIPPED: dict[str, dict[str, str]] = {
    "auth": {"basic": "glancecore-auth-basic", "headers": "glancecore-auth-headers", "keystone": "glancecore-auth-keystone"},
    "cache": {"file": "glancecore-cache-file"},
    "certificates": {"castellan": "glancecore-certificates-castellan", "folder": "glancecore-certificates-folder"},
    "database": {"registry": "glancecore-db-registry", "sql": "glancecore-db-sql"},
    "import_method": {"copy-image": "glancecore-method-copy-image", "glance-direct": "glancecore-method-glance-direct", "glance-download": "glancecore-method-glance-download", "web-download": "glancecore-method-web-download"},
    "notifier": {"messaging": "glancecore-notify-messaging", "webhook": "glancecore-notify-webhook"},
    "quota": {"unified": "glancecore-quota-unified"},
    "import_step": {"image_conversion": "glancecore-step-convert", "image_decompression": "glancecore-step-decompress", "inject_image_metadata": "glancecore-step-inject-metadata", "verify": "glancecore-step-verify"},
    "store": {"file": "glancecore-store-file", "http": "glancecore-store-http", "rbd": "glancecore-store-rbd", "s3": "glancecore-store-s3", "swift": "glancecore-store-swift", "vmware": "glancecore-store-vmware"},
}


class PluginBroken(Exception):
    """Installed, but its import failed; ``__cause__`` is why."""


@dataclass(frozen=True, slots=True)
class Installed:
    """One installed plugin: which distribution brings it, and the object that it names."""

    kind: str
    name: str
    distribution: str
    target: str


@functools.cache
def _entry_points() -> Any:
    """Once a process: to look through all that is installed takes a while. Python 3.11 has another class for it than 3.12."""
    return importlib.metadata.entry_points()


def installed(kind: str) -> list[Installed]:
    """Every installed plugin of a kind, by name; nothing is imported."""
    group, _ = KINDS[kind]
    found = {}
    for entry in _entry_points().select(group=group):
        dist = entry.dist
        found[entry.name] = Installed(kind, entry.name, f"{dist.name} {dist.version}" if dist else "?", entry.value)
    return [found[name] for name in sorted(found)]


def sections() -> dict[str, str]:
    """Section -> the installed plugin that has its options there, but for those of databases, which have the core's, and of stores, which are called as
    the operator likes. Nothing is imported."""
    return {f"{prefix}_{x.name}".replace("-", "_") if kind == "import_method" else f"{prefix}_{x.name}": f"the {kind} plugin {x.name}"
            for kind, (_, prefix) in KINDS.items() if kind not in ("database", "store") for x in installed(kind)}


def load(kind: str, name: str, option: str) -> Any:
    """The class that plugin ``name`` of ``kind`` names.

    ``option`` is where the operator wrote the name, for the message. Raises ConfigError when it is not installed,
    PluginBroken when it can't be imported.
    """
    names = [x.name for x in installed(kind)]
    if name not in names:
        raise ConfigError(_missing(kind, name, names, option))
    failures: list[BaseException] = []
    group, _ = KINDS[kind]
    manager: named.NamedExtensionManager[Any] = named.NamedExtensionManager(
        group, [name], on_load_failure_callback=lambda _manager, _entry, exc: failures.append(exc))
    if failures or name not in manager:
        cause = failures[0] if failures else None
        raise PluginBroken(f"{kind} plugin {name!r} is installed but broken: {_reason(cause)}") from cause
    return manager[name].plugin


def required(kind: str, name: str, option: str) -> Any:
    """As ``load``, where a broken plugin stops the start. Raises ConfigError."""
    try:
        return load(kind, name, option)
    except PluginBroken as exc:
        raise ConfigError(f"{option} = {name}: {exc}; mend or reinstall this driver, or take the name out") from exc


def make_step(conf: cfg.ConfigOpts, name: str) -> ImportStep:
    """A started import step. The process that runs one step loads nothing else of the service. Raises ConfigError."""
    cls = required("import_step", name, "[image_import_opts] image_import_plugins")
    step: ImportStep = cls(section(conf, cls.section or f"step_{name}", cls.options), conf)
    step.start()
    return step


def _reason(exc: BaseException | None) -> str:
    return "unknown reason" if exc is None else f"{type(exc).__name__}: {exc}"


def _missing(kind: str, name: str, names: Sequence[str], option: str) -> str:
    text = f"{option}: no {kind} plugin {name!r} is installed (installed: {', '.join(names) or 'none'})."
    near = difflib.get_close_matches(name, names, n=1, cutoff=0.6)
    if near:
        text += f" Did you mean {near[0]!r}?"
    shipped = SHIPPED.get(kind, {})
    if meant := [name] if name in shipped else difflib.get_close_matches(name, sorted(set(shipped) - set(names)), n=1):
        text += f" {meant[0]} comes with: pip install {shipped[meant[0]]}"
    return text
