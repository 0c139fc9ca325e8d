"""How plugins are started. Which ones is said where each kind has its options."""

from __future__ import annotations

from oslo_config import cfg

OPTIONS: dict[str, list[cfg.Opt]] = {
    "DEFAULT": [
        cfg.FloatOpt(
            "plugin_start_timeout",
            default=60.0,
            min=1.0,
            help=(
                "Seconds that the start of one plugin may take: a store that reaches its backend, a check of tools. One"
                " that takes longer is broken: the service goes on without it, or does not start, as its kind says."
            ),
        ),
    ],
}
