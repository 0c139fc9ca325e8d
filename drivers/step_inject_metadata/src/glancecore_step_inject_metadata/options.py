"""Options; section and names are Glance's. Imports oslo.config only."""

from __future__ import annotations

from oslo_config import cfg

from glancecore.ports.options import DictOpt, ListOpt

SECTION = "inject_metadata_properties"

OPTIONS: list[cfg.Opt] = [
    ListOpt(
        "ignore_user_roles",
        default=["admin"],
        help="Images that a user with one of these roles imports are left as they are.",
    ),
    DictOpt(
        "inject",
        default={},
        help="Properties that each imported image gets, in place of its own: name:value, comma-separated.",
    ),
]


def list_opts() -> list[tuple[str, list[cfg.Opt]]]:
    return [(SECTION, OPTIONS)]
