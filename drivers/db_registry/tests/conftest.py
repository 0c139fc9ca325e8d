"""A real glance-registry, and databases that reach it. What is behind it, SQLite here, has passed the kit by itself on
each database."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import lab
import pytest
from glancecore_db_registry.driver import RegistryDatabase
from glancecore_db_registry.options import OPTIONS
from glancecore_db_sql.address import parse
from glancecore_db_sql.tables import METADATA
from registries import SECRET, Registry, registry
from sqlalchemy import Engine, create_engine

from glancecore.testing.settings import make_section

Open = Callable[..., RegistryDatabase]


@pytest.fixture
def opened() -> Iterator[Open]:
    """Makes a driver for a registry's URL; closed in the end."""
    made: list[RegistryDatabase] = []

    def make(url: str, **options: object) -> RegistryDatabase:
        made.append(
            RegistryDatabase(make_section(OPTIONS, **{"registry_urls": [url], "registry_secret": SECRET, **options}))
        )
        return made[-1]

    yield make
    for database in made:
        database.close()


@pytest.fixture(scope="package")
def behind() -> Iterator[tuple[Registry, Engine]]:
    """A registry, and its database by the back door."""
    with lab.new_database("sqlite") as url, registry(url) as served:
        engine = create_engine(parse(url))
        yield served, engine
        engine.dispose()


@pytest.fixture
def served(behind: tuple[Registry, Engine]) -> Registry:
    """The registry on an empty database."""
    found, engine = behind
    with engine.begin() as connection:
        for table in reversed(METADATA.sorted_tables):
            connection.execute(table.delete())
    return found


@pytest.fixture
def database(served: Registry, opened: Open) -> RegistryDatabase:
    return opened(served.url)
