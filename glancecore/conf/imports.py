"""Imports: which methods and steps, where data is staged, who runs them. Sections and names are Glance's where the meaning is."""

from __future__ import annotations

from oslo_config import cfg

#: The store that holds staged data; a section of its own with the driver's options.
STAGING = "os_glance_staging_store"

OPTIONS: dict[str, list[cfg.Opt]] = {
    "DEFAULT": [
        cfg.ListOpt("enabled_import_methods", bounds=True, default=["glance-direct", "web-download", "copy-image"],
                    help="Import methods that users may choose: names of installed plugins. [] switches imports off."),
        cfg.StrOpt("staging_driver", default="file",
                   help="Driver of the store that holds staged data; any one that can be written to. Its options are in section "
                        "[os_glance_staging_store]. Every process that runs imports must reach it. With the file driver and no "
                        "folder given, data is staged in the folder .staging of the default store's when that is a file "
                        "store too, so that it is linked into it instead of copied."),
    ],
    "image_import_opts": [
        cfg.ListOpt("image_import_plugins", bounds=True, default=[],
                    help="Import steps: names of installed plugins, in the order in which they are applied. Not to copy-image."),
    ],
    "imports": [
        cfg.IntOpt("workers", default=2, min=1, max=256,
                   help="Imports that one process runs at once; the others wait. With a job board, of each glance-worker."),
        cfg.BoolOpt("own_process", default=True,
                    help="Without a job board, glance-api runs imports in a process of their own, which it starts with the first one and ends when "
                         "there are none: requests don't feel them. false: in threads beside the requests."),
        cfg.IntOpt("max_parallel_stores", default=1, min=1, max=64, help="Stores that one import writes to at once."),
        cfg.IntOpt("attempts", default=5, min=1,
                   help="How often a download or a write to a store that brings nothing new is tried before the import fails."),
        cfg.FloatOpt("retry_pause", default=1.0, min=0, help="Seconds before the second attempt; then twice as many each time."),
        cfg.IntOpt("keep_for", default=3600, min=0, max=86400,
                   help="Seconds that a failed import keeps what it has fetched, and what steps have made of it, for another attempt, unless the data was "
                        "to blame; then, or as soon as the image gets data otherwise or is deleted, it is removed."),
        cfg.IntOpt("niceness", default=10, min=0, max=19,
                   help="How far imports that run on the machine of a glance-api, without a job board, give way to requests when processors are short (nice)."),
        cfg.StrOpt("work_dir", help="Folder where steps make their files; by default .work in the staging folder, or else a folder in the "
                                    "system's one for temporary files. There must be room for the largest image. When it lies on the file system of the staging store, "
                                    "results are not copied."),
        cfg.StrOpt("logbook", secret=True,
                   help="SQLAlchemy URL of the database where TaskFlow keeps how far each import is. By default the database of "
                        "[database], when its driver speaks SQL; with driver = registry, the registry keeps it."),
    ],
    "jobboard": [
        cfg.StrOpt("url", secret=True,
                   help="Job board that hands imports to glance-worker processes: redis://[user:password@]host:port/db (rediss for TLS), "
                        "etcd://host:port (etcds for TLS) or zookeeper://host:port,host:port. By default each glance-api runs its own imports."),
        cfg.StrOpt("name", default="glance", help="Name of the board, for several clouds on one server."),
        cfg.FloatOpt("claim_ttl", default=30.0, min=2.0, help="Seconds after which a job whose worker died is free again (redis, etcd)."),
    ],
}
