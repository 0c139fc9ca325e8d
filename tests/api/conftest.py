"""The real application in-process, over each database; identity by headers."""

from __future__ import annotations

import sys
from collections.abc import Generator, Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from building import DATABASES, built

from glancecore.assembly.lifecycle import Service

__all__ = ["DATABASES", "built"]


@pytest.fixture(scope="session", params=DATABASES)
def service(request: pytest.FixtureRequest) -> Iterator[Service]:
    with built(request.param) as made:
        yield made


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> Generator[None, None, None]:
    """gabbi takes every test whose name has a colon for one of its own."""
    for item in items:
        if not item.name.startswith("test_pytest["):
            item.name = item.name.replace(":", "=")
    return (yield)
