"""The operator's job board, its libraries loaded with it only."""

from __future__ import annotations

from typing import TYPE_CHECKING

from oslo_config import cfg

from glancecore.kernel.quiet_imports import quiet_taskflow, without_eventlet

if TYPE_CHECKING:
    from glancecore.features.imports.dispatch.board import Board


def load_board(conf: cfg.ConfigOpts) -> Board | None:
    """None when the operator has none. Raises ConfigError."""
    if not conf.jobboard.url:
        return None
    quiet_taskflow()
    with without_eventlet():
        from glancecore.features.imports.dispatch.board import Board

    return Board(conf.jobboard.url, conf.jobboard.name, conf.jobboard.claim_ttl)
