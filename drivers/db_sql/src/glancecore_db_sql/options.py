"""Options of section ``[database]``; names are oslo.db's where the meaning is the same. Imports oslo.config only."""

from __future__ import annotations

from oslo_config import cfg

OPTIONS = [
    cfg.StrOpt(
        "connection",
        default="sqlite:///glancecore.sqlite",
        secret=True,
        help="Where the data is: sqlite:////path/to/file, mysql+pymysql://user:password@host/name or "
        "postgresql+psycopg://user:password@host/name. A relative SQLite path starts at the working directory.",
    ),
    cfg.IntOpt("max_pool_size", default=10, min=1, help="Connections that each process keeps open."),
    cfg.IntOpt("max_overflow", default=50, min=0, help="Connections beyond max_pool_size, closed after use."),
    cfg.FloatOpt(
        "pool_timeout",
        default=30,
        min=0,
        help="Seconds to wait for a free connection before the request fails as unavailable.",
    ),
    cfg.IntOpt(
        "connection_recycle_time",
        default=3600,
        help="Seconds after which a connection is replaced; below the server's own idle timeout. -1: never.",
    ),
    cfg.FloatOpt(
        "sqlite_busy_timeout",
        default=60,
        min=0,
        help="Seconds that a writer waits for other processes writing to the same SQLite file.",
    ),
    cfg.IntOpt(
        "db_max_retries",
        default=20,
        min=-1,
        help="How often a write is tried again after a deadlock, a lock conflict or a connection that broke before the "
        "commit was sent; -1: without an end.",
    ),
]


def list_opts() -> list[tuple[str, list[cfg.Opt]]]:
    return [("database", OPTIONS)]
