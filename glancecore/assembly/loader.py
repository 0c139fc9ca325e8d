"""Finds, loads, makes and starts plugins of every kind; the only file that imports stevedore.

A plugin is an entry point in the group of its kind (``glancecore.assembly.kinds``); the core's capabilities name theirs
themselves. To want one that is not installed is the operator's mistake (ConfigError: what is installed, what was
probably meant, what to install), and so are settings that are wrong. Whatever else is wrong with a plugin, in its
distribution, its class, its constructor or its ``start``, is PluginBroken with the cause, and the kind says what that
means for the service."""

from __future__ import annotations

import contextlib
import difflib
import functools
import importlib.metadata
import inspect
import logging
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from oslo_config import cfg
from stevedore import named

from glancecore.assembly.attempt import Attempt
from glancecore.assembly.kinds import KINDS, Broken, Kind
from glancecore.domain.errors import CacheUnavailable, ConfigError, DatabaseUnavailable, PluginBroken, StoreError
from glancecore.ports.options import Options
from glancecore.ports.options import section as section_of
from glancecore.ports.plugin import PLUGIN_API

LOG = logging.getLogger(__name__)
T = TypeVar("T")
CORE = "glancecore"
#: What a plugin may say of its settings, and of what it reaches. Anything else that it raises is a fault of the plugin.
_NAMED = (PluginBroken, ConfigError, StoreError, DatabaseUnavailable, CacheUnavailable)
#: oslo.config's errors that no file of an operator can cause.
_FAULTS_OF_OPTIONS = (
    cfg.DuplicateOptError,
    cfg.NoSuchOptError,
    cfg.NoSuchGroupError,
    cfg.DefaultValueError,
    cfg.ArgsAlreadyParsedError,
)
_OF_CORE = re.compile(rf"{CORE}(?![\w.-])", re.IGNORECASE)
_NUMBERS = re.compile(r"[0-9]+(\.[0-9]+)*")
_BOUND = re.compile(rf"\s*(>=|<)\s*({_NUMBERS.pattern})\s*")
_VERSION = re.compile(r"([0-9]+)\.([0-9]+)")


@dataclass(frozen=True, slots=True)
class Installed:
    """One installed plugin: which distribution brings it, and the object that it names."""

    kind: str
    name: str
    distribution: str
    target: str
    requires: Callable[[], Sequence[str]] = tuple
    ours: bool = False


@functools.cache
def _catalog() -> Mapping[str, Sequence[Installed]]:
    """Kind -> what is installed of it. Once a process: to look through all that is installed takes a while."""
    distributions: dict[int, str] = {}
    entry_points = importlib.metadata.entry_points()
    found: dict[str, dict[tuple[str, str, str], Installed]] = {kind: {} for kind in KINDS}
    for kind in KINDS.values():
        for entry in entry_points.select(group=kind.group):
            dist = entry.dist
            if dist is None:
                continue
            known = distributions.setdefault(id(dist), "") or f"{dist.name} {dist.version}"
            distributions[id(dist)] = known
            found[kind.name].setdefault(
                (entry.name, known, entry.value),
                Installed(
                    kind.name,
                    entry.name,
                    known,
                    entry.value,
                    functools.partial(_requirements, dist),
                    known.partition(" ")[0] == CORE,
                ),
            )
    return {kind: [plugins[key] for key in sorted(plugins)] for kind, plugins in found.items()}


def installed(kind: str) -> Sequence[Installed]:
    """Every installed plugin of a kind, by name; nothing is imported. A name that several distributions use is there
    several times."""
    return sorted([*_catalog()[kind], *_of_capabilities(kind)], key=lambda x: x.name)


@functools.cache
def _of_capabilities(kind: str) -> Sequence[Installed]:
    """What the core's own capabilities bring."""
    here = f"{CORE} {importlib.metadata.version(CORE)}"
    return [Installed(kind, name, here, target, ours=True) for name, target in KINDS[kind].of_core().items()]


