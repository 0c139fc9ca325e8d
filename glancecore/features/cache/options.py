"""The cache of image data. The driver's own options are in its section, ``[cache_<driver>]``."""

from __future__ import annotations

from oslo_config import cfg

#: Glance's names for what is the file cache here.
GLANCES_CACHES = frozenset({"sqlite", "xattr", "centralized_db"})

OPTIONS: dict[str, list[cfg.Opt]] = {
    "DEFAULT": [
        cfg.StrOpt(
            "image_cache_dir",
            help="Folder on a local disk for the cache of image data. Setting it switches the cache on.",
        ),
        cfg.StrOpt(
            "image_cache_driver",
            default="file",
            help=(
                "Cache plugin. Glance's names sqlite, xattr and centralized_db mean file. A driver without a folder is"
                " switched on by being named here."
            ),
        ),
        cfg.IntOpt(
            "image_cache_max_size",
            default=10 << 30,
            min=1,
            help=(
                "Bytes that the cached data may take. Never exceeded: the least recently used images make room, and an"
                " image that finds none is not cached."
            ),
        ),
        cfg.IntOpt(
            "image_cache_stall_time",
            default=86400,
            min=1,
            help="Seconds after which the cleaner gives up an entry that is being filled and has not grown.",
        ),
        cfg.FloatOpt(
            "image_cache_patience",
            default=30.0,
            min=1.0,
            help=(
                "Seconds that a download waits for the next byte of an entry that somebody fills, before it reads from"
                " the store itself."
            ),
        ),
        cfg.StrOpt(
            "worker_self_reference_url",
            max_length=255,
            help=(
                "URL by which this machine's glance-api is known. Set it on each machine, and GET /v2/cache/nodes tells"
                " which of them have an image in their caches."
            ),
        ),
    ],
}

# -- periodic jobs
PREFETCHER: list[cfg.Opt] = [
    cfg.FloatOpt(
        "interval",
        default=300.0,
        min=1.0,
        deprecated_name="cache_prefetcher_interval",
        deprecated_group="DEFAULT",
        help=(
            "Seconds from one start of the job to the next. What is queued by the API is cached at once, where"
            " glance-api runs the job."
        ),
    ),
]
CLEANER: list[cfg.Opt] = [
    cfg.FloatOpt(
        "verify_after",
        default=604800.0,
        min=0.0,
        help="Hash entries that were not hashed for so many seconds, and drop damaged ones. 0: never.",
    ),
    cfg.IntOpt(
        "bytes_per_second",
        default=50_000_000,
        min=0,
        help="What is read for this in a second, on the average; 0: as fast as it comes.",
    ),
]


def cache_driver(conf: cfg.ConfigOpts) -> str | None:
    """The cache plugin that the operator wants; None: no cache."""
    name = "file" if conf.image_cache_driver in GLANCES_CACHES else str(conf.image_cache_driver)
    return None if conf.image_cache_dir is None and name == "file" else name
