"""The periodic jobs that the operator wants, and who runs them."""

from __future__ import annotations

import hashlib
import os
import socket
import tempfile
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import quote

from oslo_config import cfg

from glancecore.assembly import extensions
from glancecore.assembly.kinds import KINDS
from glancecore.assembly.loader import Loader, faults, load
from glancecore.features.imports.options import STAGING
from glancecore.kernel.core import CoreTools
from glancecore.kernel.quiet_imports import quiet_taskflow
from glancecore.periodic.leadership import Leadership, check_url
from glancecore.periodic.machine_lock import LocalLeadership, MachineLock
from glancecore.periodic.runner import PeriodicRunner, Scheduled, row
from glancecore.ports.periodic import PeriodicJob
from glancecore.ports.repository import Database


def make_runners(
    conf: cfg.ConfigOpts, loader: Loader, tools: CoreTools, of_extensions: Mapping[str, type[PeriodicJob]]
) -> tuple[PeriodicRunner, PeriodicRunner]:
    """For the jobs of the whole deployment, and for those of this machine. Raises ConfigError."""
    scheduled = _load_jobs(conf, tools, loader)
    scheduled += [make_job(conf, name, cls, tools, loader) for name, cls in of_extensions.items()]
    jobs = {x.name: x for x in scheduled if not x.machine}
    if jobs and conf.periodic.coordination_url:
        quiet_taskflow()  # tooz uses the same libraries
        check_url(conf.periodic.coordination_url, "[periodic] coordination_url")
    database, holder, ttl, locks = (
        tools.database,
        tools.core.leases.holder,
        conf.periodic.leader_ttl,
        _lock_folder(conf),
    )
    periodic = PeriodicRunner(
        database.jobs, jobs, holder, ttl, MachineLock(locks), lambda: _leadership(conf, database, holder, locks)
    )
    # what a machine's own jobs look after is its cache: two processes with one cache share its folder
    here = (
        MachineLock(Path(conf.image_cache_dir, ".care"), "[DEFAULT] image_cache_dir")
        if conf.image_cache_dir
        else MachineLock(locks / f"machine-{this_machine(conf)}")
    )
    return periodic, PeriodicRunner(
        database.jobs, {x.name: x for x in scheduled if x.machine}, holder, ttl, here, LocalLeadership
    )


def _load_jobs(conf: cfg.ConfigOpts, tools: CoreTools, loader: Loader) -> list[Scheduled]:
    """Those that this deployment has a use for."""
    found = []
    for name, option in KINDS["periodic"].wanted(conf).items():
        with loader.or_left_out("periodic", name, option):
            scheduled = load_job(conf, name, tools, option, loader)
            with faults("periodic", name):
                if scheduled.machine is None or scheduled.job.applies():
                    found.append(scheduled)
    return found


def load_job(conf: cfg.ConfigOpts, name: str, tools: CoreTools, option: str, loader: Loader | None = None) -> Scheduled:
    """A job's own plugin, or that of an enabled extension. Raises ConfigError, PluginBroken."""
    return make_job(conf, name, job_class(conf, name, option), tools, loader or Loader(conf))


def job_class(conf: cfg.ConfigOpts, name: str, option: str) -> type[PeriodicJob]:
    """Raises ConfigError, PluginBroken."""
    found: type[PeriodicJob] = extensions.jobs(extensions.load(conf)).get(name) or load("periodic", name, option)
    return found


def make_job(conf: cfg.ConfigOpts, name: str, cls: type[PeriodicJob], tools: CoreTools, loader: Loader) -> Scheduled:
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
    quiet_taskflow()
    url = conf.periodic.coordination_url or f"file://{quote(str(locks.resolve()))}"
    return Leadership(database.jobs, holder, url, conf.periodic.leader_ttl)


def _lock_folder(conf: cfg.ConfigOpts) -> Path:
    """Made when a process first wants to lead."""
    if conf.periodic.lock_path:
        return Path(conf.periodic.lock_path)
    if conf.enabled_import_methods and conf.staging_driver == "file":
        return Path(f"{conf[STAGING].filesystem_store_datadir}/.locks")  # the file store looks at files only
    files = hashlib.sha256("\0".join(conf.config_file or ()).encode()).hexdigest()[
        :12
    ]  # another cloud on this machine has others
    return Path(f"{tempfile.gettempdir()}/glance-locks-{os.getuid()}-{files}")