def plugin_sections() -> dict[str, str]:
    """Section -> the installed plugin that has its options there, but for those of databases, which have the core's,
    and of stores, which are called as the operator likes. Nothing is imported."""
    return {
        section: f"the {kind.name} plugin {x.name}"
        for kind in KINDS.values()
        if kind.name != "database"
        for x in installed(kind.name)
        for section in kind.sections(None, x.name)
    }


def fault_of_distribution(kind: str, name: str) -> str:
    """What is wrong with what is installed under that name, as far as it is known without an import; empty: nothing."""
    found = [x for x in installed(kind) if x.name == name]
    if len(found) > 1:
        brought = " and ".join(f"{x.distribution} ({x.target})" for x in found)
        return f"this name is brought by {brought}; uninstall all but one"
    for text in found[0].requires() if found else ():
        if complaint := _unfulfilled(text):
            return f"{found[0].distribution} {complaint}"
    return ""


def load(kind: str, name: str, option: str) -> Any:
    """The class of the plugin ``name`` of ``kind``, judged as far as that can be without making an object of it.

    ``option`` is where the operator wrote the name, for the message. Raises ConfigError when it is not installed,
    PluginBroken."""
    names = sorted({x.name for x in installed(kind)})
    if name not in names:
        raise ConfigError(missing(KINDS[kind], name, names, option))
    [*_, found] = [x for x in installed(kind) if x.name == name]
    if fault := fault_of_distribution(kind, name):
        raise PluginBroken(f"{kind} plugin {name!r} is broken: {fault}")
    with faults(kind, name, named_too=False):
        cls = _imported(KINDS[kind].group, found)
        fault = _fault_of_class(KINDS[kind], cls, found)
    if fault:
        raise PluginBroken(f"{kind} plugin {name!r} ({found.distribution}) is broken: {fault}")
    return cls


