"""Options of web-download; names and sections are Glance's where the meaning is. Imports oslo.config only."""

from __future__ import annotations

from oslo_config import cfg, types

from glancecore.ports.options import ListOpt

SECTION = "import_filtering_opts"

OPTIONS: list[cfg.Opt] = [
    ListOpt(
        "allowed_schemes",
        default=["http", "https"],
        help=(
            "URL schemes that may be fetched; http and https are known. When it is not empty, disallowed_schemes is not"
            " looked at."
        ),
    ),
    ListOpt("disallowed_schemes", default=[], help="URL schemes that may not."),
    ListOpt(
        "allowed_hosts",
        default=[],
        help=(
            "Hosts that may be fetched from: names, addresses or networks. When it is not empty, all others are"
            " refused, and disallowed_hosts is not looked at. Only what is named here may have an address that is not"
            " public."
        ),
    ),
    ListOpt(
        "disallowed_hosts",
        default=[],
        help=(
            "Hosts that may not be fetched from: names, addresses or networks. Addresses are compared, so that no other"
            " name leads there."
        ),
    ),
    ListOpt(
        "allowed_ports",
        default=[80, 443],
        item_type=types.Integer(1, 65535),
        help=(
            "Ports that may be connected to: 80 and 443 as well must be named. When it is not empty, disallowed_ports"
            " is not looked at."
        ),
    ),
    ListOpt("disallowed_ports", default=[], item_type=types.Integer(1, 65535), help="Ports that may not."),
    ListOpt(
        "trusted_networks",
        default=[],
        help=(
            "Host names, addresses or networks (10.1.0.0/16) that may be fetched from although they are not public,"
            " beside all public ones."
        ),
    ),
    cfg.FloatOpt("connect_timeout", default=10.0, min=0.1, help="Seconds to wait for a connection."),
    cfg.FloatOpt("timeout", default=60.0, min=0.1, help="Seconds that a server may send nothing."),
    cfg.IntOpt(
        "redirects",
        default=5,
        min=0,
        max=20,
        help="Most redirects that are followed; each one's target is checked like the URL itself.",
    ),
    cfg.StrOpt(
        "ca_file",
        help="File of certificate authorities (PEM) that https servers must be certified by; by default the system's.",
    ),
    cfg.StrOpt(
        "proxy",
        help="HTTP proxy to go through, as host:port; it must allow CONNECT. Addresses are checked here all the same.",
    ),
]


def list_opts() -> list[tuple[str, list[cfg.Opt]]]:
    return [(SECTION, OPTIONS)]
