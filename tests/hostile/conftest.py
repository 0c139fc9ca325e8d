"""The suite that does what no honest client does, against the real application in-process."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "api"))
sys.path.insert(0, str(Path(__file__).parent))

import house


@pytest.fixture(scope="session", params=("sqlite", "mariadb", "postgresql"))
def anywhere(request: pytest.FixtureRequest) -> Iterator[house.House]:
    """On each database."""
    with house.opened(request.param) as made:
        yield made


@pytest.fixture(scope="session")
def here() -> Iterator[house.House]:
    with house.opened("sqlite") as made:
        yield made
