"""Finds and loads plugins; the only file that imports stevedore.

A plugin is an entry point in the group of its kind. Asking for one that is not installed is the operator's mistake
(ConfigError: what is installed, what was probably meant, what to install); one that is installed but can't be imported is
PluginBroken, and the caller decides by kind what that means (design section 2, style guide "Plugins").
"""

from __future__ import annotations

import difflib
import importlib.metadata
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from stevedore import named

from glancecore.domain.errors import ConfigError

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


def installed(kind: str) -> list[Installed]:
    """Every installed plugin of a kind, by name; nothing is imported."""
    group, _ = KINDS[kind]
    found = {}
    for entry in importlib.metadata.entry_points(group=group):
        dist = entry.dist
        found[entry.name] = Installed(kind, entry.name, f"{dist.name} {dist.version}" if dist else "?", entry.value)
    return [found[name] for name in sorted(found)]


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


def _reason(exc: BaseException | None) -> str:
    return "unknown reason" if exc is None else f"{type(exc).__name__}: {exc}"


def _missing(kind: str, name: str, names: Sequence[str], option: str) -> str:
    _, prefix = KINDS[kind]
    text = f"{option}: no {kind} plugin {name!r} is installed (installed: {', '.join(names) or 'none'})."
    near = difflib.get_close_matches(name, names, n=1, cutoff=0.6)
    if near:
        text += f" Did you mean {near[0]!r}?"
    return text + f" If it is one of this project's, install it with: pip install glancecore-{prefix}-{name.replace('_', '-')}"
