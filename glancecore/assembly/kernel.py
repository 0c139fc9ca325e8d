"""The kernel of a process, from the operator's configuration."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from oslo_config import cfg

from glancecore.assembly.loader import Loader
from glancecore.assembly.unavailable import UnavailableCertificates
from glancecore.domain.errors import ConfigError
from glancecore.kernel.core import CoreKernel, Startup
from glancecore.kernel.leases import Leases
from glancecore.kernel.lookups import Lookups
from glancecore.kernel.notifications import Notifications
from glancecore.kernel.operations import Operations
from glancecore.kernel.project_quota import ProjectQuota
from glancecore.kernel.reaper import Reaper
from glancecore.kernel.restored import RestoreWatch
from glancecore.kernel.subscriptions import Subscriptions
from glancecore.kernel.transfer.data_settings import DataSettings
from glancecore.kernel.transfer.inspection import InspectionRules
from glancecore.kernel.transfer.signatures import Signatures
from glancecore.kernel.transfer.stores import Stores
from glancecore.kernel.writer import Writer
from glancecore.policies.authorizer import Authorizer
from glancecore.ports.certificates import CertificateSource
from glancecore.ports.options import section
from glancecore.ports.repository import Database


def load_database(conf: cfg.ConfigOpts, loader: Loader | None = None) -> Database:
    """Raises ConfigError."""
    found: Database = (loader or Loader(conf)).one("database")
    return found


@dataclass(frozen=True, slots=True)
class Grounds:
    """What a kernel stands on: loaded one by one, as each has its own way to fail."""

    policy: Authorizer
    database: Database
    quota: ProjectQuota
    stores: Stores


def make_kernel(conf: cfg.ConfigOpts, loader: Loader, grounds: Grounds, startup: Startup) -> CoreKernel:
    """Raises ConfigError."""
    repository, stores, on = grounds.database.images, grounds.stores, Subscriptions()
    notifications = Notifications({}, (), conf.disabled_notifications, (), repository, on)
    leases = Leases(repository, conf.lease.ttl)
    writer = Writer(repository, notifications)
    operations = Operations(repository, writer, leases)
    on.every_pass(stores.revive)
    on.every_pass(RestoreWatch(grounds.database).look)
    return CoreKernel(
        conf=conf,
        plugins=loader,
        database=grounds.database,
        policy=grounds.policy,
        quota=grounds.quota,
        stores=stores,
        notifications=notifications,
        on=on,
        leases=leases,
        writer=writer,
        operations=operations,
        reaper=Reaper(repository, stores, leases, operations, on, conf.lease.reap_interval),
        lookups=Lookups(conf.location_lookup_timeout, max(1, conf.server.threads // 4)),
        signatures=Signatures(_certificates(conf, loader)),
        data_settings=_data_settings(conf),
        startup=startup,
    )


def _certificates(conf: cfg.ConfigOpts, loader: Loader) -> CertificateSource | None:
    """Of a broken plugin, ones that let no signature pass."""
    found: dict[str, CertificateSource] = loader.every("certificates")
    if name := conf.certificate_source:
        return found.get(name) or UnavailableCertificates(section(conf, f"certificates_{name}", ()), conf)
    return None


def _data_settings(conf: cfg.ConfigOpts) -> DataSettings:
    algorithm = conf.hashing_algorithm
    if algorithm not in hashlib.algorithms_available or not hashlib.new(algorithm).digest_size:
        raise ConfigError(
            f"[DEFAULT] hashing_algorithm = {algorithm}: choose one of "
            f"{', '.join(sorted(hashlib.algorithms_guaranteed))}"
        )
    formats = conf.image_format
    return DataSettings(
        conf.image_size_cap,
        algorithm,
        InspectionRules(
            formats.require_image_format_match,
            frozenset(formats.uninspected_container_formats),
            frozenset(formats.gpt_safety_checks_nonfatal),
            frozenset(formats.vmdk_allowed_types),
        ),
        conf.legacy_checksum,
    )
