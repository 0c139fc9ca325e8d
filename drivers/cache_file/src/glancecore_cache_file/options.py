"""The options of the file cache. Its folder and its size are the core's: image_cache_dir, image_cache_max_size."""

from __future__ import annotations

from oslo_config import cfg

OPTIONS: list[cfg.Opt] = [
    cfg.FloatOpt(
        "index_timeout",
        default=10,
        min=0.1,
        help=(
            "Seconds to wait for another process that writes to the index; then the download goes straight from the"
            " store."
        ),
    ),
]


def list_opts() -> list[tuple[str, list[cfg.Opt]]]:
    return [("cache_file", OPTIONS)]
