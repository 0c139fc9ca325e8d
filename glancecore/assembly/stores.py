"""The operator's stores, each started or known to be unavailable."""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Callable, Container, Mapping, Sequence
from pathlib import Path

from oslo_config import cfg

from glancecore.assembly.loader import Loader, installed, load, plugin_sections
from glancecore.conf import from_glance, review, sections
from glancecore.conf.store import PER_STORE
from glancecore.domain import errors
from glancecore.domain.errors import ConfigError
from glancecore.features.imports.options import STAGING
from glancecore.kernel.transfer.draining import Draining
from glancecore.kernel.transfer.places import Places
from glancecore.kernel.transfer.store_facade import StoreFacade
from glancecore.kernel.transfer.store_settings import DirectDownload, StoreSettings
from glancecore.kernel.transfer.stores import Stores
from glancecore.ports.options import section
from glancecore.ports.repository import Database
from glancecore.ports.store import Cap, Store

LOG = logging.getLogger(__name__)


def load_stores(
    conf: cfg.ConfigOpts,
    database: Database | None = None,
    *,
    tolerate_outages: bool = False,
    look: bool = False,
    loader: Loader | None = None,
    staging: bool = False,
) -> Stores:
    """A broken store is listed as unavailable and the others serve, unless it is the default one and was never used.
    ``tolerate_outages``: nothing that is wrong with a store stops the start, for it was good before: it is away, and
    may come back. ``database``: knows where the data of the stores is expected; without one, that is not looked at.
    ``look``: the configuration is only judged, so nothing is made, marked or recorded; a store whose place a start
    would make has no fault then, and is not available. ``staging``: data is staged for more than imports."""
    wanted: Mapping[str, str] = conf.enabled_backends
    if not wanted:
        raise ConfigError("[DEFAULT] enabled_backends: name at least one store, such as file:file")
    drivers = [x.name for x in installed("store")]
    sections.refuse_taken(conf, plugin_sections(), drivers)
    default = _default_store(conf, wanted)
    review.refuse_misspelt_stores(conf)
    fallbacks = list(conf.glance_store.fallback_stores)
    wrong = [x for x in fallbacks if x not in wanted or x == default]
    if wrong:
        raise ConfigError(
            f"[glance_store] fallback_stores: {wrong[0]} is"
            f" {'the default store' if wrong[0] == default else 'no store'}; name others of"
            f" {', '.join(x for x in wanted if x != default) or 'enabled_backends'}, or none"
        )
    places = Places(database.places) if database else None
    drains: Container[str] = Draining(database) if database else ()
    loader = loader or Loader(conf)
    facades: dict[str, StoreFacade] = {}
    for store_id, driver in wanted.items():
        facades[store_id] = _load_store(
            conf,
            loader,
            places,
            store_id,
            driver,
            [*facades.values()],
            drains,
            required=store_id == default,
            tolerate_outages=tolerate_outages,
            look=look,
        )
    staged = (
        _load_staging(conf, loader, facades[default], wanted[default], tolerate_outages=tolerate_outages, look=look)
        if conf.enabled_import_methods or staging
        else None
    )
    _refuse_shared_places([*facades.values(), *([staged] if staged else [])])
    return Stores([*facades.values()], default, staged, fallbacks=fallbacks)


def _load_staging(
    conf: cfg.ConfigOpts,
    loader: Loader,
    default: StoreFacade,
    default_driver: str,
    *,
    tolerate_outages: bool,
    look: bool,
) -> StoreFacade:
    """Staged data lies beside the default store's, when both are folders and the operator says nothing else."""
    try:
        cls = load("store", conf.staging_driver, "[DEFAULT] staging_driver")
    except errors.PluginBroken as exc:
        if not tolerate_outages:
            raise ConfigError(
                f"[DEFAULT] staging_driver = {conf.staging_driver}: {exc}; data can't be staged for imports: mend or"
                " replace this plugin, or choose another one"
            ) from exc
        return _without_staging(conf, exc, None)
    options = section(conf, STAGING, cls.options)
    inside = False
    if conf.staging_driver == "file" and "filesystem_store_datadir" in options:
        beside = from_glance.staging(conf) or (
            f"{conf[default.id].filesystem_store_datadir}/.staging"
            if default_driver == "file"
            else "/var/lib/glance/staging"
        )
        conf.set_default("filesystem_store_datadir", beside, group=STAGING)
        inside = default_driver == "file" and Path(options.filesystem_store_datadir).parent == Path(
            conf[default.id].filesystem_store_datadir
        )

    def start() -> Store:
        if inside and not default.available:
            raise errors.PlaceMissing(f"it lies in the folder of store {default.id}, which is not available")
        store = make_store(conf, STAGING, conf.staging_driver, loader, cls)
        return loader.in_time(
            "store", conf.staging_driver, lambda: _started(store, create=not look), Store.close, of=STAGING
        )

    try:
        return StoreFacade(StoreSettings(STAGING, conf.staging_driver), start())
    except (errors.StoreError, ConfigError, errors.PluginBroken) as exc:
        if look and isinstance(exc, errors.PlaceMissing):
            return StoreFacade(StoreSettings(STAGING, conf.staging_driver), None, start)
        if not tolerate_outages and not (inside and not default.available):
            raise ConfigError(f"[{STAGING}]: {exc}; data can't be staged for imports") from exc
        return _without_staging(conf, exc, start)


