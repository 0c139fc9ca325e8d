"""Options of the decompression step. Imports oslo.config only."""

from __future__ import annotations

from oslo_config import cfg

from glancecore.ports.options import ListOpt

SECTION = "image_decompression"

OPTIONS: list[cfg.Opt] = [
    cfg.FloatOpt(
        "max_ratio",
        default=200.0,
        min=1.0,
        help=(
            "Most bytes that may come out for each byte that goes in, once 64 MiB have come out. A disk that is nearly"
            " empty reaches some hundred."
        ),
    ),
    cfg.IntOpt("max_bytes", min=1, help="Most bytes that may come out; by default image_size_cap."),
    ListOpt(
        "formats",
        default=["gzip", "xz", "zstd", "bzip2", "lzma", "zip"],
        help="What is unpacked: some of gzip, xz, zstd, bzip2, lzma, zip. Anything else is left as it is.",
    ),
    cfg.IntOpt(
        "max_memory",
        default=256 << 20,
        min=16 << 20,
        help="Most memory that unpacking may take (xz, lzma, zstd), in bytes.",
    ),
]


def list_opts() -> list[tuple[str, list[cfg.Opt]]]:
    return [(SECTION, OPTIONS)]
