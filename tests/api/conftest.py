"""The real application in-process, over each database; identity by headers."""

from __future__ import annotations

import contextlib
import sys
import tempfile
from collections.abc import Generator, Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1]))
sys.path.insert(0, str(Path(__file__).parent))

import lab

from glancecore import bootstrap
from glancecore import conf as configuration

DATABASES = ("sqlite", "mariadb", "postgresql")


@contextlib.contextmanager
def built(database: str, config: lab.Config | None = None) -> Iterator[bootstrap.Service]:
    """The service over a fresh database of that kind."""
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        url = f"sqlite:///{folder}/glance.sqlite" if database == "sqlite" else stack.enter_context(lab.new_database(database))
        file = folder / "glance-api.conf"
        file.write_text(lab.config_text(lab.merged({
            "DEFAULT": {"auth_strategy": "headers", "enabled_backends": "fast:file, slow:file", "notifiers": ""},
            "glance_store": {"default_backend": "fast"}, "database": {"connection": url},
            "fast": {"filesystem_store_datadir": folder / "fast", "weight": 10},
            "slow": {"filesystem_store_datadir": folder / "slow", "store_description": "the slow one"},
        }, config or {})))
        conf = configuration.new(files=[str(file)])
        service = bootstrap.build(conf)
        service.database.sync()
        yield service
        service.close()


@pytest.fixture(scope="session", params=DATABASES)
def service(request: pytest.FixtureRequest) -> Iterator[bootstrap.Service]:
    with built(request.param) as made:
        yield made


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> Generator[None, None, None]:
    """gabbi takes every test whose name has a colon for one of its own."""
    for item in items:
        if not item.name.startswith("test_pytest["):
            item.name = item.name.replace(":", "=")
    return (yield)
