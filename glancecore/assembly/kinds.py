"""The one table of all kinds of plugins: what each is called, who wants it, and what it means when one is broken.

Importing it imports no port and no plugin. ``docs/plugins.md`` is made of it.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from oslo_config import cfg

from glancecore.conf.store import PER_STORE
from glancecore.features.cache.options import cache_driver
from glancecore.features.imports.options import STAGING


class Broken(Enum):
    """What a plugin that is installed, wanted and broken means for the service."""

    #: It does not start: nothing would be right without it.
    STOPS = "stops"
    #: It serves without, and says so.
    LEFT_OUT = "left out"


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """One kind of plugins.

    ``base``: ``module:class`` that each plugin derives from. ``section``: of its options; ``{name}`` stands for the
    plugin's name, ``{word}`` for the same with ``_`` for ``-``, and the class may name another one where ``renames`` is
    set; empty: that of the store's id. ``option``: where operators name it; ``wanted``: the names there, each with its
    option. ``handed``: what the class is called with, in order. ``starts``: it has a method ``start``. ``means``: the
    sentence about a broken one. ``common``: options that the service adds to the section. ``judge``: what is wrong with
    the class, or the object made of it; empty: nothing. ``shipped``: this project's plugins, and the distribution that
    each comes with. ``of_core``: those that the core's capabilities bring, name -> ``module:class``. ``kit`` and
    ``guide``: of ``glancecore.testing``, of ``docs``."""

    name: str
    group: str
    base: str
    section: str
    option: str
    wanted: Callable[[cfg.ConfigOpts], Mapping[str, str]]
    handed: tuple[str, ...]
    starts: bool
    broken: Broken
    means: str
    renames: bool = False
    common: Callable[[Any], Sequence[cfg.Opt]] = lambda _cls: ()
    judge: Callable[[Any], str] = lambda _plugin: ""
    shipped: Mapping[str, str] = field(default_factory=dict)
    of_core: Callable[[], Mapping[str, str]] = dict
    kit: tuple[str, ...] = ()
    guide: str = ""

    @property
    def base_class(self) -> type:
        module, _, name = self.base.partition(":")
        found: type = getattr(importlib.import_module(module), name)
        return found

    def sections(self, conf: cfg.ConfigOpts | None, name: str, cls: object = None) -> list[str]:
        """Where a plugin of that name has its options; of a store, those of the ids that use it."""
        if not self.section:
            return [x for x, driver in _stores(conf).items() if driver == name] if conf else []
        own = getattr(cls, "section", None) if self.renames else None
        return [own if isinstance(own, str) else self.section.format(name=name, word=name.replace("-", "_"))]


# -- who wants what --------------------------------------------------------------------------------
def _stores(conf: cfg.ConfigOpts) -> dict[str, str]:
    """Section -> driver."""
    return {**conf.enabled_backends, **({STAGING: conf.staging_driver} if conf.enabled_import_methods else {})}


def _wanted_stores(conf: cfg.ConfigOpts) -> Mapping[str, str]:
    found: dict[str, list[str]] = {}
    for store_id, driver in conf.enabled_backends.items():
        found.setdefault(driver, []).append(store_id)
    wanted = {driver: f"[DEFAULT] enabled_backends ({', '.join(ids)})" for driver, ids in found.items()}
    return {**({conf.staging_driver: "[DEFAULT] staging_driver"} if conf.enabled_import_methods else {}), **wanted}


def _one(option: str, name: str | None) -> Mapping[str, str]:
    return {name: option} if name else {}


def _each(option: str, names: Sequence[str]) -> Mapping[str, str]:
    return dict.fromkeys(names, option)


# -- options that the service adds -----------------------------------------------------------------
def _of_notifiers(cls: Any) -> Sequence[cfg.Opt]:
    from glancecore.ports.notifier import PER_NOTIFIER, DurableNotifier

    return () if cls.immediate or issubclass(cls, DurableNotifier) else PER_NOTIFIER


def _of_jobs(cls: Any) -> Sequence[cfg.Opt]:
    from glancecore.ports.periodic import job_options

    return [x for x in job_options(cls.interval, cls.options) if x not in cls.options]


def _jobs_of_core() -> Mapping[str, str]:
    from glancecore.assembly.core import JOBS  # all capabilities: what makes plugins of other kinds only does without

    return JOBS


# -- what may be wrong with one --------------------------------------------------------------------
def _judge_store(store: Any) -> str:
    from glancecore.ports.store import Cap, Store

    methods = {
        Cap.WRITE: ("put", "put_for"),
        Cap.DELETE: ("delete",),
        Cap.LIST: ("list",),
        Cap.LOCAL: ("local_path",),
        Cap.ADOPT: ("adopt",),
        Cap.PRESIGN: ("presign",),
        Cap.MARK: ("markers",),
    }
    is_class = isinstance(store, type)
    cls = store if is_class else type(store)
    caps, schemes = getattr(store, "caps", None), getattr(store, "schemes", None)
    if not isinstance(schemes, tuple) or not schemes or not all(isinstance(x, str) and x for x in schemes):
        return 'schemes must be a tuple of URL schemes, such as ("acme",)'
    if is_class and (caps is None or isinstance(caps, property)):  # each object may have its own
        return ""
    if not isinstance(caps, (frozenset, set)) or not all(isinstance(x, Cap) for x in caps):
        return "caps must be a frozenset of glancecore.ports.store.Cap, such as frozenset({Cap.WRITE, Cap.DELETE})"
    for cap in sorted(caps & methods.keys(), key=lambda x: x.value):
        if all(getattr(cls, x) is getattr(Store, x) for x in methods[cap]):
            return f"caps names Cap.{cap.name}, and there is no {methods[cap][0]}"
    return ""


def _judge_method(method: Any) -> str:
    from glancecore.ports.import_method import ImportMethod, Source

    if not isinstance(method.source, Source):
        return "source must be one of glancecore.ports.import_method.Source"
    cls: Any = method if isinstance(method, type) else type(method)
    return (
        "source is FETCHED, and there is no fetch"
        if method.source is Source.FETCHED and cls.fetch is ImportMethod.fetch
        else ""
    )


def _judge_job(job: Any) -> str:
    interval = getattr(job, "interval", None)
    if isinstance(interval, bool) or not isinstance(interval, (int, float)) or interval < 1:
        return "interval must be a number of seconds, 1 at least"
    return "" if isinstance(getattr(job, "summary", None), str) else "summary must be a line of text"


def _judge_database(database: Any) -> str:
    from glancecore.ports.repository import Database

    if isinstance(database, type):  # they are made in __init__
        return ""
    missing = [x for x in Database.__annotations__ if not hasattr(database, x)]
    return f"it has no {', no '.join(missing)}" if missing else ""


# -- the table -------------------------------------------------------------------------------------
_KINDS = (
    Kind(
        name="database",
        group="glancecore.databases",
        base="glancecore.ports.repository:Database",
        section="database",
        option="[database] driver",
        wanted=lambda conf: _one("[database] driver", conf.database.driver),
        handed=("section",),
        starts=False,
        broken=Broken.STOPS,
        means="the service does not start",
        judge=_judge_database,
        shipped={"registry": "glancecore-db-registry", "sql": "glancecore-db-sql"},
        kit=(
            "repository",
            "job_repository",
            "metadefs",
            "outbox_repository",
            "place_repository",
            "record_repository",
            "task_repository",
        ),
        guide="writing-a-plugin.md",
    ),
    Kind(
        name="store",
        group="glancecore.stores",
        base="glancecore.ports.store:Store",
        section="",
        option="[DEFAULT] enabled_backends, staging_driver",
        wanted=_wanted_stores,
        handed=("id", "section"),
        starts=True,
        broken=Broken.LEFT_OUT,
        means=(
            "it is not available and the others serve; one whose start failed is tried again; without the default"
            " store, unless it was in use before, or the staging store the service does not start"
        ),
        common=lambda _cls: PER_STORE,
        judge=_judge_store,
        shipped={
            "file": "glancecore-store-file",
            "http": "glancecore-store-http",
            "rbd": "glancecore-store-rbd",
            "s3": "glancecore-store-s3",
            "swift": "glancecore-store-swift",
            "vmware": "glancecore-store-vmware",
        },
        kit=("store",),
        guide="writing-a-store.md",
    ),
    Kind(
        name="cache",
        group="glancecore.caches",
        base="glancecore.ports.cache:Cache",
        section="cache_{name}",
        option="[DEFAULT] image_cache_dir, image_cache_driver",
        wanted=lambda conf: _one("[DEFAULT] image_cache_driver", cache_driver(conf)),
        handed=("section", "settings"),
        starts=True,
        broken=Broken.LEFT_OUT,
        means="images are not cached",
        shipped={"file": "glancecore-cache-file"},
        kit=("cache",),
        guide="writing-a-plugin.md",
    ),
    Kind(
        name="import_method",
        group="glancecore.import_methods",
        base="glancecore.ports.import_method:ImportMethod",
        section="method_{word}",
        option="[DEFAULT] enabled_import_methods",
        wanted=lambda conf: _each("[DEFAULT] enabled_import_methods", conf.enabled_import_methods),
        handed=("section", "config"),
        starts=True,
        broken=Broken.LEFT_OUT,
        means="it is not offered; imports by it that have begun wait",
        renames=True,
        judge=_judge_method,
        shipped={
            "copy-image": "glancecore-method-copy-image",
            "glance-direct": "glancecore-method-glance-direct",
            "glance-download": "glancecore-method-glance-download",
            "web-download": "glancecore-method-web-download",
        },
        kit=("import_method",),
        guide="writing-a-plugin.md",
    ),
    Kind(
        name="import_step",
        group="glancecore.import_steps",
        base="glancecore.ports.import_step:ImportStep",
        section="step_{name}",
        option="[image_import_opts] image_import_plugins",
        wanted=lambda conf: _each(
            "[image_import_opts] image_import_plugins",
            [x for x in conf.image_import_opts.image_import_plugins if x != "no_op"],
        ),
        handed=("section", "config"),
        starts=True,
        broken=Broken.LEFT_OUT,
        means="imports are refused (503), as the step may be a security check; copy-image, which has no steps, is not",
        renames=True,
        shipped={
            "image_conversion": "glancecore-step-convert",
            "image_decompression": "glancecore-step-decompress",
            "inject_image_metadata": "glancecore-step-inject-metadata",
            "verify": "glancecore-step-verify",
        },
        kit=("import_step",),
        guide="writing-an-import-step.md",
    ),
    Kind(
        name="certificates",
        group="glancecore.certificates",
        base="glancecore.ports.certificates:CertificateSource",
        section="certificates_{name}",
        option="[DEFAULT] certificate_source",
        wanted=lambda conf: _one("[DEFAULT] certificate_source", conf.certificate_source),
        handed=("section", "config"),
        starts=True,
        broken=Broken.LEFT_OUT,
        means="data of signed images is refused (503)",
        shipped={"castellan": "glancecore-certificates-castellan", "folder": "glancecore-certificates-folder"},
        kit=("certificates",),
        guide="writing-a-plugin.md",
    ),
    Kind(
        name="auth",
        group="glancecore.auth",
        base="glancecore.ports.auth:Auth",
        section="auth_{name}",
        option="[DEFAULT] auth_strategy",
        wanted=lambda conf: _one("[DEFAULT] auth_strategy", conf.auth_strategy),
        handed=("section", "config"),
        starts=True,
        broken=Broken.STOPS,
        means="the service does not start",
        shipped={
            "basic": "glancecore-auth-basic",
            "headers": "glancecore-auth-headers",
            "keystone": "glancecore-auth-keystone",
        },
        kit=("auth",),
        guide="writing-a-plugin.md",
    ),
    Kind(
        name="notifier",
        group="glancecore.notifiers",
        base="glancecore.ports.notifier:Notifier",
        section="notify_{name}",
        option="[DEFAULT] notifiers",
        wanted=lambda conf: _each("[DEFAULT] notifiers", conf.notifiers),
        handed=("section", "config"),
        starts=False,
        broken=Broken.LEFT_OUT,
        means="it is told nothing: its events are lost",
        common=_of_notifiers,
        shipped={
            "audit": "glancecore-notify-audit",
            "messaging": "glancecore-notify-messaging",
            "webhook": "glancecore-notify-webhook",
        },
        kit=("notifier",),
        guide="writing-a-plugin.md",
    ),
    Kind(
        name="quota",
        group="glancecore.quotas",
        base="glancecore.ports.quota:Quota",
        section="quota_{name}",
        option="[DEFAULT] quota_driver",
        wanted=lambda conf: _one("[DEFAULT] quota_driver", conf.quota_driver),
        handed=("section", "config"),
        starts=False,
        broken=Broken.STOPS,
        means="the service does not start",
        shipped={"unified": "glancecore-quota-unified"},
        kit=("quota",),
        guide="writing-a-plugin.md",
    ),
    Kind(
        name="periodic",
        group="glancecore.periodic",
        base="glancecore.ports.periodic:PeriodicJob",
        section="periodic_{name}",
        option="[periodic] enabled_jobs",
        wanted=lambda conf: _each("[periodic] enabled_jobs", conf.periodic.enabled_jobs),
        handed=("section", "tools"),
        starts=False,
        broken=Broken.LEFT_OUT,
        means="it does not run; the other jobs do",
        common=_of_jobs,
        judge=_judge_job,
        of_core=_jobs_of_core,
        kit=("periodic",),
        guide="writing-a-plugin.md",
    ),
    Kind(
        name="extension",
        group="glancecore.extensions",
        base="glancecore.ports.extension:Extension",
        section="ext_{word}",
        option="[DEFAULT] enabled_extensions",
        wanted=lambda conf: _each("[DEFAULT] enabled_extensions", conf.enabled_extensions),
        handed=("section", "kernel"),
        starts=True,
        broken=Broken.STOPS,
        means="the service does not start: it may be what refuses things",
        shipped={
            "census": "glancecore-ext-census",
            "console": "glancecore-ext-console",
            "families": "glancecore-ext-families",
            "lifecycle": "glancecore-ext-lifecycle",
            "parts": "glancecore-ext-parts",
            "resumable": "glancecore-ext-resumable",
            "tracing": "glancecore-ext-tracing",
            "trash": "glancecore-ext-trash",
            "tus": "glancecore-ext-tus",
        },
        kit=("extension",),
        guide="writing-an-extension.md",
    ),
)
KINDS: Mapping[str, Kind] = {x.name: x for x in _KINDS}
