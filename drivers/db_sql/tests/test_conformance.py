"""Each rule of the port, on each database."""

from __future__ import annotations

import pytest
from glancecore_db_sql.driver import SqlDatabase

from glancecore.testing.metadefs import MetadefConformance
from glancecore.testing.repository import RepositoryConformance


class TestSqlDatabase(RepositoryConformance):
    @pytest.fixture
    def database(self, database: SqlDatabase) -> SqlDatabase:
        return database


class TestSqlMetadefs(MetadefConformance):
    @pytest.fixture
    def database(self, database: SqlDatabase) -> SqlDatabase:
        return database
