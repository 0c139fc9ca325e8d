"""The options of the file store; the real section is the operator's store id."""

from __future__ import annotations

from oslo_config import cfg

OPTIONS: list[cfg.Opt] = [
    cfg.StrOpt(
        "filesystem_store_datadir",
        default="/var/lib/glance/images",
        help=(
            "The folder that holds the images, one file each. Made at start when its parent exists. The file system"
            " must have hard links. Not used when filesystem_store_datadirs is set."
        ),
    ),
    cfg.MultiStrOpt(
        "filesystem_store_datadirs",
        default=[],
        sample_default=["/fast/images:200", "/large/images:100"],
        help=(
            "Several folders instead of one, each as path:priority (0 without). A new image goes to the folder with the"
            " highest number that has room, among equals to the one with most free space."
        ),
    ),
    cfg.IntOpt("filesystem_store_chunk_size", default=1 << 18, min=1, help="Bytes that are read at a time."),
    cfg.StrOpt(
        "filesystem_store_file_perm",
        default="0600",
        help=(
            "Permissions of new image files: octal with a leading 0 (0640), or the decimal number that Glance wants"
            " (416). 0: as the umask of the service says. A folder that the store makes is its own alone (0700)."
        ),
    ),
    cfg.BoolOpt(
        "filesystem_thin_provisioning",
        default=False,
        help="Leave holes in the file where an image has runs of zero bytes, instead of writing them.",
    ),
    cfg.FloatOpt(
        "filesystem_store_timeout",
        default=0,
        min=0,
        help=(
            "Seconds after which a file operation that does not return (a dead NFS server) fails as unavailable; 0:"
            " never. Costs a thread for each transfer."
        ),
    ),
]


def list_opts() -> list[tuple[str, list[cfg.Opt]]]:
    return [("file", OPTIONS)]
