"""Each rule of the port, on each database."""

from __future__ import annotations

import pytest
from glancecore_db_sql.driver import SqlDatabase

from glancecore.testing.job_repository import JobConformance
from glancecore.testing.metadefs import MetadefConformance
from glancecore.testing.outbox_repository import OutboxConformance
from glancecore.testing.place_repository import PlaceConformance
from glancecore.testing.record_repository import RecordConformance
from glancecore.testing.repository import RepositoryConformance
from glancecore.testing.task_repository import TaskConformance


class TestSqlDatabase(RepositoryConformance):
    @pytest.fixture
    def database(self, database: SqlDatabase) -> SqlDatabase:
        return database


class TestSqlMetadefs(MetadefConformance):
    @pytest.fixture
    def database(self, database: SqlDatabase) -> SqlDatabase:
        return database


class TestSqlTasks(TaskConformance):
    @pytest.fixture
    def database(self, database: SqlDatabase) -> SqlDatabase:
        return database


class TestSqlOutbox(OutboxConformance):
    @pytest.fixture
    def database(self, database: SqlDatabase) -> SqlDatabase:
        return database


class TestSqlJobs(JobConformance):
    @pytest.fixture
    def database(self, database: SqlDatabase) -> SqlDatabase:
        return database


class TestSqlPlaces(PlaceConformance):
    @pytest.fixture
    def database(self, database: SqlDatabase) -> SqlDatabase:
        return database


class TestSqlRecords(RecordConformance):
    @pytest.fixture
    def database(self, database: SqlDatabase) -> SqlDatabase:
        return database
