"""Options of section ``[database]`` with ``driver = registry``. Imports oslo.config only."""

from __future__ import annotations

from oslo_config import cfg

from glancecore.ports.options import ListOpt

OPTIONS = [
    ListOpt(
        "registry_urls",
        default=["http://127.0.0.1:9191"],
        help=(
            "Where glance-registry answers: http(s)://host:port. Of several, which must be on one database, the next is"
            " asked when one can't be reached."
        ),
    ),
    cfg.StrOpt("registry_secret", secret=True, help="One of [registry] secrets of glance-registry.conf."),
    cfg.StrOpt(
        "registry_ca_file",
        help="CA file (PEM) that the certificate of an https registry is checked with; by default the system's.",
    ),
    cfg.StrOpt(
        "registry_cert_file", help="Certificate file (PEM) that this node shows, when the registry has a ca_file."
    ),
    cfg.StrOpt("registry_key_file", help="Key file (PEM) of registry_cert_file."),
    cfg.FloatOpt("registry_connect_timeout", default=5, min=0.1, help="Seconds to wait for a connection."),
    cfg.FloatOpt("registry_timeout", default=60, min=0.1, help="Seconds to wait for an answer."),
    cfg.IntOpt(
        "registry_attempts",
        default=6,
        min=1,
        help=(
            "How often a call is tried when no connection can be had or it breaks; with pauses, together about three"
            " seconds; while it stays away, once. Changes are repeated only when that can't apply them twice."
        ),
    ),
    cfg.IntOpt(
        "registry_pool_size",
        default=16,
        min=1,
        help="Connections that each process keeps open; beyond them, closed after use.",
    ),
]


def list_opts() -> list[tuple[str, list[cfg.Opt]]]:
    return [("database", OPTIONS)]
