"""How a plugin declares its options and how it reads them."""

from __future__ import annotations

from collections.abc import Sequence

from oslo_config import cfg

#: A plugin's options, in the order in which the sample file shows them.
Options = Sequence[cfg.Opt]
#: The plugin's own section of the operator's file: ``section.option_name``.
Section = cfg.ConfigOpts.GroupAttr
