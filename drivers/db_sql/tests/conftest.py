"""Real databases for the tests: SQLite files, and an own database on a MariaDB and a PostgreSQL server."""

from __future__ import annotations

import os
import subprocess
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from glancecore_db_sql.address import parse
from glancecore_db_sql.driver import SqlDatabase
from glancecore_db_sql.options import OPTIONS
from glancecore_db_sql.tables import METADATA
from sqlalchemy import URL, create_engine

from glancecore.testing.settings import make_section

BACKENDS = Path(__file__).parents[3] / "tests" / "backends"


def server_url(kind: str) -> URL:
    """Where the server is; started when the environment does not say. A server that can't be had fails the tests."""
    given = os.environ.get(f"GLANCECORE_TEST_{kind.upper()}_URL")
    if given is None:
        done = subprocess.run([BACKENDS / f"{kind}-up.sh"], capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"no {kind} to test with: {done.stderr}"
        given = done.stdout.strip().splitlines()[-1]
    return parse(given)


@pytest.fixture(scope="class", params=["sqlite", "mariadb", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """An empty database for one test class, without a schema."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path_factory.mktemp('sqlite')}/images.sqlite"
        return
    admin, name = server_url(request.param), f"kit_{uuid.uuid4().hex}"
    engine = create_engine(admin, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.exec_driver_sql(f"CREATE DATABASE {name}")
    yield admin.set(database=name).render_as_string(hide_password=False)
    force = " WITH (FORCE)" if request.param == "postgresql" else ""
    with engine.connect() as connection:
        connection.exec_driver_sql(f"DROP DATABASE {name}{force}")
    engine.dispose()


@pytest.fixture(scope="class")
def opened() -> Iterator[Callable[..., SqlDatabase]]:
    """Makes a driver for a URL, with other options than the defaults when given; closed in the end."""
    made: list[SqlDatabase] = []

    def make(url: str, **options: object) -> SqlDatabase:
        made.append(SqlDatabase(make_section(OPTIONS, connection=url, **options)))
        return made[-1]

    yield make
    for database in made:
        database.close()


@pytest.fixture(scope="class")
def synced(url: str, opened: Callable[..., SqlDatabase]) -> SqlDatabase:
    database = opened(url)
    database.sync()
    return database


@pytest.fixture
def database(synced: SqlDatabase) -> SqlDatabase:
    with synced.connections.engine.connect() as connection:
        for table in reversed(METADATA.sorted_tables):
            connection.execute(table.delete())
    return synced
