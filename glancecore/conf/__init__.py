"""The operator's options, one file a group. There is no global CONF: ``new`` makes one, bootstrap hands out values."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from oslo_config import cfg
from oslo_log import log

from glancecore.conf import opts

PROJECT = "glance"


def new(args: Sequence[str] | None = None, files: Sequence[str] | None = None, usage: str | None = None,
        cli: Sequence[cfg.Opt] = (), prog: str = "glance-api") -> cfg.ConfigOpts:
    """Read the configuration. ``files`` None: ``<prog>.conf`` is searched where oslo.config looks (``/etc/glance`` …).

    Every option can also come from the environment as ``OS_<GROUP>__<OPTION>``.
    Raises oslo.config's errors for unreadable files and wrong values; they name file, option and value.
    """
    conf = cfg.ConfigOpts()
    log.register_options(conf)
    conf.register_cli_opts(cli)
    opts.register(conf)
    if files is None:
        files = cfg.find_config_files(project=PROJECT, prog=prog)
    conf(args=list(args or ()), project=PROJECT, prog=prog, usage=usage,
         default_config_files=[str(Path(x)) for x in files])
    return conf
