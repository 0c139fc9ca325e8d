"""Options of the conversion step; section and output_format are Glance's. Imports oslo.config only."""

from __future__ import annotations

from oslo_config import cfg

SECTION = "image_conversion"

OPTIONS: list[cfg.Opt] = [
    cfg.StrOpt(
        "output_format",
        default="raw",
        choices=["raw", "qcow2", "vmdk"],
        help="Disk format that images are converted to.",
    ),
    cfg.StrOpt("qemu_img", default="qemu-img", help="The program: a name to be found in PATH, or a whole path."),
    cfg.FloatOpt("max_cpu_seconds", default=1800.0, min=1.0, help="Most processor time of one conversion."),
    cfg.FloatOpt("max_seconds", default=7200.0, min=1.0, help="Longest that one conversion may take."),
    cfg.IntOpt("max_memory", default=2 << 30, min=256 << 20, help="Most address space of the program, in bytes."),
    cfg.IntOpt("max_bytes", min=1 << 20, help="Largest file that it may write; by default image_size_cap."),
]


def list_opts() -> list[tuple[str, list[cfg.Opt]]]:
    return [(SECTION, OPTIONS)]
