"""Extensions: loaded in the order of their needs, handed the service as a kernel, and asked for what they bring."""

from __future__ import annotations

import itertools
import logging
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from oslo_config import cfg
from oslo_policy.policy import DocumentedRuleDefault

from glancecore.assembly import loader
from glancecore.assembly.core import list_rules
from glancecore.assembly.extension_kernel import ServiceKernel
from glancecore.assembly.kinds import KINDS
from glancecore.assembly.loader import Loader, faults
from glancecore.domain import errors, fields
from glancecore.domain.context import Context
from glancecore.domain.errors import ConfigError
from glancecore.domain.image import Image
from glancecore.domain.lease import Operation
from glancecore.features.images.schemas import common
from glancecore.kernel.core import Beside, Shows
from glancecore.kernel.subscriptions import Subscriptions
from glancecore.ports.extension import Background, Dialect, Extension
from glancecore.ports.http import Handler, Route, Schema
from glancecore.ports.periodic import PeriodicJob
from glancecore.ports.site import Entrance
from glancecore.ports.tracer import Tracer
from glancecore.sdk import tracing

if TYPE_CHECKING:
    from flask import Request, Response

LOG = logging.getLogger(__name__)
OPTION = "[DEFAULT] enabled_extensions"
#: Characters of an operation's name, which stands in each lease.
_LONGEST_OPERATION = 32
#: Characters of an event's name.
_LONGEST_EVENT = 64
#: Where an extension's own paths may begin.
_PLACE = re.compile(r"(?:/[a-z0-9_-]+)+")


# -- the classes: what is known before anything is made --------------------------------------------
def load(conf: cfg.ConfigOpts) -> dict[str, type[Extension]]:
    """The classes of the enabled extensions, each behind those that it needs. Raises ConfigError."""
    found: dict[str, type[Extension]] = {}
    for name, option in KINDS["extension"].wanted(conf).items():
        with Loader(conf).or_left_out("extension", name, option):
            found[name] = loader.load("extension", name, option)
    for name, cls in found.items():
        if missing := sorted(cls.needs - found.keys()):
            raise ConfigError(
                f"{OPTION}: {name} needs {', '.join(missing)}; add {'them' if len(missing) > 1 else 'it'}"
            )
        with Loader(conf).or_left_out("extension", name, OPTION), faults("extension", name):
            wrong = complaints(name, cls)
        if wrong:
            raise ConfigError(
                f"{OPTION} = {name}: the extension is broken: {wrong[0]}; install another release of it, or remove it"
                " from this option"
            )
    ordered = _ordered(found)
    _refuse_clashes(ordered)
    return ordered


def rules(classes: Mapping[str, type[Extension]]) -> list[DocumentedRuleDefault]:
    return [rule for cls in classes.values() for rule in cls.rules]


def idle_rules(classes: Mapping[str, type[Extension]]) -> list[str]:
    """What the rules begin with of those that are installed and not enabled: a policy file may name them."""
    return [f"{x.name.replace('-', '_')}_" for x in loader.installed("extension") if x.name not in classes]


def shown(classes: Mapping[str, type[Extension]]) -> dict[str, Schema]:
    """The keys that they show on images."""
    return {key: schema for cls in classes.values() for key, schema in cls.shows.items()}


def shown_to_clients(classes: Mapping[str, type[Extension]]) -> list[dict[str, str]]:
    known = {x.name: x.distribution.rpartition(" ")[2] for x in loader.installed("extension")}
    return [{"name": name, "version": known[name], "title": cls.title} for name, cls in classes.items()]


def jobs(classes: Mapping[str, type[Extension]]) -> dict[str, type[PeriodicJob]]:
    return {name: job for cls in classes.values() for name, job in cls.jobs.items()}


def _ordered(found: Mapping[str, type[Extension]]) -> dict[str, type[Extension]]:
    ordered: dict[str, type[Extension]] = {}
    while len(ordered) < len(found):
        ready = [x for x in found if x not in ordered and found[x].needs <= ordered.keys()]
        if not ready:
            raise ConfigError(
                f"{OPTION}: {', '.join(sorted(found.keys() - ordered.keys()))} need each other; their authors must mend"
                " that"
            )
        ordered |= {x: found[x] for x in ready}
    return ordered


