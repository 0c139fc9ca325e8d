"""Periodic jobs: which, where, and who of many processes runs them. Each job has a section periodic_NAME of its own."""

from __future__ import annotations

from oslo_config import cfg

from glancecore.ports.options import ListOpt

OPTIONS: dict[str, list[cfg.Opt]] = {
    "periodic": [
        ListOpt(
            "enabled_jobs",
            default=[
                "reaper",
                "orphans",
                "auditor",
                "replicator",
                "updater",
                "cache_prefetcher",
                "cache_pruner",
                "cache_cleaner",
            ],
            help=(
                "Periodic jobs that run: names of installed plugins. Each has its options in a section periodic_NAME."
                " [] switches all off."
            ),
        ),
        cfg.BoolOpt(
            "embedded",
            default=True,
            help=(
                "glance-api runs the jobs beside its requests, in one process of all, or of each machine. false: only"
                " glance-periodic does; then it must run on every machine that has an image cache."
            ),
        ),
        cfg.StrOpt(
            "coordination_url",
            secret=True,
            help=(
                "Where the processes agree on their leader, an URL of tooz: redis://host:port, etcd3+http://host:port,"
                " zookeeper://host:port, mysql://user:password@host/database, postgresql://user:password@host/database"
                " or file:///folder. By default a file lock in lock_path."
            ),
        ),
        cfg.StrOpt(
            "lock_path",
            help=(
                "Folder of the file lock; by default .locks in the staging folder, or else a folder in the system's "
                "one for temporary files."
            ),
        ),
        cfg.FloatOpt(
            "leader_ttl",
            default=15.0,
            min=1.0,
            help=(
                "Seconds after which another process leads when the leader was silent. It says that it lives every"
                " third of it."
            ),
        ),
        cfg.PortOpt(
            "metrics_port",
            min=0,
            default=0,
            help=(
                "Port on 127.0.0.1 where glance-periodic serves its metrics; 0: it does not. Those of an embedded"
                " leader are glance-api's."
            ),
        ),
    ],
}
