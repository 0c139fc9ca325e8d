"""The in-memory database keeps every rule that a real one keeps."""

from __future__ import annotations

import pytest

from glancecore.testing.fakes import MemoryDatabase
from glancecore.testing.repository import RepositoryConformance


class TestMemoryDatabase(RepositoryConformance):
    @pytest.fixture
    def database(self) -> MemoryDatabase:
        return MemoryDatabase()
