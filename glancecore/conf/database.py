"""Which database plugin holds the metadata; its own options are in the same section."""

from __future__ import annotations

from oslo_config import cfg

OPTIONS: dict[str, list[cfg.Opt]] = {
    "database": [
        cfg.StrOpt(
            "driver", default="sql", help="Database plugin: sql (SQLite, MariaDB/MySQL, PostgreSQL), or registry."
        ),
    ],
}
