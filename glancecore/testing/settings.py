"""A plugin's section of the operator's file, without a file."""

from __future__ import annotations

from oslo_config import cfg

from glancecore.ports.options import Options, Section


def make_section(options: Options, **values: object) -> Section:
    """The section of a plugin that declares ``options``; defaults for what is not given."""
    conf = cfg.ConfigOpts()
    conf([], default_config_files=[], default_config_dirs=[])
    conf.register_group(cfg.OptGroup("plugin"))
    conf.register_opts(options, group="plugin")
    for name, value in values.items():
        conf.set_override(name, value, group="plugin")
    made: Section = conf.plugin
    return made
