"""Quotas from the configuration file: the same for every project."""

from __future__ import annotations

import re

from oslo_config import cfg

from glancecore.domain.errors import ConfigError
from glancecore.domain.quota import Limits
from glancecore.ports.options import Section
from glancecore.ports.quota import Quota

_UNITS = {"": 1, "B": 1, "KB": 1 << 10, "MB": 1 << 20, "GB": 1 << 30, "TB": 1 << 40}


def parse_size(text: str, option: str) -> int:
    """Bytes of ``10GB`` and the like; units are powers of 1024, as Glance's. Raises ConfigError."""
    found = re.fullmatch(r"\s*(\d+)\s*(B|KB|MB|GB|TB|)\s*", text)
    if not found:
        raise ConfigError(
            f"{option} = {text!r}: write a number with B, KB, MB, GB or TB, such as 100GB; 0 for no limit"
        )
    return int(found[1]) * _UNITS[found[2]]


class ConfigQuota(Quota):
    """user_storage_quota, project_image_quota and project_uploading_quota of [DEFAULT]."""

    def __init__(self, conf: Section, config: cfg.ConfigOpts) -> None:
        super().__init__(conf, config)
        size = parse_size(config.user_storage_quota, "[DEFAULT] user_storage_quota")
        self._limits = Limits(
            bytes=size or None,
            images=_limit(config.project_image_quota),
            uploading=_limit(config.project_uploading_quota),
        )

    def limits(self, project: str | None) -> Limits:  # noqa: ARG002 (one answer for all)
        return self._limits


def _limit(number: int) -> int | None:
    return None if number < 0 else number