def complaints(name: str, cls: type[Extension]) -> list[str]:
    """What is wrong with what it declares, in sentences. The kit for extensions asks the same."""
    word = name.replace("-", "_")
    dotted = [*(x.name for x in cls.collections), *cls.events]
    joined = [*cls.operations, *(x.name for x in cls.rules), *cls.jobs]
    found = [f"{x} does not begin with {word}." for x in dotted if not x.startswith(f"{word}.")]
    found += [f"{x} does not begin with {word}_" for x in joined if not x.startswith(f"{word}_")]
    found += [
        f"collection {x} is declared twice"
        for x in {y.name for y in cls.collections}
        if sum(y.name == x for y in cls.collections) > 1
    ]
    found += [
        f"operation {x} has more than {_LONGEST_OPERATION} characters"
        for x in cls.operations
        if len(x) > _LONGEST_OPERATION
    ]
    found += [f"event {x} has more than {_LONGEST_EVENT} characters" for x in cls.events if len(x) > _LONGEST_EVENT]
    found += [
        f"it shows {x}, which the service itself has"
        for x in cls.shows
        if fields.is_base(x) or fields.is_reserved(x) or x in fields.RESERVED or x in common()
    ]
    found += [
        f"it shows {x!r}, which is no name of a key: a letter, then letters, digits and underscores"
        for x in cls.shows
        if not x.isidentifier()
    ]
    found += [
        f"job {x} is no PeriodicJob"
        for x, job in cls.jobs.items()
        if not (isinstance(job, type) and issubclass(job, PeriodicJob))
    ]
    found += [
        f"{x.name} is a rule of the service itself" for x in cls.rules if x.name in {y.name for y in list_rules()}
    ]
    found += [
        f"rule {x} is declared twice" for x in {y.name for y in cls.rules} if sum(y.name == x for y in cls.rules) > 1
    ]
    if not getattr(cls, "title", ""):
        found.append("it has no title")
    return found


def _refuse_clashes(classes: Mapping[str, type[Extension]]) -> None:
    for (one, first), (other, second) in itertools.combinations(classes.items(), 2):
        if both := sorted(first.shows.keys() & second.shows.keys()):
            raise ConfigError(f"{OPTION}: {one} and {other} both show {both[0]} on images; enable one of the two")
    if clash := {x for cls in classes.values() for x in cls.operations} & set(Operation):
        raise ConfigError(
            f"{OPTION}: an extension has an operation {min(clash)}, as the service itself has; remove that extension"
            " from this option"
        )


