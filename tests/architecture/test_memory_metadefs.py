"""The in-memory metadata definitions keep every rule that real ones keep."""

from __future__ import annotations

import pytest

from glancecore.testing.fakes import MemoryDatabase
from glancecore.testing.metadefs import MetadefConformance


class TestMemoryMetadefs(MetadefConformance):
    @pytest.fixture
    def database(self) -> MemoryDatabase:
        return MemoryDatabase()
