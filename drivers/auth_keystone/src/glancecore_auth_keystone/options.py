"""Options of [auth_keystone]; imports nothing but oslo.config, so that samples build anywhere."""

from __future__ import annotations

from oslo_config import cfg

OPTIONS: list[cfg.Opt] = []


def list_opts() -> list[tuple[str, list[cfg.Opt]]]:
    """For oslo-config-generator."""
    return [("auth_keystone", list(OPTIONS))]
