"""Options of [auth_headers]; imports nothing but oslo.config, so that samples build anywhere."""

from __future__ import annotations

from oslo_config import cfg

from glancecore.ports.options import ListOpt

OPTIONS: list[cfg.Opt] = [
    ListOpt(
        "trusted_addresses",
        default=["127.0.0.0/8", "::1/128"],
        help="Addresses or networks of the authenticating proxies. Identity headers from anybody else are refused. A "
        "Unix socket is always trusted: its file permissions decide who may connect.",
    ),
]


def list_opts() -> list[tuple[str, list[cfg.Opt]]]:
    """For oslo-config-generator."""
    return [("auth_headers", list(OPTIONS))]
