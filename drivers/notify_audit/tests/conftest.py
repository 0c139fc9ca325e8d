"""Notifiers made from an operator's configuration."""

from __future__ import annotations

from pathlib import Path

import lab
from glancecore_notify_audit.driver import AuditNotifier
from glancecore_notify_audit.options import OPTIONS
from oslo_config import cfg


def notifier(here: Path, **options: object) -> AuditNotifier:
    file = here / "audit.conf"
    file.write_text(lab.config_text({"notify_audit": options}))
    conf = cfg.ConfigOpts()
    conf(args=[], default_config_files=[str(file)], project="glance")
    conf.register_opts(OPTIONS, group="notify_audit")
    return AuditNotifier(conf.notify_audit, conf)
