"""Imports: which methods and steps, where data is staged, who runs them. Sections and names are Glance's where the
meaning is."""

from __future__ import annotations

from oslo_config import cfg

from glancecore.ports.options import ListOpt

#: The store that holds staged data; a section of its own with the driver's options.
STAGING = "os_glance_staging_store"

OPTIONS: dict[str, list[cfg.Opt]] = {
    "DEFAULT": [
        ListOpt(
            "enabled_import_methods",
            default=["glance-direct", "web-download", "copy-image"],
            help="Import methods that users may choose: names of installed plugins. [] switches imports off.",
        ),
        cfg.StrOpt(
            "node_staging_uri",
            help=(
                "Glance's word for the folder of staged data, as file:///path; [os_glance_staging_store]"
                " filesystem_store_datadir, when it is set, wins."
            ),
        ),
        cfg.StrOpt(
            "staging_driver",
            default="file",
            help=(
                "Driver of the store that holds staged data; any one that can be written to. Its options are in section"
                " [os_glance_staging_store]. Every process that runs imports must reach it. With the file driver and no"
                " folder given, data is staged in the folder .staging of the default store's when that is a file store"
                " too, so that it is linked into it instead of copied."
            ),
        ),
    ],
    "image_import_opts": [
        ListOpt(
            "image_import_plugins",
            default=[],
            help="Import steps: names of installed plugins, in the order in which they are applied. Not to copy-image.",
        ),
    ],
    "imports": [
        cfg.IntOpt(
            "workers",
            default=16,
            min=1,
            max=256,
            deprecated_name="task_pool_threads",
            deprecated_group="wsgi",
            help=(
                "Imports that one process runs at once; the others wait, each project for its turn. With a job board,"
                " of each glance-worker."
            ),
        ),
        cfg.IntOpt(
            "workers_per_project",
            default=2,
            min=1,
            max=256,
            help="Those of one project. Keep it well below workers, so that no project can make the others wait.",
        ),
        cfg.BoolOpt(
            "own_process",
            default=True,
            help=(
                "Without a job board, glance-api runs imports in a process of their own, which it starts with the first"
                " one and ends when there are none: requests don't feel them. false: in threads beside the requests."
            ),
        ),
        cfg.IntOpt(
            "max_parallel_stores",
            default=1,
            min=1,
            max=64,
            deprecated_group="image_import_opts",
            help="Stores that one import writes to at once.",
        ),
        cfg.IntOpt(
            "attempts",
            default=5,
            min=1,
            help="How often a download or a write to a store that brings nothing new is tried before the import fails.",
        ),
        cfg.FloatOpt(
            "retry_pause", default=1.0, min=0, help="Seconds before the second attempt; then twice as many each time."
        ),
        cfg.IntOpt(
            "min_fetch_rate",
            default=1024,
            min=0,
            help=(
                "Bytes a second that the source of an import must send at least, over each fetch_rate_window; 0: no"
                " limit."
            ),
        ),
        cfg.FloatOpt("fetch_rate_window", default=60.0, min=1.0, help="Seconds over which min_fetch_rate is measured."),
        cfg.IntOpt(
            "fetch_timeout", default=86400, min=1, help="Seconds in which the source must have sent everything."
        ),
        cfg.IntOpt(
            "step_timeout",
            default=3600,
            min=1,
            help=(
                "Seconds that an import step in a process of its own may go on without asking for or telling anything."
                " Then it is ended, and the import fails."
            ),
        ),
        cfg.IntOpt(
            "max_takeovers",
            default=5,
            min=1,
            help=(
                "How often an import whose process died is taken over in one and the same stage. Once more, and it"
                " fails: what it does there ends each process that tries."
            ),
        ),
        cfg.IntOpt(
            "keep_for",
            default=3600,
            min=0,
            max=86400,
            help=(
                "Seconds that a failed import keeps what it has fetched, and what steps have made of it, for another"
                " attempt, unless the data was to blame; then, or as soon as the image gets data otherwise or is"
                " deleted, it is removed."
            ),
        ),
        ListOpt(
            "token_keys",
            default=[],
            secret=True,
            help=(
                "Keys that seal callers' tokens, which tasks keep until the import has ended, for glance-download and"
                " for certificates of a key manager. The first seals, each opens: put a new one in front, and take the"
                " old one away when the imports that began with it have ended. The same on each node. A key is the"
                " output of: openssl rand -base64 32 | tr '+/' '-_'"
            ),
        ),
        cfg.IntOpt(
            "niceness",
            default=10,
            min=0,
            max=19,
            help=(
                "How far imports that run on the machine of a glance-api, without a job board, give way to requests"
                " when processors are short (nice)."
            ),
        ),
        cfg.StrOpt(
            "work_dir",
            help=(
                "Folder where steps make their files; by default .work in the staging folder, or else a folder in the"
                " system's one for temporary files. There must be room for the largest image. When it lies on the file"
                " system of the staging store, results are not copied."
            ),
        ),
    ],
    "jobboard": [
        cfg.StrOpt(
            "url",
            secret=True,
            help=(
                "Job board that hands imports to glance-worker processes: redis://[user:password@]host:port/db (rediss"
                " for TLS), etcd://host:port (etcds for TLS) or zookeeper://host:port,host:port. By default each"
                " glance-api runs its own imports."
            ),
        ),
        cfg.StrOpt("name", default="glance", help="Name of the board, for several clouds on one server."),
        cfg.FloatOpt(
            "claim_ttl",
            default=30.0,
            min=2.0,
            help="Seconds after which a job whose worker died is free again (redis, etcd).",
        ),
    ],
}
