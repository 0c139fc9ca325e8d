"""The options of the Template store; the real section is the operator's store id."""

from __future__ import annotations

from oslo_config import cfg

OPTIONS: list[cfg.Opt] = [
    cfg.StrOpt(
        "template_store_folder",
        default="/var/lib/glance/template",
        help="The folder that holds the images. Made at start.",
    ),
]


def list_opts() -> list[tuple[str, list[cfg.Opt]]]:
    return [("template", OPTIONS)]
