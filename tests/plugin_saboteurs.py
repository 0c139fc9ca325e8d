"""Plugins with one fault each. For every kind there is one that is right, and all faults are made of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import strangers

from glancecore.assembly.kinds import KINDS

#: Kind -> (base class, what the class of a plugin that is right has beside plugin_api).
RIGHT: Mapping[str, tuple[str, str]] = {
    "database": ("glancecore.testing.fakes:MemoryDatabase", "def __init__(self, conf): super().__init__()"),
    "store": ("glancecore.testing.memory_store:MemoryStore", ""),
    "cache": ("glancecore_cache_file.driver:FileCache", ""),
    "import_method": (
        "glancecore.ports.import_method:ImportMethod",
        "def fetch(self, work, offset=0, validator=None): raise ValueError",
    ),
    "import_step": ("glancecore.ports.import_step:ImportStep", "def run(self, work): pass"),
    "certificates": (
        "glancecore.ports.certificates:CertificateSource",
        "def certificate(self, uuid, token): raise ValueError",
    ),
    "auth": ("glancecore.builtin.no_auth:NoAuth", ""),
    "notifier": ("glancecore.ports.notifier:Notifier", "def notify(self, notification): pass"),
    "quota": ("glancecore.builtin.config_quota:ConfigQuota", ""),
    "extension": ("glancecore.ports.extension:Extension", "title = 'x'"),
    "periodic": (
        "glancecore.ports.periodic:PeriodicJob",
        "interval = 5.0; summary = 'x'\n    def run(self, turn): pass",
    ),
}


@dataclass(frozen=True, slots=True)
class Fault:
    """``module``: a line at the module's beginning; ``body``: one at the class' end; ``api``: its plugin_api; ``cls``:
    in place of the class. ``words``: what is said about it; ``at``: when it is found: load, make or start.
    ``requires``: of the distribution."""

    words: tuple[str, ...]
    module: str = ""
    body: str = ""
    api: str = 'plugin_api = "1.0"'
    cls: str = ""
    at: str = "load"
    requires: tuple[str, ...] = ()


#: Faults that a plugin of any kind may have.
OF_ALL: Mapping[str, Fault] = {
    "import error": Fault(
        ("ModuleNotFoundError", "a_library_that_is_not_there"), module="import a_library_that_is_not_there"
    ),
    "sys.exit at import": Fault(("end the process", "3"), module="import sys; sys.exit(3)"),
    "assertion at import": Fault(("AssertionError",), module="assert False"),
    "named error at import": Fault(
        ("ConfigError", "too early"),
        module="from glancecore.domain.errors import ConfigError; raise ConfigError('too early')",
    ),
    "no such class": Fault(("AttributeError", "Plugin"), cls="Other = object"),
    "a function": Fault(("derives from",), cls="def Plugin(*args): pass"),
    "another class": Fault(("derives from", "glancecore.ports."), cls="class Plugin: plugin_api = '1.0'"),
    "abstract method": Fault(
        ("Plugin has no", "demands it"),
        body="from abc import abstractmethod\n    @abstractmethod\n    def missing(self): pass",
    ),
    "old __init__": Fault(("__init__ takes something else",), body="def __init__(self): pass"),
    "options are no options": Fault(("options must be",), body="options = ('x',)"),
    "no plugin_api": Fault(("does not say which version of the plugin API", 'plugin_api = "1.0"'), api=""),
    "too new plugin_api": Fault(("needs plugin API 1.999", "has 1.0", "newer glancecore"), api='plugin_api = "1.999"'),
    "old plugin_api": Fault(("written for plugin API 0.9", "newer release of stranger"), api='plugin_api = "0.9"'),
    "plugin_api is the service's": Fault(
        ("must be a text of two numbers",), api="from glancecore.ports.plugin import PLUGIN_API as plugin_api"
    ),
    "needs another glancecore": Fault(
        ("needs glancecore>=7", "is installed"), requires=("something", 'other; python_version < "2"', "glancecore>=7")
    ),
    "__init__ raises": Fault(
        ("RuntimeError: not today",), body="def __init__(self, *args): raise RuntimeError('not today')", at="make"
    ),
    "__init__ exits": Fault(("end the process",), body="def __init__(self, *args): import sys; sys.exit(4)", at="make"),
    "option twice": Fault(
        ("declares an option odd",),
        body="from oslo_config import cfg; options = (cfg.StrOpt('odd'), cfg.IntOpt('odd'))",
        at="make",
    ),
}
#: Faults of plugins that have a ``start``.
OF_STARTS: Mapping[str, Fault] = {
    "start raises": Fault(("ZeroDivisionError",), body="def start(self): 1 / 0", at="start"),
    "start exits": Fault(("end the process",), body="def start(self): import sys; sys.exit(5)", at="start"),
    "start hangs": Fault(
        ("has not ended within 1 seconds", "plugin_start_timeout"),
        body="def start(self): import threading; threading.Event().wait()",
        at="start",
    ),
}
#: Faults that only a store can have.
OF_STORES: Mapping[str, Fault] = {
    "common option": Fault(
        ("declares an option weight",), body="from oslo_config import cfg; options = (cfg.StrOpt('weight'),)", at="make"
    ),
    "no caps": Fault(
        ("caps must be a frozenset",),
        at="make",
        cls="""
from glancecore.ports.store import Store
class Plugin(Store):
    plugin_api, schemes = "1.0", ("acme",)
    def canonical(self, url): return url
    def open(self, url, offset=0, length=None): return iter(())
    def size(self, url): return 0
""",
    ),
    "caps are texts": Fault(("caps must be a frozenset", "Cap"), body="caps = frozenset({'write'})"),
    "caps without methods": Fault(
        ("Cap.PRESIGN", "no presign"), body="from glancecore.ports.store import Cap; caps = frozenset({Cap.PRESIGN})"
    ),
    "no schemes": Fault(("schemes must be",), body="schemes = 'acme'"),
}


def faults_of(kind: str) -> dict[str, Fault]:
    return {**OF_ALL, **(OF_STARTS if KINDS[kind].starts else {}), **(OF_STORES if kind == "store" else {})}


def source(kind: str, fault: Fault) -> str:
    base, right = RIGHT[kind]
    module, _, name = base.partition(":")
    api = fault.api or ("plugin_api = None" if kind == "cache" else "")  # what its base class says is not its own
    cls = fault.cls or f"from {module} import {name}\n\nclass Plugin({name}):\n    '''A stranger's.'''\n" + "".join(
        f"    {x}\n" for x in (api, right, fault.body) if x
    ) + ("    pass\n" if not (api or right or fault.body) else "")
    return f"{fault.module}\n{cls}\n"


def word(name: str) -> str:
    """A fault's name as that of a plugin."""
    return "".join(x if x.isalnum() else "_" for x in name)


def write(folder: Path, kind: str, faults: Mapping[str, Fault], *, package: str = "stranger") -> None:
    """One distribution with a plugin for each fault, called after it; those that need something are in others."""
    group, targets = KINDS[kind].group, {}
    for name, fault in faults.items():
        module = f"{package}_{kind}_{word(name)}"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{module}.py").write_text(source(kind, fault))
        if fault.requires:
            strangers.distribution(
                folder, f"{package}-{kind}-{word(name)}", group, {word(name): f"{module}:Plugin"}, fault.requires
            )
        else:
            targets[word(name)] = f"{module}:Plugin"
    strangers.distribution(folder, f"{package}-{kind}", group, targets)


#: Nothing is wrong.
NONE = Fault(())
