"""The composition root: configuration → plugins → services → application. The only file that knows everything."""

from __future__ import annotations

import hashlib
import logging
import os
import socket
import sys
import tempfile
import warnings
from collections.abc import Callable, Container, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

from oslo_config import cfg
from prometheus_client import REGISTRY, CollectorRegistry, multiprocess

from glancecore.assembly import extensions
from glancecore.assembly.extensions import Extensions, KernelData, ServiceKernel
from glancecore.assembly.kinds import KINDS, cache_driver
from glancecore.assembly.loader import Loader, faults, installed, load, plugin_sections
from glancecore.assembly.rules import list_rules
from glancecore.assembly.unavailable import UnavailableCertificates, UnavailableStep
from glancecore.conf import from_glance, review, sections
from glancecore.conf.store import PER_STORE
from glancecore.domain import errors
from glancecore.domain.errors import ConfigError
from glancecore.domain.lease import Operation
from glancecore.domain.metadata import MetadataLimits
from glancecore.features.cache.image_cache import ImageCache, told
from glancecore.features.cache.use_cases import Caching, CachingSettings
from glancecore.features.copies.rechecking import Rechecking
from glancecore.features.copies.use_cases import Copies
from glancecore.features.discovery.use_cases import Discovery
from glancecore.features.images.deletion import Deletion
from glancecore.features.images.location_hashing import LocationHashing
from glancecore.features.images.locations import Locations, LocationSettings
from glancecore.features.images.property_protection import PropertyProtection
from glancecore.features.images.schemas import Formats
from glancecore.features.images.use_cases import Images, MetadataRules
from glancecore.features.imports.dispatch.process import ImportProcess
from glancecore.features.imports.dispatch.runner import FlowRunner, ImportRunner, JobDispatcher
from glancecore.features.imports.flow.logbook import LogbookDatabase, LogbookDocuments, Logbooks, LogbookTable
from glancecore.features.imports.import_services import ImportServices, ImportSettings
from glancecore.features.imports.kept_secrets import KeptSecrets
from glancecore.features.imports.options import STAGING
from glancecore.features.imports.staging import Staging, StagingArea
from glancecore.features.imports.use_cases import Imports
from glancecore.features.members.use_cases import Members
from glancecore.features.metadefs.image_properties import ImageProperties
from glancecore.features.metadefs.parts import MetadefParts
from glancecore.features.metadefs.use_cases import Metadefs
from glancecore.features.metadefs.validation import MetadefValidation
from glancecore.features.tasks.use_cases import Tasks
from glancecore.features.tools import Tools
from glancecore.http.health import Health
from glancecore.kernel import metrics
from glancecore.kernel.leases import Leases
from glancecore.kernel.lookups import Lookups
from glancecore.kernel.notifications import Notifications
from glancecore.kernel.notifier_queue import NotifierQueue
from glancecore.kernel.operations import Operations
from glancecore.kernel.outbox import Outbox, OutboxSettings
from glancecore.kernel.quiet_imports import without_eventlet
from glancecore.kernel.reaper import Reaper
from glancecore.kernel.subscriptions import Subscriptions
from glancecore.kernel.transfer.data_settings import DataSettings
from glancecore.kernel.transfer.downloads import Downloads
from glancecore.kernel.transfer.draining import Draining
from glancecore.kernel.transfer.inspection import InspectionRules
from glancecore.kernel.transfer.places import Places, needed_but_not_configured
from glancecore.kernel.transfer.signatures import Signatures
from glancecore.kernel.transfer.stores import DirectDownload, StoreFacade, Stores, StoreSettings
from glancecore.kernel.transfer.uploads import Uploads
from glancecore.kernel.writer import Writer
from glancecore.periodic.candidate import Alone, Candidate
from glancecore.periodic.leadership import Leadership, check_url
from glancecore.periodic.runner import PeriodicRunner, Scheduled, row
from glancecore.policies.authorizer import Authorizer
from glancecore.ports.auth import Auth
from glancecore.ports.cache import Cache, CacheSettings
from glancecore.ports.certificates import CertificateSource
from glancecore.ports.config_files import config_words
from glancecore.ports.import_method import ImportMethod, Source
from glancecore.ports.import_step import ImportStep
from glancecore.ports.notifier import Destination, DurableNotifier, Notifier
from glancecore.ports.options import section
from glancecore.ports.periodic import PeriodicJob
from glancecore.ports.quota import Quota
from glancecore.ports.repository import Database
from glancecore.ports.store import Cap, Store
from glancecore.registry.app import RegistryApp, RegistrySettings
from glancecore.registry.probes import Probes

if TYPE_CHECKING:
    from wsgiref.types import WSGIApplication

    from flask import Flask

    from glancecore.features.imports.dispatch.board import Board
    from glancecore.http.cross_site import CrossSite

LOG = logging.getLogger(__name__)
#: Characters of a secret between nodes.
SHORTEST_SECRET = 16
#: Headers that pages of other origins may send and read, unless [cors] says otherwise.
CORS_TAKEN = ["Content-MD5", "X-Auth-Token", "X-Image-Meta-Store", "X-Identity-Status", "X-Roles", "X-Service-Catalog", "X-User-Id", "X-Tenant-Id",
              "X-OpenStack-Request-ID", "X-OpenStack-Image-Size"]
