"""glance-registry: who may call it. Address and TLS are the server's options, the database is that of [database]."""

from __future__ import annotations

from oslo_config import cfg

from glancecore.ports.options import ListOpt

#: Where glance-registry listens when the operator says nothing.
PORT = 9191

OPTIONS: dict[str, list[cfg.Opt]] = {
    "registry": [
        ListOpt(
            "secrets",
            default=[],
            secret=True,
            help=(
                "In glance-registry.conf: the secret that API nodes have as [database] registry_secret, at least 16"
                " characters. Any of several is good, so that secrets can be changed one node after the other. Needed"
                " to listen beyond loopback, unless ca_file makes each node show a certificate."
            ),
        ),
        cfg.IntOpt(
            "max_body",
            default=32 << 20,
            min=1 << 20,
            help=(
                "In glance-registry.conf: largest call, in bytes. The largest ones are saves of metadata definition"
                " namespaces."
            ),
        ),
    ],
}
