"""Each rule of the port, through a real glance-registry."""

from __future__ import annotations

import pytest
from glancecore_db_registry.driver import RegistryDatabase

from glancecore.testing.metadefs import MetadefConformance
from glancecore.testing.outbox_repository import OutboxConformance
from glancecore.testing.record_repository import RecordConformance
from glancecore.testing.repository import RepositoryConformance
from glancecore.testing.task_repository import TaskConformance


class TestRegistryDatabase(RepositoryConformance):
    @pytest.fixture
    def database(self, database: RegistryDatabase) -> RegistryDatabase:
        return database


class TestRegistryMetadefs(MetadefConformance):
    @pytest.fixture
    def database(self, database: RegistryDatabase) -> RegistryDatabase:
        return database


class TestRegistryTasks(TaskConformance):
    @pytest.fixture
    def database(self, database: RegistryDatabase) -> RegistryDatabase:
        return database


class TestRegistryOutbox(OutboxConformance):
    @pytest.fixture
    def database(self, database: RegistryDatabase) -> RegistryDatabase:
        return database


class TestRegistryRecords(RecordConformance):
    @pytest.fixture
    def database(self, database: RegistryDatabase) -> RegistryDatabase:
        return database