def _without_staging(conf: cfg.ConfigOpts, exc: errors.GlanceError, start: Callable[[], Store] | None) -> StoreFacade:
    LOG.error("[%s] is not available: %s; there are no imports until it is", STAGING, exc)
    return StoreFacade(StoreSettings(STAGING, conf.staging_driver, unavailable_because=str(exc)), None, start)


def _started(store: Store, *, create: bool) -> Store:
    if create:
        store.create()
    store.start()
    return store


def _refuse_shared_places(facades: Sequence[StoreFacade]) -> None:
    """Raises ConfigError when two stores are one: deleting in one would destroy the other's data."""
    seen: dict[str, str] = {}
    for facade in facades:
        for place in facade.places:
            other = seen.setdefault(place, facade.id)
            if other != facade.id:
                raise ConfigError(
                    f"[DEFAULT] enabled_backends: the stores {other} and {facade.id} have the same place for their"
                    f" data; give [{facade.id}] a place of its own, or remove it"
                )


def _default_store(conf: cfg.ConfigOpts, wanted: Mapping[str, str]) -> str:
    default = conf.glance_store.default_backend
    if default is None and len(wanted) == 1:
        return next(iter(wanted))
    if default not in wanted:
        said = f"{default!r} is none of them" if default else "it is not set"
        raise ConfigError(f"[glance_store] default_backend: {said}; choose one of {', '.join(wanted)}")
    return str(default)


def default_store(conf: cfg.ConfigOpts) -> str:
    """A digest of which store is the default one, and of all its options, to be compared."""
    wanted: Mapping[str, str] = conf.enabled_backends
    store_id = _default_store(conf, wanted)
    try:
        options = from_glance.in_old_section(
            conf, load("store", wanted[store_id], "[DEFAULT] enabled_backends").options
        )
    except errors.PluginBroken:
        options = []
    own = section(conf, store_id, options)
    told = json.dumps([store_id, wanted[store_id], sorted((x.dest, str(own[x.dest])) for x in options)])
    return hashlib.sha256(told.encode()).hexdigest()


def make_store(
    conf: cfg.ConfigOpts, store_id: str, driver: str, loader: Loader | None = None, cls: type[Store] | None = None
) -> Store:
    """Not started. ``cls``: its class, when that was loaded before. Raises PluginBroken, ConfigError."""
    option = "[DEFAULT] enabled_backends"
    cls = cls or load("store", driver, option)
    options = cls.options if store_id == STAGING else from_glance.in_old_section(conf, cls.options)
    made: Store = (loader or Loader(conf)).make(
        "store", driver, option, cls=cls, section=store_id, options=options, start=False, id=store_id
    )
    return made


def store_options(conf: cfg.ConfigOpts, loader: Loader) -> dict[str, set[str]]:
    """Store id -> its own options, its driver's included; without those whose driver is broken."""
    return {
        store_id: {x.dest for x in [*PER_STORE, *load("store", driver, "[DEFAULT] enabled_backends").options]}
        for store_id, driver in conf.enabled_backends.items()
        if ("store", store_id) not in loader.broken
    }


def _load_store(
    conf: cfg.ConfigOpts,
    loader: Loader,
    places: Places | None,
    store_id: str,
    driver: str,
    others: Sequence[StoreFacade],
    drains: Container[str],
    *,
    required: bool,
    tolerate_outages: bool,
    look: bool,
) -> StoreFacade:
    store: Store | None = None
    because: str | None = None
    missing, made = False, False
    options: cfg.ConfigOpts.GroupAttr = section(conf, store_id, PER_STORE)

    def begin(loaded: Store) -> Store:
        if places is None:
            return _started(loaded, create=not look)
        places.start(
            loaded,
            read_only=options.read_only,
            look=look,
            judge=lambda started: _refuse_shared_places(
                [*others, StoreFacade(StoreSettings(store_id, driver), started)]
            ),
        )
        return loaded

    def start() -> Store:
        nonlocal made
        loaded = make_store(conf, store_id, driver, loader)
        made = True
        started = loader.in_time("store", driver, lambda: begin(loaded), Store.close, of=store_id)
        loader.note("store", store_id, None)
        return started

    def check(found: Store) -> None:
        if places is not None:
            places.check(found, read_only=options.read_only)

    try:
        store = start()
    except (errors.PluginBroken, errors.StoreError) as exc:
        if isinstance(exc, errors.PluginBroken):
            loader.note("store", store_id, str(exc))
            LOG.debug("how the store %s broke", store_id, exc_info=exc)
        because, missing = errors.for_operators(exc), isinstance(exc, errors.PlaceMissing)
        if look and missing and not (places is not None and places.used(store_id)):
            LOG.debug("store %s: a start makes its place: %s", store_id, because)
            because = None
    except (ConfigError, errors.DatabaseUnavailable) as exc:
        if not tolerate_outages:
            raise
        because = errors.for_operators(exc)
    if because is not None:
        if required and not tolerate_outages and not (places is not None and places.known(store_id)):
            raise ConfigError(f"[glance_store] default_backend = {store_id}: {because}")
        LOG.error("store %s is not available: %s; the others serve", store_id, because)
    settings = StoreSettings(
        store_id,
        driver,
        options.store_description,
        options.weight,
        options.read_only,
        because,
        DirectDownload(options.direct_download),
        options.direct_download_seconds,
    )
    if store is not None and settings.direct_download is not DirectDownload.NEVER and Cap.PRESIGN not in store.caps:
        raise ConfigError(
            f"[{store_id}] direct_download = {settings.direct_download}: the driver {driver} can't sign URLs; remove"
            " the option"
        )
    return StoreFacade(settings, store, start if made else None, check, missing=missing, drains=drains)
