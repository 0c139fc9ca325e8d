"""Options of the jobs that look after copies."""

from __future__ import annotations

from oslo_config import cfg

from glancecore.ports.options import ListOpt

ORPHANS: list[cfg.Opt] = [
    cfg.FloatOpt(
        "grace",
        default=86400.0,
        min=0.0,
        help="Seconds that data which belongs to nobody is left alone: its writer may be at work.",
    ),
    cfg.BoolOpt(
        "delete",
        default=False,
        help=(
            "Delete orphaned data. false: only report it; staged leftovers, which are nobody's but ours, go in any"
            " case."
        ),
    ),
]
AUDITOR: list[cfg.Opt] = [
    cfg.IntOpt(
        "bytes_per_second",
        default=20 << 20,
        min=0,
        help="Stored data that is read in a second, on the average; 0: as fast as it comes.",
    ),
    cfg.BoolOpt(
        "repair",
        default=True,
        help="Replace a damaged copy from a good one. false: only mark it, so that it is not read.",
    ),
    cfg.IntOpt(
        "most_missing",
        default=10,
        min=0,
        max=20,
        help=(
            "When a copy is missing, 20 others of its store are looked for; when more of them than this are missing,"
            " too, it is the store that is wrong: the run fails and marks none of them. 20: never."
        ),
    ),
    ListOpt(
        "stores",
        default=[],
        help="Ids of the stores whose data is read; by default all but those of other people's web servers.",
    ),
]
REPLICATOR: list[cfg.Opt] = [
    cfg.StrOpt(
        "rules",
        default="",
        help=(
            "Declared copies: rules, each in a line of its own (indented), or separated by semicolons. CONDITIONS ->"
            " STORES, where the conditions are all, tag=TAG, property NAME=VALUE, or one of owner, visibility,"
            " disk_format, container_format, name = VALUE, joined by and; the stores are a number (2 stores) or ids"
            " (fast,cheap). All rules that hold for an image apply. With (best effort) behind it, what can't be done is"
            " a remark instead of an error."
        ),
    ),
]
UPDATER: list[cfg.Opt] = [
    cfg.BoolOpt("usage", default=True, help="Count anew what each project uses, and correct what is kept of it."),
]
