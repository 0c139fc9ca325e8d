"""Options of [notify_audit]; imports nothing but oslo.config."""

from __future__ import annotations

from oslo_config import cfg

from glancecore.ports.options import ListOpt

OPTIONS: list[cfg.Opt] = [
    cfg.StrOpt(
        "folder",
        sample_default="/var/log/glance/audit",
        help=(
            "Where the trail's files are: a folder of this machine alone, which exists and which the service may write"
            " to. All processes of the machine share it."
        ),
    ),
    cfg.StrOpt(
        "key_file",
        help=(
            "A file with at least 32 bytes that nobody else can read: the lines are signed with it, so that whoever can"
            " write the trail but has no key can't write another one. Not set: the lines are only hashed."
        ),
    ),
    ListOpt(
        "events",
        default=[],
        sample_default=["image", "image.member.create", "task.failure"],
        help=(
            "Types that are kept: image.create, or image for all that begin so. Empty: all. image.send (a download)"
            " costs a write to the database for each download."
        ),
    ),
    cfg.IntOpt(
        "file_size",
        default=64 << 20,
        min=4096,
        help="Bytes after which the next file is begun. No file is ever removed.",
    ),
    cfg.FloatOpt("timeout", default=10.0, min=0.1, help="Seconds that one event waits for other processes that write."),
]


def list_opts() -> list[tuple[str, list[cfg.Opt]]]:
    """For oslo-config-generator."""
    return [("notify_audit", OPTIONS)]
