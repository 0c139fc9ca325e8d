"""The wire hides nothing from the kits: what a saboteur breaks behind a registry is told in front of it, too."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from glancecore_db_registry.driver import RegistryDatabase
from glancecore_db_registry.options import OPTIONS
from prometheus_client import REGISTRY
from werkzeug.test import Client

from glancecore.domain.errors import GlanceError
from glancecore.registry.app import RegistryApp, RegistrySettings
from glancecore.registry.probes import Probes
from glancecore.sdk.registry import signing as proof
from glancecore.testing.fakes import MemoryDatabase, MemoryImages
from glancecore.testing.memory_metadefs import MemoryMetadefs
from glancecore.testing.memory_outbox import MemoryOutbox
from glancecore.testing.metadefs import MetadefConformance
from glancecore.testing.outbox_repository import OutboxConformance
from glancecore.testing.repository import RepositoryConformance
from glancecore.testing.settings import make_section
from glancecore.testing.task_repository import TaskConformance

pytestmark = pytest.mark.long

KITS = {
    "repository": RepositoryConformance,
    "metadef": MetadefConformance,
    "task": TaskConformance,
    "outbox": OutboxConformance,
}


def cases(kit: str) -> list[tuple[type, Callable[..., None], tuple[object, ...]]]:
    """The saboteurs of a kit, each with the test that catches it."""
    path = Path(__file__).parents[1] / "architecture" / f"test_{kit}_kit.py"
    spec = importlib.util.spec_from_file_location(f"saboteurs_of_{kit}", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    [mark] = [x for x in module.test_the_kit_catches.pytestmark if x.name == "parametrize"]
    return list(mark.args[1])


#: The wire mends it: a result is of the class that the port names, whatever the driver gave.
MENDED = {"ListsWhole"}
CASES = [(kit, *case) for kit in KITS for case in cases(kit)]


def through(behind: MemoryDatabase) -> RegistryDatabase:
    """The real client and the real service, without a server between them."""
    client = Client(RegistryApp(behind, RegistrySettings(), Probes(behind, REGISTRY, 0, None)))
    database = RegistryDatabase(make_section(OPTIONS))

    def post(path: str, shape: str, body: bytes) -> tuple[int, bytes]:
        answer = client.open(path, method="POST", data=body, headers={proof.SHAPE: shape})
        if answer.status_code in (200, 409):
            return answer.status_code, answer.data
        raise RuntimeError(answer.text)

    database.client._post = post  # type: ignore[method-assign]
    return database


@pytest.mark.parametrize(
    ("kit", "saboteur", "test", "arguments"), CASES, ids=[f"{x[0]}-{x[1].__name__}-{x[2].__name__}" for x in CASES]
)
def test_the_kit_catches(
    kit: str, saboteur: Any, test: Callable[..., None], arguments: tuple[object, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    behind = MemoryDatabase()
    if issubclass(saboteur, MemoryMetadefs):
        behind.metadefs = saboteur(behind.metadefs.record)
    elif issubclass(saboteur, MemoryImages):
        behind.images = saboteur()
    elif issubclass(saboteur, MemoryOutbox):
        monkeypatch.setattr(MemoryDatabase, "outbox", property(lambda self: saboteur(self.images)))
    else:
        monkeypatch.setattr(MemoryDatabase, "tasks", property(lambda self: saboteur(self.images)))
    if saboteur.__name__ in MENDED:
        test(KITS[kit](), through(behind), *arguments)
        return
    with pytest.raises(BaseException) as told:
        test(KITS[kit](), through(behind), *arguments)
    assert isinstance(told.value, AssertionError | pytest.fail.Exception | GlanceError | RuntimeError), told.value


@pytest.mark.parametrize(
    ("kit", "test", "arguments"),
    list({(x[0], x[2], repr(x[3])): (x[0], x[2], x[3]) for x in CASES}.values()),
    ids=lambda x: getattr(x, "__name__", None),
)
def test_without_a_saboteur_the_same_test_passes(
    kit: str, test: Callable[..., None], arguments: tuple[object, ...]
) -> None:
    test(KITS[kit](), through(MemoryDatabase()), *arguments)
