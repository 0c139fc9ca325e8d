"""The operator's URL, made fit for SQLAlchemy."""

from __future__ import annotations

from importlib.util import find_spec

from sqlalchemy import URL, make_url
from sqlalchemy.exc import ArgumentError

from glancecore.domain import errors

_FIX = "fix option [database] connection"


def parse(connection: str) -> URL:
    """Raises ConfigError, never showing the password."""
    try:
        url = make_url(connection)
    except (ArgumentError, ValueError):
        raise errors.ConfigError(
            f"{_FIX}: it is no database URL (example: mysql+pymysql://user:password@host/name)"
        ) from None
    backend = {"postgres": "postgresql", "mariadb": "mysql"}.get(url.get_backend_name(), url.get_backend_name())
    driver = url.drivername.partition("+")[2]
    if backend == "mysql":
        # An old "charset=utf8" would refuse 4-byte text.
        return url.set(drivername=f"mysql+{driver or 'pymysql'}").update_query_dict({"charset": "utf8mb4"})
    if backend == "postgresql":
        if not driver or (driver == "psycopg2" and find_spec("psycopg2") is None):
            driver = "psycopg"
        return url.set(drivername=f"postgresql+{driver}")
    if backend == "sqlite":
        if url.database in (None, "", ":memory:"):
            raise errors.ConfigError(f"{_FIX}: SQLite needs a file, as in sqlite:////var/lib/glance/glance.sqlite")
        return url
    raise errors.ConfigError(f"{_FIX}: {backend!r} is not supported; use sqlite, mysql or postgresql")


def missing_module(url: URL, module: str | None) -> errors.ConfigError:
    return errors.ConfigError(
        f"{_FIX}: driver {url.drivername!r} needs the Python module {module or url.get_driver_name()!r}, which is not "
        "installed; install it, or use mysql+pymysql:// or postgresql+psycopg://"
    )