class Loader:
    """Makes the plugins that one configuration wants. What it leaves out is in ``broken``: (kind, name) -> why."""

    def __init__(
        self, conf: cfg.ConfigOpts, tell: Callable[[str, str, bool], None] = lambda _kind, _name, _broken: None
    ) -> None:
        """``tell`` is told of each plugin whether it is broken: kind, name, and that."""
        self._conf = conf
        self._tell = tell
        self._starts: dict[str, Attempt] = {}
        self.broken: dict[tuple[str, str], str] = {}

    def one(self, kind: str, **things: Any) -> Any:
        """The started plugin that the service can't do without. Raises ConfigError, and what its ``start`` raises by
        name."""
        [found] = self.every(kind, **things).values()
        return found

    def wanted(self, kind: str) -> Mapping[str, str]:
        """Names of plugins of a kind -> the option where the operator wants each."""
        return KINDS[kind].wanted(self._conf)

    def every(self, kind: str, **things: Any) -> dict[str, Any]:
        """All that the operator wants of a kind, started. A broken one is left out, or stops the start, as its kind
        says. Raises as ``one``."""
        found: dict[str, Any] = {}
        for name, option in KINDS[kind].wanted(self._conf).items():
            with self.or_left_out(kind, name, option):
                found[name] = self.make(kind, name, option, **things)
        return found

    @contextlib.contextmanager
    def or_left_out(self, kind: str, name: str, option: str) -> Iterator[None]:
        """A plugin that is found to be broken inside is left out, or stops the start, as its kind says. Raises
        ConfigError."""
        try:
            yield
        except PluginBroken as exc:
            if KINDS[kind].broken is Broken.STOPS:
                raise ConfigError(
                    f"{option} = {name}: {exc}; mend or replace this plugin, or choose another one"
                ) from exc
            LOG.error("a plugin is broken: %s = %s: %s; %s", option, name, exc, KINDS[kind].means)
            LOG.debug("how it broke", exc_info=exc)
            self.note(kind, name, str(exc))
        else:
            self.note(kind, name, None)

    def note(self, kind: str, name: str, fault: str | None) -> None:
        """The plugin is broken, or (None) works."""
        self.broken.pop((kind, name), None)
        if fault is not None:
            self.broken[kind, name] = fault
        self._tell(kind, name, fault is not None)

    def make(
        self,
        kind: str,
        name: str,
        option: str,
        *,
        cls: Any = None,
        section: str | None = None,
        options: Options | None = None,
        start: bool = True,
        **things: Any,
    ) -> Any:
        """A plugin with its section, started unless ``start`` says otherwise. ``things``: what its kind hands it, but
        for the section and the whole configuration. ``cls``: when it was loaded before; ``section`` and ``options``:
        when they are not its own.

        Raises ConfigError, PluginBroken, and what its ``start`` raises by name."""
        about = KINDS[kind]
        cls = load(kind, name, option) if cls is None else cls
        with faults(kind, name):
            [own] = [section] if section is not None else about.sections(None, name, cls)
            section_of(self._conf, own, about.common(cls))
            handed = {
                **things,
                "section": section_of(self._conf, own, cls.options if options is None else options),
                "config": self._conf,
            }
            made = cls(*(handed[x] for x in about.handed))
            fault = about.judge(made)
        if fault:
            raise PluginBroken(f"{kind} plugin {name!r} is broken: {fault}")
        if start and about.starts:
            self.in_time(kind, name, made.start, lambda _: None)
        return made

    def in_time(self, kind: str, name: str, start: Callable[[], T], late: Callable[[T], None], *, of: str = "") -> T:
        """Call what may hang, for [DEFAULT] plugin_start_timeout seconds at most. ``late``: what becomes of its result
        when it comes too late; before that the same is not tried again. ``of``: which store. Raises PluginBroken, and
        what ``start`` raises by name."""
        what = f"{kind} plugin {name!r}" + (f" of {of}" if of else "")
        limit = self._conf.plugin_start_timeout
        before = self._starts.get(what)
        if before is not None and before.hangs:
            raise PluginBroken(f"{what} is broken: an earlier start has not ended yet")
        LOG.log(logging.INFO if before is None else logging.DEBUG, "starting %s", what)
        attempt = self._starts[what] = Attempt(start, late)
        with faults(kind, name):
            if not attempt.ended_within(limit):
                raise PluginBroken(
                    f"{what} is broken: its start has not ended within {limit:g} seconds ([DEFAULT]"
                    " plugin_start_timeout)"
                )
            result: T = attempt.result()
        return result


# -- what is wrong with a plugin -------------------------------------------------------------------
@contextlib.contextmanager
def faults(kind: str, name: str, *, named_too: bool = True) -> Iterator[None]:
    """Whatever a plugin raises inside becomes PluginBroken, but for what it may say by name. A user's Ctrl-C stays
    one."""
    try:
        yield
    except KeyboardInterrupt:
        raise
    except BaseException as exc:
        if named_too and isinstance(exc, (*_NAMED, cfg.Error)) and not isinstance(exc, _FAULTS_OF_OPTIONS):
            raise
        raise PluginBroken(f"{kind} plugin {name!r} is broken: {_reason(exc)}") from exc


def _reason(exc: BaseException) -> str:
    if isinstance(exc, cfg.DuplicateOptError):
        return f"it declares an option {exc.opt_name}, and its section has another one of this name"
    if isinstance(exc, SystemExit):
        return f"it tried to end the process (SystemExit: {exc.code})"
    return " ".join(f"{type(exc).__name__}: {exc}".split()).removesuffix(":")


def _imported(group: str, found: Installed) -> Any:
    if found.ours:
        return importlib.metadata.EntryPoint(found.name, found.target, group).load()
    failures: list[BaseException] = []
    manager: named.NamedExtensionManager[Any] = named.NamedExtensionManager(
        group,
        [found.name],
        on_load_failure_callback=lambda _manager, _entry, exc: failures.append(exc),
        on_missing_entrypoints_callback=lambda _names: None,
    )
    if failures:
        raise failures[0]
    return manager[found.name].plugin


