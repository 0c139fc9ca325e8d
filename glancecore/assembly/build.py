"""The composition root: configuration → plugins → kernel → capabilities → application. It names no capability: they are
in the list ``CORE``."""

from __future__ import annotations

import logging
from contextlib import nullcontext

from oslo_config import cfg

from glancecore.assembly import extensions
from glancecore.assembly.core import CORE, list_rules
from glancecore.assembly.extension_kernel import make_extension_kernel
from glancecore.assembly.extensions import Extensions
from glancecore.assembly.jobs import make_runners
from glancecore.assembly.kernel import Grounds, load_database, make_kernel
from glancecore.assembly.kinds import KINDS
from glancecore.assembly.lifecycle import Service
from glancecore.assembly.loader import Loader
from glancecore.assembly.stores import load_stores, store_options
from glancecore.assembly.web import WebMaker
from glancecore.conf import sections
from glancecore.http.identity import CallerIdentity
from glancecore.kernel import metrics
from glancecore.kernel.core import CoreTools, Startup
from glancecore.kernel.project_quota import ProjectQuota, QuotaTable
from glancecore.kernel.quiet_imports import without_opentelemetry
from glancecore.kernel.transfer.places import needed_but_not_configured
from glancecore.policies.authorizer import Authorizer
from glancecore.ports.auth import Auth
from glancecore.ports.repository import Database

LOG = logging.getLogger(__name__)


def build(
    conf: cfg.ConfigOpts,
    database: Database | None = None,
    *,
    tolerate_outages: bool = False,
    serving: bool = False,
    look: bool = False,
) -> Service:
    """Everything, from the operator's configuration. Raises ConfigError; ``database`` replaces the configured one.
    ``tolerate_outages``: it was built before, so a cache or a store that can't be used now is no mistake of the
    operator's, and the service runs without. ``serving``: this process answers requests, so imports get a process of
    their own, unless the operator wants none. ``look``: as for ``load_stores``."""
    classes = extensions.load(conf)
    policy = Authorizer(
        conf, [*list_rules(), *extensions.rules(classes)], metrics.POLICY_VALID.set, extensions.idle_rules(classes)
    )
    loader = Loader(conf, _count_broken)
    with (
        without_opentelemetry() if conf.auth_strategy in KINDS["auth"].shipped else nullcontext()
    ):  # one of others may need it
        auth: Auth = loader.one("auth")
    database = database or load_database(conf, loader)
    quota = ProjectQuota(loader.one("quota"), QuotaTable(database))
    if not tolerate_outages:
        database.ping()  # its own trouble is told before that of stores, whose places it knows
    stores = load_stores(
        conf,
        database,
        tolerate_outages=tolerate_outages,
        look=look,
        loader=loader,
        staging=any(x.takes_uploads for x in classes.values()),
    )
    if not tolerate_outages:
        for told in needed_but_not_configured(database.places, stores.ids).values():
            LOG.warning("images need a store: %s", told)
    kernel = make_kernel(conf, loader, Grounds(policy, database, quota, stores), Startup(tolerate_outages, serving))
    kernel.hooks.shown_keys, kernel.hooks.extensions = extensions.shown(classes), extensions.shown_to_clients(classes)
    kernel.hooks.unlists = any(x.unlists for x in classes.values())
    for cls in CORE:
        kernel.made[cls] = cls(kernel)
    identity = CallerIdentity(auth, policy)
    extension_kernel = make_extension_kernel(kernel, identity)
    tools = CoreTools(kernel, extension_kernel)
    periodic, machine = make_runners(conf, loader, tools, extensions.jobs(classes))
    extension_kernel.overview.runners, extension_kernel.overview.tools = (periodic, machine), tools
    extension_kernel.upkeep.tools = tools
    enabled = Extensions(loader, classes, extension_kernel, kernel.on)
    enabled.start()
    kernel.hooks.shows, kernel.hooks.beside = enabled.presenting, enabled
    kernel.hooks.run_job = machine.now
    sections.refuse_shared(conf, store_options(conf, loader))
    return Service(
        kernel, enabled, tools, periodic, machine, WebMaker(kernel, identity, enabled), auth.open_to_all, loader.broken
    )


def _count_broken(kind: str, name: str, broken: bool) -> None:
    metrics.PLUGIN_BROKEN.labels(kind, name).set(int(broken))
