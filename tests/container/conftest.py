"""The container image, built as `make image` does, on a minimal Debian made here; it runs without a network and without
privileges."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / "tools"))
sys.path.insert(0, str(Path(__file__).parent))

from engine import Containers, engine


@pytest.fixture(scope="session")
def containers() -> Iterator[Containers]:
    with engine() as made:
        yield made