def _fault_of_class(kind: Kind, cls: Any, found: Installed) -> str:
    if not isinstance(cls, type) or not issubclass(cls, kind.base_class):
        module, _, base = kind.base.partition(":")
        return f"{found.target} is no class that derives from {module}.{base}"
    if fault := "" if found.ours else _fault_of_version(cls, found):
        return fault
    if missing := sorted(getattr(cls, "__abstractmethods__", ())):
        return f"{cls.__name__} has no {', no '.join(missing)}: the base class demands it"
    options = getattr(cls, "options", None)
    if not isinstance(options, Sequence) or not all(isinstance(x, cfg.Opt) for x in options):
        return f"{cls.__name__}.options must be a sequence of oslo.config's options"
    try:
        inspect.signature(cls).bind(*kind.handed)
    except (TypeError, ValueError) as exc:
        return f"{cls.__name__} is made with ({', '.join(kind.handed)}), and its __init__ takes something else: {exc}"
    return kind.judge(cls)


def _fault_of_version(cls: type, found: Installed) -> str:
    here, package = ".".join(map(str, PLUGIN_API)), found.distribution.partition(" ")[0]
    said = getattr(cls, "plugin_api", None)
    if said is None:
        return (
            f"{cls.__name__} does not say which version of the plugin API it was written for; its author adds it to the"
            " class, such as: "
            f'plugin_api = "{here}"'
        )
    match = _VERSION.fullmatch(said) if isinstance(said, str) else None
    if match is None:
        return f'{cls.__name__}.plugin_api must be a text of two numbers, such as "{here}"'
    version = int(match[1]), int(match[2])
    if version[0] < PLUGIN_API[0]:
        return (
            f"it was written for plugin API {said}, and this service has {here}; install a newer release of {package}"
        )
    if version > PLUGIN_API:
        return (
            f"it needs plugin API {said}, and this service has {here}; install a newer glancecore, or an older release"
            f" of {package}"
        )
    return ""


def _requirements(dist: importlib.metadata.Distribution) -> Sequence[str]:
    return dist.requires or ()


@functools.cache
def _unfulfilled(text: str) -> str:
    """What a distribution wants of this service's version and does not get; empty: nothing."""
    version = importlib.metadata.version(CORE)
    if not _OF_CORE.match(text) or _surely_fulfilled(text, version):
        return ""
    from packaging.requirements import InvalidRequirement, Requirement  # 2 MiB, for rare texts

    try:
        wanted = Requirement(text)
    except InvalidRequirement:
        return ""  # pip's business
    if wanted.marker is not None and not wanted.marker.evaluate({"extra": ""}):
        return ""
    if wanted.specifier.contains(version, prereleases=True):
        return ""
    return f"needs {CORE}{wanted.specifier}, and {version} is installed; install releases that fit"


def _surely_fulfilled(text: str, version: str) -> bool:
    """Of the text that nearly all plugins have, such as ``glancecore<2,>=1.0``. False: it is not so simple, or not
    fulfilled."""
    if _NUMBERS.fullmatch(version) is None:
        return False
    for clause in text[len(CORE) :].split(","):
        match = _BOUND.fullmatch(clause)
        if match is None:
            return False
        bound, here = ([int(x) for x in re.sub(r"(\.0+)+\Z", "", y).split(".")] for y in (match[2], version))
        if not (here >= bound if match[1] == ">=" else here < bound):
            return False
    return True


def missing(kind: Kind, name: str, names: Sequence[str], option: str) -> str:
    """That ``option`` names a plugin which is not among ``names``, what may be meant, and where it comes from."""
    text = f"{option}: no {kind.name} plugin {name!r} is installed (installed: {', '.join(names) or 'none'})."
    near = difflib.get_close_matches(name, names, n=1, cutoff=0.6)
    if near:
        text += f" Did you mean {near[0]!r}?"
    shipped: Mapping[str, str] = kind.shipped
    if meant := [name] if name in shipped else difflib.get_close_matches(name, sorted(set(shipped) - set(names)), n=1):
        text += f" {meant[0]} comes with: pip install {shipped[meant[0]]}"
    return text