CORS_SHOWN = ["X-Image-Meta-Checksum", "X-OpenStack-Request-ID", "OpenStack-image-import-methods", "OpenStack-image-store-ids", "Location", "Content-MD5"]


@dataclass(slots=True)
class Service:
    """A running image service without its HTTP server."""

    make_app: Callable[[], Flask]
    database: Database
    stores: Stores
    reaper: Reaper
    outbox: Outbox
    notifications: Notifications
    hashing: LocationHashing
    rechecking: Rechecking
    imports: ImportRunner
    board: Board | None
    importing: ImportProcess | None
    caching: Caching | None
    tools: Tools
    #: The jobs of the whole deployment, and those of this machine.
    periodic: PeriodicRunner
    machine: PeriodicRunner
    holder: str
    #: Everybody who reaches the socket may do everything.
    open_to_all: bool
    extensions: Extensions
    #: Plugins that are left out: (kind, name, for stores the id) -> why.
    broken: Mapping[tuple[str, str], str]
    made: Flask | None = None

    @property
    def app(self) -> Flask:
        """What serves requests, made when it is first asked for. Raises ConfigError."""
        if self.made is None:
            self.made = self.make_app()
        return self.made

    def start(self) -> None:
        """The threads that look after what other processes have left, and deliver events."""
        self.reaper.start()
        self.outbox.start()
        self.extensions.run()

    def start_jobs(self) -> None:
        self.periodic.start()
        self.machine.start()

    def stop_jobs(self) -> None:
        self.periodic.stop()
        self.machine.stop()

    def runner_of(self, scheduled: Scheduled) -> PeriodicRunner:
        return self.machine if scheduled.machine else self.periodic

    def close(self) -> None:
        self.stop_jobs()
        if self.caching:
            self.caching.close()
        self.reaper.stop()
        self.extensions.stop()
        self.outbox.stop()
        self.hashing.stop()
        self.rechecking.stop()
        self.imports.stop()
        if self.importing:
            self.importing.close()
        if self.board:
            self.board.close()
        self.notifications.close()
        self.stores.close()
        self.database.close()