# -- the extensions --------------------------------------------------------------------------------
class Extensions(Beside):
    """Those that are enabled, made and subscribed."""

    def __init__(
        self, plugins: Loader, classes: Mapping[str, type[Extension]], kernel: ServiceKernel, on: Subscriptions
    ) -> None:
        """Raises ConfigError."""
        self._plugins = plugins
        self._made = kernel.made
        for name, cls in classes.items():
            with plugins.or_left_out("extension", name, OPTION):
                self._made[name] = plugins.make("extension", name, OPTION, cls=cls, start=False, kernel=kernel)
                with faults("extension", name):
                    self._made[name].subscribe(on)
        self._background: list[Background] = []
        self._tracer: tuple[str, Tracer] | None = None
        self._started: list[tuple[str, Extension]] = []

    def __iter__(self) -> Iterator[tuple[str, Extension]]:
        return iter(self._made.items())

    def __getitem__(self, name: str) -> Extension:
        return self._made[name]

    def start(self) -> None:
        """Raises ConfigError."""
        for name, extension in self._made.items():
            with self._plugins.or_left_out("extension", name, OPTION):
                self._started.append((name, extension))
                self._plugins.in_time("extension", name, extension.start, lambda _: None)
                with faults("extension", name):
                    self._background += extension.background()
                    tracer = extension.tracer()
                self._trace(name, tracer)

    def _trace(self, name: str, tracer: Tracer | None) -> None:
        if tracer is None:
            return
        if self._tracer is not None:
            raise ConfigError(f"{OPTION}: {self._tracer[0]} and {name} both bring a tracer; enable one of the two")
        self._tracer = name, tracer
        tracing.install(tracer)

    def end_tracer(self) -> None:
        """Behind all that may begin a span."""
        found, self._tracer = self._tracer, None
        if found is not None:
            tracing.remove(found[1])
            found[1].close()

    def run(self) -> None:
        """What they do beside requests."""
        for each in self._background:
            try:
                each.start()
            except Exception:  # whatever an extension raises: the service runs
                LOG.exception("something that an extension does in the background could not be started")

    def stop(self) -> None:
        while self._background:
            try:
                self._background.pop().stop()
            except Exception:
                LOG.exception("something that an extension does in the background could not be stopped")
        while self._started:
            name, extension = self._started.pop()
            try:
                extension.stop()
            except Exception:
                LOG.exception("extension %s could not be stopped", name)

    def routes(self, core: Sequence[Route]) -> list[Route]:
        """Raises ConfigError where two have the same."""
        owners = {
            **{("GET", x): "the service itself" for x in ("/", "/versions", "/openapi.json")},
            **{(x.method, _bare(x.path)): "the service itself" for x in core},
        }
        found: list[Route] = []
        for name, extension in self._made.items():
            with self._plugins.or_left_out("extension", name, OPTION), faults("extension", name):
                brought = list(extension.routes())
            for route in brought:
                if not route.path.startswith("/"):
                    raise ConfigError(
                        f"{OPTION} = {name}: its route {route.path} does not begin with a slash; install another"
                        " release of it"
                    )
                key = route.method, _bare(route.path)
                if key in owners:
                    raise ConfigError(
                        f"{OPTION}: {route.method} {route.path} is a route of {name} and of {owners[key]}; enable one"
                        " of the two"
                    )
                owners[key] = name
                found.append(route)
        return found

    def in_other_words(self, core: Sequence[Route]) -> list[Route]:
        """The core's routes, where an extension is asked first whether a request is in its dialect. Raises ConfigError
        for one of no route."""
        found = {f"{x.method} {x.path}": x for x in core}
        for name, extension in self._made.items():
            dialects: Mapping[str, Dialect] = {}
            with self._plugins.or_left_out("extension", name, OPTION), faults("extension", name):
                dialects = dict(extension.dialects())
            for said, handler in dialects.items():
                if said not in found:
                    raise ConfigError(
                        f"{OPTION} = {name}: it has a dialect of {said}, which is no route of the service; install"
                        " another release of it"
                    )
                found[said] = replace(found[said], handler=partial(_either, handler, found[said].handler))
        return list(found.values())

    def entrances(self, routes: Sequence[Route]) -> list[Entrance]:
        """Raises ConfigError where one leads to what is there already."""
        found: dict[str, tuple[str, Entrance]] = {}
        for name, extension in self._made.items():
            with self._plugins.or_left_out("extension", name, OPTION), faults("extension", name):
                brought = list(extension.entrances())
            for entrance in brought:
                path = entrance.path
                if not _PLACE.fullmatch(path) or path.startswith("/v2"):
                    raise ConfigError(
                        f"{OPTION} = {name}: its entrance {path} is no path outside /v2; install another release of it"
                    )
                if route := next((x for x in routes if x.path.startswith(f"{path}/")), None):
                    raise ConfigError(
                        f"{OPTION} = {name}: its entrance {path} hides {route.path}; enable one of the two that bring"
                        " them"
                    )
                if path in found:
                    raise ConfigError(
                        f"{OPTION}: {path} is an entrance of {name} and of {found[path][0]}; enable one of the two"
                    )
                found[path] = name, entrance
        return [entrance for _, entrance in found.values()]

    def site_headers(self) -> dict[str, Mapping[str, str]]:
        """Raises ConfigError where they would be of what is no extension's own."""
        found: dict[str, Mapping[str, str]] = {}
        for name, extension in self._made.items():
            for path, headers in extension.site_headers.items():
                if not _PLACE.fullmatch(path) or path.startswith("/v2") or path in found:
                    raise ConfigError(
                        f"{OPTION} = {name}: it has headers for {path}, which is not its own; install another release"
                        " of it"
                    )
                found[path] = headers
        return found

    def presenting(self) -> list[Shows]:
        return [partial(_presented, name, x) for name, x in self._made.items() if x.shows]

    def headers(self, row: Mapping[str, object]) -> dict[str, str]:
        """What is said of an image beside ``row``."""
        found: dict[str, str] = {}
        for name, extension in self._made.items():
            try:
                found |= extension.headers({key: row[key] for key in extension.shows if key in row})
            except Exception:  # an image that is there is shown
                LOG.exception("extension %s can't show its headers on an image", name)
        return found

    @property
    def resolver(self) -> Callable[[Context, str], str | None] | None:
        """None: no extension knows references to images."""
        if any(type(x).resolve is not Extension.resolve for x in self._made.values()):
            return partial(self._resolve, "resolve")
        return None

    def named(self, ctx: Context, name: str) -> str | None:
        """The id of the image that is meant by a name that no image has."""
        return self._resolve("named", ctx, name)

    def _resolve(self, how: str, ctx: Context, reference: str) -> str | None:
        """The id of the image that is meant by what is no id."""
        for name, extension in self._made.items():
            try:
                found: str | None = getattr(extension, how)(ctx, reference)
            except errors.GlanceError:
                raise
            except Exception:  # to others it may mean something
                LOG.exception("extension %s can't tell what image is meant", name)
                continue
            if found is not None:
                return found
        return None


def _presented(
    name: str, extension: Extension, ctx: Context, images: Sequence[Image]
) -> Sequence[Mapping[str, object]]:
    """What of its keys an extension shows: when it fails, the images are shown without."""
    try:
        return [
            {key: value for key, value in row.items() if key in extension.shows}
            for row, _ in zip(extension.present(ctx, images), images, strict=True)
        ]
    except Exception:  # an image that is there is shown
        LOG.exception("extension %s can't show its keys on images", name)
        return [{}] * len(images)


def _either(dialect: Dialect, handler: Handler, request: Request, ctx: Context, **values: str) -> Response:
    answer = dialect(request, ctx, **values)
    return handler(request, ctx, **values) if answer is None else answer


def _bare(path: str) -> str:
    """What its parameters are called does not matter."""
    return "/".join("<>" if part.startswith("<") else part for part in path.split("/"))
