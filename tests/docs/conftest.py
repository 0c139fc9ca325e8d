"""Walks through the documents."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / "tools"))
sys.path.insert(0, str(Path(__file__).parents[1] / "packages"))
sys.path.insert(0, str(Path(__file__).parent))

from walking import Shelf, Walk, shelf


@pytest.fixture(scope="session")
def wheels(tmp_path_factory: pytest.TempPathFactory) -> Shelf:
    return shelf(tmp_path_factory.mktemp("shelf"))


@pytest.fixture
def walk(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Callable[[str], Walk]]:
    walks: list[Walk] = []

    def begin(page: str) -> Walk:
        walks.append(Walk(page, tmp_path, lambda: request.getfixturevalue("wheels")))
        return walks[-1]

    yield begin
    for each in walks:
        each.close()
    for each in walks:
        each.end()
