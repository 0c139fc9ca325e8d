"""The in-memory database keeps every rule that a real one keeps."""

from __future__ import annotations

import pytest

from glancecore.testing.fakes import MemoryDatabase
from glancecore.testing.job_repository import JobConformance
from glancecore.testing.place_repository import PlaceConformance
from glancecore.testing.record_repository import RecordConformance
from glancecore.testing.repository import RepositoryConformance
from glancecore.testing.task_repository import TaskConformance

pytestmark = pytest.mark.long


class TestMemoryDatabase(RepositoryConformance):
    @pytest.fixture
    def database(self) -> MemoryDatabase:
        return MemoryDatabase()


class TestMemoryTasks(TaskConformance):
    @pytest.fixture
    def database(self) -> MemoryDatabase:
        return MemoryDatabase()


class TestMemoryJobs(JobConformance):
    @pytest.fixture
    def database(self) -> MemoryDatabase:
        return MemoryDatabase()


class TestMemoryPlaces(PlaceConformance):
    @pytest.fixture
    def database(self) -> MemoryDatabase:
        return MemoryDatabase()


class TestMemoryRecords(RecordConformance):
    @pytest.fixture
    def database(self) -> MemoryDatabase:
        return MemoryDatabase()
