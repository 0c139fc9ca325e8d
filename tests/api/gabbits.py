"""Runs the YAML files of ``gabbits/`` against the application in-process, over one database."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from gabbi import driver

from glancecore.assembly.lifecycle import Service

if TYPE_CHECKING:
    from wsgiref.types import StartResponse, WSGIEnvironment

FOLDER = Path(__file__).parent / "gabbits"


class LateApp:
    """gabbi wants the application when tests are collected; ours is there when they run."""

    def __init__(self) -> None:
        self.service: Service | None = None

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        assert self.service is not None
        return self.service.app({**environ, "REMOTE_ADDR": "127.0.0.1"}, start_response)


def generator(module: str, app: LateApp) -> Callable[[pytest.Metafunc], None]:
    """The ``pytest_generate_tests`` of a module."""

    def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
        driver.py_test_generator(str(FOLDER), intercept=lambda: app, test_loader_name=module, metafunc=metafunc)

    return pytest_generate_tests
