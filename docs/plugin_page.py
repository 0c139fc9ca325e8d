# ruff: noqa: INP001 - a part of generate.py
"""The page about all kinds of plugins, from the table that the service itself uses."""

from __future__ import annotations

from collections.abc import Sequence

from glancecore.assembly.kinds import KINDS, Kind
from glancecore.ports.plugin import PLUGIN_API

_API = ".".join(map(str, PLUGIN_API))
_BEGINNING = """# Plugins

A plugin is a class in a Python distribution, and an entry point that names it. The entry point's name is the word that operators write in the
configuration file. `glance-plugins list` shows what is installed, `glance-plugins show KIND NAME` one plugin with its section and options.

This page is made of the table by which the service loads plugins (`glancecore/assembly/kinds.py`).

## The kinds
"""
_BROKEN = """
## When a plugin is broken

A plugin is broken when its distribution, its class, its constructor or its `start` fails in any way: it can't be imported, it ends the process, it is
no class of its kind, it lacks a method, it takes other arguments than it is handed, it declares an option that its section has already, it was written for another
plugin API, its name is brought by two distributions, its start takes longer than `[DEFAULT] plugin_start_timeout`. No other plugin is touched by that, and the log has one
line that names the option, the plugin and the cause, without a traceback (`--debug` has it). What it means for the service depends on the kind:
"""
_SAID = """
A plugin that the service runs without is told by an ERROR in the log, by the metric `glance_plugin_broken`, and by `glance-plugins list` and `check`. Stores
that are not available say why in `GET /v2/info/stores/detail`. `GET /v2/info/import` has only the import methods that work.

A name that is not installed is a mistake of the operator, and so are wrong settings (`ConfigError`): both stop the start, whatever the kind, with what is to be corrected.

`glance-plugins` imports each plugin in a process of its own, so it survives those that crash or hang. It imports what is enabled; with `--all`, everything that is installed.
`glance-plugins check` also builds the service, as a start would.

## What every plugin has
"""
_GUIDE = f"""
```toml
[project]
name = "glancecore-quota-acme"
version = "1.0.0"
dependencies = ["glancecore>=1.0,<2"]

[project.entry-points."glancecore.quotas"]
acme = "glancecore_quota_acme.driver:AcmeQuota"
```

```python
class AcmeQuota(Quota):
    plugin_api = "{_API}"
    options = [cfg.IntOpt("most", default=100, help="Images of one project.")]

    def limits(self, project: str | None) -> Limits:
        return Limits(images=self.conf.most)
```

- The class derives from the base class of its kind. What each method must do is said in that class' docstrings.
- `plugin_api` is the version of the plugin API that the plugin was written for, as a text. There is no default, and the service's own constant is refused: it would always
  claim the version that is installed. This release has **{_API}**. A plugin of an older major version is refused, and so is one that needs a newer version than the service has.
- The distribution says in `dependencies` which releases of glancecore it works with. That is looked at when the plugin is loaded, before it is imported.
- `options` are oslo.config options. They are read from the section of the table above as `self.conf.NAME`. They must not be called like the options that the service adds
  to the section: stores have {{stores}}, notifiers with a queue {{notifiers}}. Options of a periodic job may stand in the place of `interval` and `dry_run`.
- The constructor takes what the table says, in this order, and opens nothing. `start`, where the kind has one, checks the settings and reaches the backend. It raises
  `ConfigError` with option and fix for wrong settings.
- The module imports nothing that takes long before it is needed. It is imported by each process that uses it.

## Versions of the plugin API

The plugin API is `glancecore.ports` and `glancecore.domain`, with the kits of `glancecore.testing`. A plugin of {PLUGIN_API[0]}.0 works with every {PLUGIN_API[0]}.x: a minor version
adds methods with defaults, options, and rules of the kits; it takes nothing away. What the next major version takes away is deprecated one minor version
before, and said under "Plugin API" in the [changelog](../CHANGELOG.md).

## Plugins of this project
"""


def text() -> str:
    from glancecore.conf.store import PER_STORE
    from glancecore.ports.notifier import PER_NOTIFIER

    kinds = [*KINDS.values()]
    guide = _GUIDE.replace("{stores}", _listed([x.name for x in PER_STORE])).replace(
        "{notifiers}", _listed([x.name for x in PER_NOTIFIER])
    )
    return "\n".join(
        [
            _BEGINNING,
            *_table(
                (
                    "kind",
                    "entry-point group",
                    "enabled by",
                    "section of its options",
                    "base class",
                    "its constructor takes",
                    "kit",
                    "guide",
                ),
                [_about(x) for x in kinds],
            ),
            _BROKEN,
            *_table(("kind", "installed, enabled and broken"), [(x.name, x.means) for x in kinds]),
            _SAID.rstrip("\n"),
            guide,
            *_table(
                ("kind", "name", "distribution"),
                [(x.name, f"`{name}`", f"`{package}`") for x in kinds for name, package in x.shipped.items()],
            ),
            "",
            "In the core: `none` (auth), `log` (notifier), `config` (quota), and the [periodic jobs](periodic.md).",
            "",
        ]
    )


def _about(kind: Kind) -> tuple[str, ...]:
    section = f"`[{kind.section.format(name='NAME', word='NAME')}]`" if kind.section else "the store's id"
    if "{word}" in kind.section:
        section += " with `_` for `-`"
    if kind.renames:
        section += ", or what the class calls `section`"
    kit = ", ".join(f"`glancecore.testing.{x}`" for x in kind.kit) or "none"
    guide = (
        f"[{kind.guide.removesuffix('.md').replace('-', ' ')}]({kind.guide})"
        if kind.guide
        else "[below](#what-every-plugin-has)"
    )
    return (
        kind.name,
        f"`{kind.group}`",
        f"`{kind.option}`",
        section,
        f"`{kind.base.replace(':', '.')}`",
        ", ".join(f"`{x}`" for x in kind.handed),
        kit,
        guide,
    )


def _listed(names: Sequence[str]) -> str:
    return ", ".join(f"`{x}`" for x in names)


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    return [f"| {' | '.join(x)} |" for x in (head, ["---"] * len(head), *rows)]
