"""How long an operation may be silent before another process takes it over."""

from __future__ import annotations

from oslo_config import cfg

OPTIONS: dict[str, list[cfg.Opt]] = {
    "lease": [
        cfg.FloatOpt(
            "ttl",
            default=60.0,
            min=2.0,
            help="Seconds after which an operation whose process has died is given up. Its process says that it lives "
            "every third of it.",
        ),
        cfg.FloatOpt("reap_interval", default=15.0, min=0.2, help="Seconds between two looks for given-up operations."),
    ],
}
