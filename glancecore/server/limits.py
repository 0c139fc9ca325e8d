"""What the operator allows to clients of one worker."""

from __future__ import annotations

import resource
from dataclasses import dataclass, field

from oslo_config import cfg

from glancecore.sdk.pace import PaceLimits

#: Files and sockets that one process may have open, when the system lets it.
OPEN_FILES = 65536


@dataclass(frozen=True, slots=True)
class ShareLimits:
    """Transfers at once in one worker; 0: no limit of this kind."""

    transfers: int = 1000
    of_address: int = 800
    of_project: int = 500


@dataclass(frozen=True, slots=True)
class ServerLimits:
    """``connections``: of one worker. ``header_timeout``: seconds for the TLS handshake and the whole header.
    ``header_size``: bytes. ``reload_timeout``: seconds that a worker drains for which others have come.
    ``lingering_time``: seconds that a client is heard that was answered before it had sent everything."""

    connections: int = 4000
    header_timeout: float = 60.0
    header_size: int = 64 << 10
    pace: PaceLimits = field(default_factory=PaceLimits)
    shares: ShareLimits = field(default_factory=ShareLimits)
    reload_timeout: float = 86400.0
    lingering_time: float = 300.0


def limits(conf: cfg.ConfigOpts) -> ServerLimits:
    server = conf.server
    return ServerLimits(
        max(server.worker_connections, server.threads + 1),
        server.header_timeout,
        server.limit_request_header,
        PaceLimits(server.client_timeout, server.min_transfer_rate, server.transfer_rate_window),
        ShareLimits(server.max_transfers, server.max_transfers_per_address, server.max_transfers_per_project),
        server.reload_timeout,
        server.lingering_time,
    )


def open_more_files() -> None:
    """Many systems give a process 1,024, and more when it asks."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = OPEN_FILES if hard == resource.RLIM_INFINITY else min(hard, OPEN_FILES)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
