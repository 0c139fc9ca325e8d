"""The in-memory database keeps every rule that a real one keeps."""

from __future__ import annotations

import pytest

from glancecore.testing.cached_repository import CachedConformance
from glancecore.testing.fakes import MemoryDatabase
from glancecore.testing.repository import RepositoryConformance
from glancecore.testing.task_repository import TaskConformance


class TestMemoryDatabase(RepositoryConformance):
    @pytest.fixture
    def database(self) -> MemoryDatabase:
        return MemoryDatabase()


class TestMemoryTasks(TaskConformance):
    @pytest.fixture
    def database(self) -> MemoryDatabase:
        return MemoryDatabase()


class TestMemoryCached(CachedConformance):
    @pytest.fixture
    def database(self) -> MemoryDatabase:
        return MemoryDatabase()
