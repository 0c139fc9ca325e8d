"""The YAML files over three nodes and a registry."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from conftest import built
from gabbi.driver import test_pytest  # noqa: F401 (pytest collects it)
from gabbits import LateApp, generator

APP = LateApp()
pytest_generate_tests = generator(__name__, APP)


@pytest.fixture(scope="module", autouse=True)
def _app() -> Iterator[None]:
    with built("registry") as APP.service:
        yield
