"""The capabilities of the core."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.metadata import EntryPoint

from oslo_config import cfg
from oslo_policy import policy

from glancecore.features.cache.extension import CacheExtension
from glancecore.features.copies.extension import CopiesExtension
from glancecore.features.discovery.extension import DiscoveryExtension
from glancecore.features.images.extension import ImagesExtension
from glancecore.features.imports.extension import ImportsExtension
from glancecore.features.members.extension import MembersExtension
from glancecore.features.metadefs.extension import MetadefsExtension
from glancecore.features.notifications.extension import NotificationsExtension
from glancecore.features.quotas.extension import QuotasExtension
from glancecore.features.tasks.extension import TasksExtension
from glancecore.features.uploads.extension import UploadsExtension
from glancecore.features.uses.extension import UsesExtension
from glancecore.kernel.core import CoreExtension
from glancecore.policies import base
from glancecore.ports.periodic import job_options

#: Each stands behind what it needs. They are made and started in this order, and stopped in the reverse one:
#: notifications end last, as others may still have something to tell.
CORE: tuple[type[CoreExtension], ...] = (
    NotificationsExtension,
    ImagesExtension,
    MembersExtension,
    MetadefsExtension,
    CacheExtension,
    ImportsExtension,
    UploadsExtension,
    TasksExtension,
    CopiesExtension,
    QuotasExtension,
    UsesExtension,
    DiscoveryExtension,
)


#: The periodic jobs that they bring, each as ``module:class``.
JOBS: Mapping[str, str] = {name: target for cls in CORE for name, target in cls.jobs.items()}


def list_rules() -> list[policy.RuleDefault]:
    """Every rule of the core, for the enforcer and for oslopolicy-sample-generator. Extensions have others."""
    return [*base.RULES, *(rule for cls in CORE for rule in cls.rules)]


def list_job_options() -> list[tuple[str, list[cfg.Opt]]]:
    """The section of each job of the core, for oslo-config-generator."""
    classes = {name: EntryPoint(name, target, "").load() for name, target in JOBS.items()}
    return [(f"periodic_{name}", job_options(cls.interval, cls.options)) for name, cls in classes.items()]