def build(conf: cfg.ConfigOpts, database: Database | None = None, *, again: bool = False, serving: bool = False, look: bool = False) -> Service:
    """Everything, from the operator's configuration. Raises ConfigError; ``database`` replaces the configured one. ``again``: it was
    built before, so a cache or a store that can't be used now is no mistake of the operator's, and the service runs without. ``serving``: this process
    answers requests, so imports get a process of their own, unless the operator wants none. ``look``: as for ``load_stores``."""
    classes = extensions.load(conf)
    authorizer = Authorizer(conf, [*list_rules(), *extensions.rules(classes)], metrics.POLICY_VALID.set, extensions.idle_rules(classes))
    loader = Loader(conf, _count_broken)
    auth: Auth = loader.one("auth")
    database = database or load_database(conf, loader)
    quota: Quota = loader.one("quota")
    if not again:
        database.ping()  # its own trouble is told before that of stores, whose places it knows
    stores = load_stores(conf, database, again=again, look=look, loader=loader)
    if not again:
        for told in needed_but_not_configured(database.places, stores.ids).values():
            LOG.warning("images need a store: %s", told)
    on = Subscriptions()
    notifiers: dict[str, Notifier] = loader.every("notifier")
    destinations = _destinations(conf, loader, notifiers)
    notifications = Notifications({name: x for name, x in notifiers.items() if x.immediate}, _notifier_queues(conf, notifiers), conf.disabled_notifications, destinations,
                                  database.images, on)
    outbox = Outbox(database.outbox, destinations if conf.outbox.deliver else (), _outbox_settings(conf))
    notifications.recorded = outbox.recorded
    protection = _load_protection(conf, authorizer)
    formats = Formats(conf.image_format.disk_formats, conf.image_format.container_formats, extensions.shown(classes))
    limits = _metadata_limits(conf)
    repository = database.images

    leases = Leases(repository, conf.lease.ttl)
    writer = Writer(repository, notifications)
    operations = Operations(repository, writer, leases)
    deletion = Deletion(repository, stores, leases, writer, delayed=conf.delayed_delete)
    validation = MetadefValidation(database.metadefs)
    checked = conf.metadefs.image_properties
    definitions = None if checked == "off" else ImageProperties(validation, enforce=checked == "enforce")
    data_settings = _data_settings(conf)
    hashing = LocationHashing(database, stores, leases, data_settings, writer)
    lookups = Lookups(conf.location_lookup_timeout, max(1, conf.server.threads // 4))
    locations = Locations(repository, authorizer, quota, stores, leases, hashing, lookups, LocationSettings(
        conf.show_multiple_locations, conf.do_secure_hash, _number(conf.image_location_quota), data_settings.algorithm, data_settings.inspection), writer)
    images = Images(repository, authorizer, quota, MetadataRules(limits=limits, protection=protection, definitions=definitions, read_only=formats.shown), deletion, locations,
                    writer, on)
    signatures = Signatures(_certificates(conf, loader))
    kept = KeptSecrets(conf.imports.token_keys)
    cache = load_cache(conf, loader, again=again)
    uploads = Uploads(repository, authorizer, quota, stores, operations, data_settings, signatures)
    downloads = Downloads(repository, authorizer, stores, notifications, cache)
    caching = Caching(database, authorizer, downloads, cache, _caching_settings(conf)) if cache else None
    if cache:
        deletion.then(cache.drop)
    members = Members(repository, authorizer, _number(conf.image_member_quota), writer)
    metadefs = Metadefs(database.metadefs, authorizer, Writer(database.metadefs, notifications), validation)
    reaper = Reaper(repository, stores, leases, operations, on, conf.lease.reap_interval)
    on.abandoned(Operation.DELETE, deletion.finish)
    methods: dict[str, ImportMethod] = loader.every("import_method")
    steps = load_steps(conf, loader)
    discovery = Discovery(repository, authorizer, quota, stores, list(methods), extensions.shown_to_clients(classes))
    _refuse_bare_tokens(conf, methods, signatures)
    area = StagingArea(stores, data_settings, judged_late=any(x.changes_data and x.takes_anything for x in steps.values()))
    import_services = ImportServices(database, stores, area, operations, quota, methods, steps, signatures, kept, _import_settings(conf))
    runner = ImportRunner(import_services, _logbooks(conf, database), _pipeline)
    board = load_board(conf) if methods else None
    importing = ImportProcess(_own_command(conf, "glancecore.cmd.import_process")) if serving and methods and not board and conf.imports.own_process else None
    jobs_of_imports = board or importing
    engine = JobDispatcher(runner, jobs_of_imports, import_services) if jobs_of_imports else runner
    on.abandoned(Operation.IMPORT, engine.resume)
    on.every_pass(runner.tidy)
    on.every_pass(stores.revive)
    staging = Staging(repository, authorizer, quota, area, operations)
    imports = Imports(import_services, authorizer, engine, images, lookups)
    on.abandoned(Operation.HASH, hashing.start)
    on.abandoned(Operation.DROP_LOCATION, locations.finish_drop)

    copies = Copies(repository, stores, leases, writer)
    rechecking = Rechecking(database, stores, copies, leases.holder)
    downloads.when_damaged(rechecking.image)
    stores.when_back(rechecking.store)
    kernel = ServiceKernel(images, repository, KernelData(stores), authorizer, database.records, writer, operations)
    tools = Tools(database, kernel, stores, copies, imports, deletion, reaper,
                  leases, hashing, locations, caching, conf.do_secure_hash, conf.scrub_time, operations)
    scheduled = _load_jobs(conf, tools, loader)
    scheduled += [make_job(conf, name, cls, tools, loader) for name, cls in extensions.jobs(classes).items()]
    enabled = Extensions(loader, classes, kernel, on)
    enabled.start()
    jobs = {x.name: x for x in scheduled if not x.machine}
    if jobs and conf.periodic.coordination_url:
        _quiet_taskflow()  # tooz uses the same libraries
        check_url(conf.periodic.coordination_url, "[periodic] coordination_url")
    locks = _lock_folder(conf)
    periodic = PeriodicRunner(database.jobs, jobs, leases.holder, conf.periodic.leader_ttl, Candidate(locks), lambda: _leadership(
        conf, database, leases.holder, locks))
    here = Candidate(Path(conf.image_cache_dir, ".care"), "[DEFAULT] image_cache_dir") if conf.image_cache_dir else Candidate(
        locks / f"machine-{this_machine(conf)}")
    machine = PeriodicRunner(database.jobs, {x.name: x for x in scheduled if x.machine}, leases.holder, conf.periodic.leader_ttl,
                             here, Alone)
    if caching:
        caching.when_queued(lambda: machine.now("cache_prefetcher"))

    def make_app() -> Flask:
        # late: processes that serve no requests are smaller by some 25 MiB without it
        from glancecore.features.cache import routes as cache_routes
        from glancecore.features.cache.api import CacheApi
        from glancecore.features.discovery import routes as discovery_routes
        from glancecore.features.discovery.api import DiscoveryApi
        from glancecore.features.images import routes as image_routes
        from glancecore.features.images import schemas as image_schemas
        from glancecore.features.images.api import ImageApiSettings, ImagePresenter, ImagesApi
        from glancecore.features.images.data_api import ImageDataApi
        from glancecore.features.images.locations_api import LocationsApi
        from glancecore.features.imports import routes as import_routes
        from glancecore.features.imports.api import ImportsApi
        from glancecore.features.members import routes as member_routes
        from glancecore.features.members import schemas as member_schemas
        from glancecore.features.members.api import MembersApi
        from glancecore.features.metadefs import routes as metadef_routes
        from glancecore.features.metadefs import schemas as metadef_schemas
        from glancecore.features.metadefs.api import MetadefApiSettings, MetadefsApi
        from glancecore.features.tasks import routes as task_routes
        from glancecore.features.tasks import schemas as task_schemas
        from glancecore.features.tasks.api import TasksApi
        from glancecore.http.app import AppSettings, create_app
        from glancecore.http.operator import OperatorApi, OperatorSettings
        from glancecore.http.versions import Versions

        shown = ImageApiSettings(formats, conf.limit_param_default, conf.api_limit_max, conf.max_json_body,
                                 conf.show_image_direct_url, conf.show_multiple_locations, True)
        routes = image_routes.routes(
            ImagesApi(images, discovery, ImagePresenter(shown, authorizer, protection, stores, enabled.presenting()), shown, enabled),
            ImageDataApi(uploads, downloads, multi_store=True, sendfile=conf.server.sendfile), LocationsApi(locations, conf.max_json_body), formats)
        routes += member_routes.routes(MembersApi(members, conf.max_json_body))
        routes += import_routes.routes(ImportsApi(staging, imports, conf.max_json_body, {name: x.schema for name, x in methods.items()}, multi_store=True))
        body = image_schemas.body(formats)
        routes += task_routes.routes(TasksApi(Tasks(database, authorizer), imports, body, conf.max_json_body, conf.limit_param_default, conf.api_limit_max), body)
        documents = {**image_schemas.documents(formats), **member_schemas.documents(), **metadef_schemas.documents(), **task_schemas.documents()}
        routes += discovery_routes.routes(DiscoveryApi(discovery, documents, multi_store=True))
        described = MetadefApiSettings(conf.limit_param_default, conf.api_limit_max, conf.max_json_body)
        routes += metadef_routes.routes(MetadefsApi(metadefs, described), MetadefParts(metadefs, authorizer), conf.max_json_body)
        routes += cache_routes.routes(CacheApi(caching))
        operator = OperatorApi(Health(database, stores), OperatorSettings(
            conf.healthcheck.disable_by_file_path, conf.healthcheck.ready_cache_seconds, conf.metrics.enabled,
            conf.metrics.allowed_networks), _registry())
        routes += enabled.routes([*routes, *operator.routes()])
        versions = Versions(multi_store=True, cache=cache is not None)
        app = create_app(routes, operator, versions, auth, authorizer,
                         AppSettings(conf.max_request_id_length, conf.allow_anonymous_access, _cross_site(conf, inside=auth.open_to_all) if auth.ambient else None, enabled.resolver))
        app.wsgi_app = _outermost(conf, app.wsgi_app)  # type: ignore[assignment, method-assign]
        return app

    sections.refuse_shared(conf, _store_options(conf, loader))
    return Service(make_app, database, stores, reaper, outbox, notifications, hashing, rechecking, runner, board, importing, caching, tools, periodic, machine, leases.holder, auth.open_to_all,
                   enabled, loader.broken)


@dataclass(slots=True)
class RegistryService:
    """A running metadata service without its HTTP server."""

    app: RegistryApp
    database: Database

    def close(self) -> None:
        self.database.close()


def build_registry(conf: cfg.ConfigOpts, database: Database | None = None) -> RegistryService:
    """The metadata service on the configured database. Raises ConfigError."""
    if database is None and conf.database.driver == "registry":
        raise ConfigError("[database] driver = registry: glance-registry itself needs a database; give it driver = sql and a connection")
    for secret in conf.registry.secrets:
        if len(secret) < SHORTEST_SECRET:
            raise ConfigError(f"[registry] secrets: one has {len(secret)} characters; take at least {SHORTEST_SECRET}, such as the output "
                              "of: openssl rand -hex 32")
    database = database or load_database(conf)
    logbook = conf.imports.logbook or database.logbook
    if database.logbooks is None and logbook:
        database.logbooks = LogbookTable(LogbookDatabase(str(logbook)))
    probes = Probes(database, _registry(), conf.healthcheck.ready_cache_seconds,
                    conf.metrics.allowed_networks if conf.metrics.enabled else None)
    return RegistryService(RegistryApp(database, RegistrySettings(conf.registry.secrets, conf.registry.max_body), probes), database)


def _outermost(conf: cfg.ConfigOpts, app: WSGIApplication) -> WSGIApplication:
    """CORS, when the operator has switched it on, and what proxies in front say. Raises ConfigError."""
    from oslo_middleware import cors, http_proxy_to_wsgi

    from glancecore.http.outside import Outside, OutsideSettings

    cors.set_defaults(allow_headers=CORS_TAKEN, expose_headers=CORS_SHOWN, allow_methods=["GET", "HEAD", "PUT", "POST", "DELETE", "PATCH"])
    conf.register_opts(cors.CORS_OPTS, group="cors")
    conf.register_opts(http_proxy_to_wsgi.OPTS, group="oslo_middleware")
    if conf.cors.allowed_origin:
        app = cors.CORS(app, conf)
    proxies = conf.server.proxies if conf.oslo_middleware.enable_proxy_headers_parsing else 0
    return Outside(app, OutsideSettings(conf.public_endpoint, proxies, conf.server.proxy_header == "forwarded"))


def _cross_site(conf: cfg.ConfigOpts, *, inside: bool) -> CrossSite:
    """``inside``: whoever reaches us may do everything."""
    from oslo_middleware import cors, http_proxy_to_wsgi

    from glancecore.http.cross_site import CrossSite
    from glancecore.server import checks

    conf.register_opts(cors.CORS_OPTS, group="cors")
    conf.register_opts(http_proxy_to_wsgi.OPTS, group="oslo_middleware")
    # a Unix socket has no name, and a proxy says its own
    inside = inside and not (conf.bind_host.startswith("unix:") or conf.oslo_middleware.enable_proxy_headers_parsing or checks.beyond_this_machine(conf))
    return CrossSite(frozenset(conf.cors.allowed_origin or ()), conf.public_endpoint, inside)


# -- plugins, and what a missing or broken one means, by kind ---------------------------------------------------------------
def _count_broken(kind: str, name: str, broken: bool) -> None:
    metrics.PLUGIN_BROKEN.labels(kind, name).set(int(broken))


def load_database(conf: cfg.ConfigOpts, loader: Loader | None = None) -> Database:
    """Raises ConfigError."""
    found: Database = (loader or Loader(conf)).one("database")
    return found


def load_stores(conf: cfg.ConfigOpts, database: Database | None = None, *, again: bool = False, look: bool = False, loader: Loader | None = None) -> Stores:
    """A broken store is listed as unavailable and the others serve, unless it is the default one and was never used. ``again``: nothing that
    is wrong with a store stops the start, for it was good before: it is away, and may come back. ``database``: knows where the data of the
    stores is expected; without one, that is not looked at. ``look``: the configuration is only judged, so nothing is made, marked or recorded; a
    store whose place a start would make has no fault then, and is not available."""
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
        raise ConfigError(f"[glance_store] fallback_stores: {wrong[0]} is {'the default store' if wrong[0] == default else 'no store'}; name others of "
                          f"{', '.join(x for x in wanted if x != default) or 'enabled_backends'}, or none")
    places = Places(database.places) if database else None
    drains: Container[str] = Draining(database) if database else ()
    loader = loader or Loader(conf)
    facades: dict[str, StoreFacade] = {}
    for store_id, driver in wanted.items():
        facades[store_id] = _load_store(conf, loader, places, store_id, driver, [*facades.values()], drains, required=store_id == default, again=again,
                                        look=look)
    staging = _load_staging(conf, loader, facades[default], wanted[default], again=again, look=look) if conf.enabled_import_methods else None
    _refuse_shared_places([*facades.values(), *([staging] if staging else [])])
    return Stores([*facades.values()], default, staging, fallbacks=fallbacks)


def _load_staging(conf: cfg.ConfigOpts, loader: Loader, default: StoreFacade, default_driver: str, *, again: bool, look: bool) -> StoreFacade:
    """Staged data lies beside the default store's, when both are folders and the operator says nothing else."""
    try:
        cls = load("store", conf.staging_driver, "[DEFAULT] staging_driver")
    except errors.PluginBroken as exc:
        if not again:
            raise ConfigError(f"[DEFAULT] staging_driver = {conf.staging_driver}: {exc}; data can't be staged for imports: mend or replace this plugin, or "
                              "choose another one") from exc
        return _without_staging(conf, exc, None)
    options = section(conf, STAGING, cls.options)
    inside = False
    if conf.staging_driver == "file" and "filesystem_store_datadir" in options:
        beside = from_glance.staging(conf) or (
            f"{conf[default.id].filesystem_store_datadir}/.staging" if default_driver == "file" else "/var/lib/glance/staging")
        conf.set_default("filesystem_store_datadir", beside, group=STAGING)
        inside = default_driver == "file" and Path(options.filesystem_store_datadir).parent == Path(conf[default.id].filesystem_store_datadir)

    def start() -> Store:
        if inside and not default.available:
            raise errors.PlaceMissing(f"it lies in the folder of store {default.id}, which is not available")
        store = make_store(conf, STAGING, conf.staging_driver, loader, cls)
        return loader.in_time("store", conf.staging_driver, lambda: _started(store, create=not look), Store.close, of=STAGING)

    try:
        return StoreFacade(StoreSettings(STAGING, conf.staging_driver), start())
    except (errors.StoreError, ConfigError, errors.PluginBroken) as exc:
        if look and isinstance(exc, errors.PlaceMissing):
            return StoreFacade(StoreSettings(STAGING, conf.staging_driver), None, start)
        if not again and not (inside and not default.available):
            raise ConfigError(f"[{STAGING}]: {exc}; data can't be staged for imports") from exc
        return _without_staging(conf, exc, start)


def _without_staging(conf: cfg.ConfigOpts, exc: errors.GlanceError, start: Callable[[], Store] | None) -> StoreFacade:
    LOG.error("[%s] is not available: %s; there are no imports until it is", STAGING, exc)
    return StoreFacade(StoreSettings(STAGING, conf.staging_driver, fault=str(exc)), None, start)


def _started(store: Store, *, create: bool) -> Store:
    if create:
        store.create()
    store.start()
    return store


def load_cache(conf: cfg.ConfigOpts, loader: Loader, *, again: bool = False) -> ImageCache | None:
    """The image cache, when the operator wants one. A broken plugin is left out; one that is not installed, or settings that are wrong, stop
    the start. ``again``: nothing that is wrong with the cache does."""
    name = cache_driver(conf)
    if name is None:
        return None
    if name != conf.image_cache_driver:
        LOG.warning("[DEFAULT] image_cache_driver = %s is Glance's; here it means %s", conf.image_cache_driver, name)
    folder = Path(conf.image_cache_dir) if conf.image_cache_dir else None
    driver: Cache | None = None
    with loader.or_left_out("cache", name, "[DEFAULT] image_cache_driver"):
        try:
            driver = loader.make("cache", name, "[DEFAULT] image_cache_driver", settings=CacheSettings(conf.image_cache_max_size, folder, told))
        except (ConfigError, errors.CacheUnavailable) as exc:
            if not again:
                raise
            LOG.error("the image cache can't be used: %s; this process serves without it", exc)
            return None
    return ImageCache(driver, conf.image_cache_patience) if driver is not None else None


def _caching_settings(conf: cfg.ConfigOpts) -> CachingSettings:
    return CachingSettings(conf.image_cache_max_size, conf.image_cache_stall_time, conf.worker_self_reference_url)


def _refuse_bare_tokens(conf: cfg.ConfigOpts, methods: Mapping[str, ImportMethod], signatures: Signatures) -> None:
    """Raises ConfigError when imports would keep callers' tokens and nothing seals them."""
    keeping = [f"{name} ([DEFAULT] enabled_import_methods)" for name, x in methods.items() if x.wants_token]
    if signatures.wants_token and any(x.source is not Source.COPIES for x in methods.values()):
        keeping.append(f"{conf.certificate_source} ([DEFAULT] certificate_source), for imports of signed images,")
    if keeping and not conf.imports.token_keys:
        raise ConfigError(f"[imports] token_keys: none is set, and {keeping[0]} acts with callers' tokens, which tasks keep until an import ends; set "
                          "a key, the same on each node, such as the output of: openssl rand -base64 32 | tr '+/' '-_'")


def load_steps(conf: cfg.ConfigOpts, loader: Loader | None = None) -> dict[str, ImportStep]:
    """A missing import step stops the start; a broken one stops the imports, for it may be a security check."""
    loader = loader or Loader(conf)
    made: dict[str, ImportStep] = loader.every("import_step")
    found: dict[str, ImportStep] = {}
    for name in KINDS["import_step"].wanted(conf):
        step = made.get(name) or UnavailableStep(name, conf)
        if step.isolated:
            from glancecore.features.imports.step_process import (
                IsolatedStep,  # what it speaks is loaded by those who need it
            )

            command = _own_command(conf, "glancecore.cmd.import_step", "--step", name)
            step = IsolatedStep(name, step, command, conf.imports.step_timeout)
        found[name] = step
    return found


def _load_jobs(conf: cfg.ConfigOpts, tools: Tools, loader: Loader) -> list[Scheduled]:
    """Those that this deployment has a use for."""
    found = []
    for name, option in KINDS["periodic"].wanted(conf).items():
        with loader.or_left_out("periodic", name, option):
            scheduled = load_job(conf, name, tools, option, loader)
            with faults("periodic", name):
                if scheduled.machine is None or scheduled.job.applies():
                    found.append(scheduled)
    return found


def load_job(conf: cfg.ConfigOpts, name: str, tools: Tools, option: str, loader: Loader | None = None) -> Scheduled:
    """A job's own plugin, or that of an enabled extension. Raises ConfigError, PluginBroken."""
    return make_job(conf, name, job_class(conf, name, option), tools, loader or Loader(conf))


def job_class(conf: cfg.ConfigOpts, name: str, option: str) -> type[PeriodicJob]:
    """Raises ConfigError, PluginBroken."""
    found: type[PeriodicJob] = extensions.jobs(extensions.load(conf)).get(name) or load("periodic", name, option)
    return found


def make_job(conf: cfg.ConfigOpts, name: str, cls: type[PeriodicJob], tools: Tools, loader: Loader) -> Scheduled:
    job: PeriodicJob = loader.make("periodic", name, "[periodic] enabled_jobs", cls=cls, tools=tools)
    own = conf[f"periodic_{name}"]
    return Scheduled(name, job, own.interval, own.dry_run, this_machine(conf) if job.of_machine else None)


def job_row(conf: cfg.ConfigOpts, name: str, cls: type[PeriodicJob]) -> str:
    """Where the runs of an installed job are kept: of this machine's own, those of this machine."""
    return row(name, this_machine(conf) if cls.of_machine else None)


def this_machine(conf: cfg.ConfigOpts) -> str:
    """Its name, and which of its caches: two clouds on one machine have one each."""
    cache = hashlib.sha256(str(conf.image_cache_dir).encode()).hexdigest()[:8]
    return f"{socket.gethostname()[:200]}:{cache}"


def _leadership(conf: cfg.ConfigOpts, database: Database, holder: str, locks: Path) -> Leadership:
    _quiet_taskflow()
    url = conf.periodic.coordination_url or f"file://{quote(str(locks.resolve()))}"
    return Leadership(database.jobs, holder, url, conf.periodic.leader_ttl)


def _lock_folder(conf: cfg.ConfigOpts) -> Path:
    """Made when a process first wants to lead."""
    if conf.periodic.lock_path:
        return Path(conf.periodic.lock_path)
    if conf.enabled_import_methods and conf.staging_driver == "file":
        return Path(f"{conf[STAGING].filesystem_store_datadir}/.locks")  # the file store looks at files only
    files = hashlib.sha256("\0".join(conf.config_file or ()).encode()).hexdigest()[:12]  # another cloud on this machine has others
    return Path(f"{tempfile.gettempdir()}/glance-locks-{os.getuid()}-{files}")


def _import_settings(conf: cfg.ConfigOpts) -> ImportSettings:
    imports = conf.imports
    work_dir = imports.work_dir
    if work_dir is None and conf.enabled_import_methods and conf.staging_driver == "file":
        work_dir = f"{conf[STAGING].filesystem_store_datadir}/.work"  # the file store looks at files only
    if work_dir is None:
        work_dir = f"{tempfile.gettempdir()}/glance-imports-{os.getuid()}"
    return ImportSettings(imports.workers, imports.workers_per_project, imports.max_parallel_stores, imports.attempts, imports.retry_pause, timedelta(seconds=imports.keep_for),
                          min_rate=imports.min_fetch_rate, rate_window=imports.fetch_rate_window, fetch_timeout=imports.fetch_timeout,
                          takeovers=imports.max_takeovers,
                          niceness=imports.niceness, work_dir=Path(work_dir), metadata=_metadata_limits(conf))


def _logbooks(conf: cfg.ConfigOpts, database: Database) -> Logbooks:
    found = conf.imports.logbook or database.logbook
    if found is not None:
        return LogbookDatabase(str(found))
    if database.logbooks is not None:
        return LogbookDocuments(database.logbooks)
    if conf.enabled_import_methods:
        raise ConfigError("[imports] logbook: the database driver has no SQL database; give an SQLAlchemy URL")
    return LogbookDatabase("sqlite://")


def _certificates(conf: cfg.ConfigOpts, loader: Loader) -> CertificateSource | None:
    """Of a broken plugin, ones that let no signature pass."""
    found: dict[str, CertificateSource] = loader.every("certificates")
    if name := conf.certificate_source:
        return found.get(name) or UnavailableCertificates(section(conf, f"certificates_{name}", ()), conf)
    return None


def load_board(conf: cfg.ConfigOpts) -> Board | None:
    """The job board, when the operator has one. Raises ConfigError."""
    if not conf.jobboard.url:
        return None
    _quiet_taskflow()
    with without_eventlet():
        from glancecore.features.imports.dispatch.board import Board

    return Board(conf.jobboard.url, conf.jobboard.name, conf.jobboard.claim_ttl)


def _own_command(conf: cfg.ConfigOpts, module: str, *words: str) -> list[str]:
    """A module of ours as a process, with the configuration that ``conf`` was read from."""
    # the server that has loaded us may be another program than Python, and of another environment
    python = Path(sys.prefix, "bin", f"python{sys.version_info.major}.{sys.version_info.minor}")
    command = [str(python) if python.exists() else sys.executable, "-m", module]
    return [*command, *config_words(conf), *(["--debug"] if conf.debug else []), *words]


def _quiet_taskflow() -> None:
    """It imports a module of oslo.utils that warns of its own end, and tries eventlet, which warns of its own, where that is installed."""
    for text in ("eventletutils module is deprecated", r"\s*Eventlet is deprecated"):
        warnings.filterwarnings("ignore", text, Warning)
    logging.getLogger("alembic.runtime.plugins").setLevel(logging.WARNING)  # it tells of each of its parts


def prepare_logbook(conf: cfg.ConfigOpts, database: Database) -> None:
    """Make TaskFlow's tables, so that the service itself need not be allowed to. Raises ConfigError, DatabaseUnavailable."""
    if not conf.enabled_import_methods:
        return
    logbooks = _logbooks(conf, database)
    try:
        _pipeline(logbooks).prepare()
        if isinstance(logbooks, LogbookDatabase):
            LogbookTable(logbooks).prepare()  # for nodes that reach the database through glance-registry
    finally:
        logbooks.close()


def _pipeline(logbooks: Logbooks) -> FlowRunner:
    """TaskFlow is imported with the first import only."""
    _quiet_taskflow()
    with without_eventlet():
        from glancecore.features.imports.flow.pipeline import Pipeline

    return Pipeline(logbooks)


def _refuse_shared_places(facades: Sequence[StoreFacade]) -> None:
    """Raises ConfigError when two stores are one: deleting in one would destroy the other's data."""
    seen: dict[str, str] = {}
    for facade in facades:
        for place in facade.places:
            other = seen.setdefault(place, facade.id)
            if other != facade.id:
                raise ConfigError(f"[DEFAULT] enabled_backends: the stores {other} and {facade.id} have the same place for their data; "
                                  f"give [{facade.id}] a place of its own, or remove it")


def _default_store(conf: cfg.ConfigOpts, wanted: Mapping[str, str]) -> str:
    default = conf.glance_store.default_backend
    if default is None and len(wanted) == 1:
        return next(iter(wanted))
    if default not in wanted:
        said = f"{default!r} is none of them" if default else "it is not set"
        raise ConfigError(f"[glance_store] default_backend: {said}; choose one of {', '.join(wanted)}")
    return str(default)


def make_store(conf: cfg.ConfigOpts, store_id: str, driver: str, loader: Loader | None = None, cls: type[Store] | None = None) -> Store:
    """Not started. ``cls``: its class, when that was loaded before. Raises PluginBroken, ConfigError."""
    option = "[DEFAULT] enabled_backends"
    cls = cls or load("store", driver, option)
    options = cls.options if store_id == STAGING else from_glance.in_old_section(conf, cls.options)
    made: Store = (loader or Loader(conf)).make("store", driver, option, cls=cls, section=store_id, options=options, start=False, id=store_id)
    return made


def _store_options(conf: cfg.ConfigOpts, loader: Loader) -> dict[str, set[str]]:
    """Store id -> its own options, its driver's included; without those whose driver is broken."""
    return {store_id: {x.dest for x in [*PER_STORE, *load("store", driver, "[DEFAULT] enabled_backends").options]}
            for store_id, driver in conf.enabled_backends.items() if ("store", store_id) not in loader.broken}


def _load_store(conf: cfg.ConfigOpts, loader: Loader, places: Places | None, store_id: str, driver: str, others: Sequence[StoreFacade],
                drains: Container[str] = (), *, required: bool, again: bool, look: bool) -> StoreFacade:
    store: Store | None = None
    fault: str | None = None
    missing, made = False, False
    options: cfg.ConfigOpts.GroupAttr = section(conf, store_id, PER_STORE)

    def begin(loaded: Store) -> Store:
        if places is None:
            return _started(loaded, create=not look)
        places.start(loaded, read_only=options.read_only, look=look,
                     judge=lambda started: _refuse_shared_places([*others, StoreFacade(StoreSettings(store_id, driver), started)]))
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
        fault, missing = errors.for_operators(exc), isinstance(exc, errors.PlaceMissing)
        if look and missing and not (places is not None and places.used(store_id)):
            LOG.debug("store %s: a start makes its place: %s", store_id, fault)
            fault = None
    except (ConfigError, errors.DatabaseUnavailable) as exc:
        if not again:
            raise
        fault = errors.for_operators(exc)
    if fault is not None:
        if required and not again and not (places is not None and places.known(store_id)):
            raise ConfigError(f"[glance_store] default_backend = {store_id}: {fault}")
        LOG.error("store %s is not available: %s; the others serve", store_id, fault)
    settings = StoreSettings(store_id, driver, options.store_description, options.weight, options.read_only, fault,
                             DirectDownload(options.direct_download), options.direct_download_seconds)
    if store is not None and settings.direct_download is not DirectDownload.NEVER and Cap.PRESIGN not in store.caps:
        raise ConfigError(f"[{store_id}] direct_download = {settings.direct_download}: the driver {driver} can't sign URLs; remove the option")
    return StoreFacade(settings, store, start if made else None, check, missing=missing, drains=drains)


def _notifier_queues(conf: cfg.ConfigOpts, notifiers: Mapping[str, Notifier]) -> list[NotifierQueue]:
    found = []
    for name, notifier in notifiers.items():
        if not notifier.immediate and not isinstance(notifier, DurableNotifier):
            options = conf[f"notify_{name}"]
            found.append(NotifierQueue(name, notifier, options.queue_size, options.drain_seconds))
    return found


def _destinations(conf: cfg.ConfigOpts, loader: Loader, notifiers: dict[str, Notifier]) -> list[Destination]:
    """Of all durable notifiers; one that can't tell them is taken out of ``notifiers``. Raises ConfigError."""
    found: list[Destination] = []
    for name, notifier in [*notifiers.items()]:
        if isinstance(notifier, DurableNotifier):
            del notifiers[name]
            with loader.or_left_out("notifier", name, "[DEFAULT] notifiers"):
                found += loader.in_time("notifier", name, notifier.destinations, lambda _: None)
                notifiers[name] = notifier
    for destination in found:
        if conf.outbox.claim_seconds < 2 * destination.timeout:
            raise ConfigError(f"[outbox] claim_seconds = {conf.outbox.claim_seconds:g}: {destination.name} may take {destination.timeout:g} "
                              f"seconds for one event; set claim_seconds to {2 * destination.timeout:g} at least")
    return found


def _outbox_settings(conf: cfg.ConfigOpts) -> OutboxSettings:
    outbox = conf.outbox
    return OutboxSettings(outbox.interval, outbox.batch, outbox.claim_seconds, outbox.first_pause, outbox.longest_pause, outbox.max_age)


# -- values -----------------------------------------------------------------------------------------------------------------
def _data_settings(conf: cfg.ConfigOpts) -> DataSettings:
    algorithm = conf.hashing_algorithm
    if algorithm not in hashlib.algorithms_available or not hashlib.new(algorithm).digest_size:
        raise ConfigError(f"[DEFAULT] hashing_algorithm = {algorithm}: choose one of "
                          f"{', '.join(sorted(hashlib.algorithms_guaranteed))}")
    formats = conf.image_format
    return DataSettings(conf.image_size_cap, algorithm, InspectionRules(
        formats.require_image_format_match, frozenset(formats.uninspected_container_formats),
        frozenset(formats.gpt_safety_checks_nonfatal), frozenset(formats.vmdk_allowed_types)))


def _load_protection(conf: cfg.ConfigOpts, authorizer: Authorizer) -> PropertyProtection:
    if not conf.property_protection_file:
        return PropertyProtection()
    return PropertyProtection.from_file(conf.property_protection_file, conf.property_protection_rule_format, authorizer)


def _metadata_limits(conf: cfg.ConfigOpts) -> MetadataLimits:
    return MetadataLimits(_number(conf.image_property_quota), _number(conf.image_tag_quota), _number(conf.image_metadata_quota),
                          _number(conf.project_metadata_quota))


def _number(value: int) -> int | None:
    return None if value < 0 else value


def _registry() -> CollectorRegistry:
    """Metrics of all workers when they share a folder (the server sets it), else of this process."""
    if "PROMETHEUS_MULTIPROC_DIR" not in os.environ:
        return REGISTRY
    registry = CollectorRegistry()
    multiprocess.MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
    return registry
