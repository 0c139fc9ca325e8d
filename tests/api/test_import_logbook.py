"""A process that dies at any write of TaskFlow's logbook: who takes the import over finds its way."""

from __future__ import annotations

import hashlib
import queue
import threading
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from api import Person
from conftest import built
from dead_imports import DATA, Died, begun, task

from glancecore.assembly.lifecycle import Service
from glancecore.domain import errors
from glancecore.domain.image import Location
from glancecore.features.imports.dispatch.runner import JobOutcome
from glancecore.features.imports.extension import ImportsExtension
from glancecore.features.imports.flow.logbook import COLLECTION, Logbook, Logbooks
from glancecore.kernel.transfer.store_facade import StoreFacade
from glancecore.ports.record_repository import RecordQuery

pytestmark = pytest.mark.long

GOOD = {"sha256": hashlib.sha256(DATA).hexdigest()}
BAD = {"sha256": "0" * 64}


class DyingLogbooks(Logbooks):
    """Dies at its ``at``-th write from now on: before it is done, or behind it."""

    at, saved = 0, False

    def put(self, task_id: str, logbook: Logbook) -> None:
        self.at -= 1
        if self.at == 0 and not self.saved:
            raise Died
        super().put(task_id, logbook)
        if self.at == 0:
            raise Died

    def spoil(self, task_id: str) -> None:
        """It names a flow that nobody has, as after a change of versions."""
        book, factory = self.get(task_id), "glancecore.features.imports.flow.pipeline.make_flow"
        assert book is not None
        spoilt = {path: text.replace(factory, "no.such") for path, text in book.items.items()}
        assert spoilt != book.items
        super().put(task_id, Logbook(book.version + 1, spoilt))


@pytest.fixture
def service(monkeypatch: pytest.MonkeyPatch) -> Iterator[Service]:
    """Imports that begin wait for the test to take them."""
    monkeypatch.setattr("glancecore.features.imports.flow.logbook.QUIET", timedelta())
    monkeypatch.setattr("glancecore.features.imports.dispatch.upkeep._CLOSING", timedelta())
    with built(
        "sqlite",
        {
            "imports": {"max_parallel_stores": 2},
            "image_import_opts": {"image_import_plugins": "[inject_image_metadata]"},
            "inject_metadata_properties": {"inject": "os_distro:debian", "ignore_user_roles": "nobody"},
        },
    ) as made:
        monkeypatch.setattr(
            made.of(ImportsExtension).runner,
            "submit",
            lambda _task, lease: made.of(ImportsExtension).runner._services.leases.forget(lease),
        )
        yield made


@pytest.fixture(params=["before", "behind"])
def logbooks(request: pytest.FixtureRequest, service: Service) -> DyingLogbooks:
    made = DyingLogbooks(service.database)
    made.saved = request.param == "behind"
    runner = service.of(ImportsExtension).runner
    runner._logbook = runner._upkeep._logbook = made
    return made


def left(service: Service) -> list[str]:
    return [x.id for x in service.database.records.find(RecordQuery(COLLECTION))]


@pytest.mark.parametrize(
    ("expected", "stores"), [(GOOD, ["fast"]), (GOOD, ["fast", "slow"]), (BAD, ["fast"])], ids=["one", "two", "bad"]
)
def test_death_at_each_write(
    service: Service, logbooks: DyingLogbooks, expected: dict[str, str], stores: list[str]
) -> None:
    owner, at, died = Person(service.app), 0, True
    while died:
        at += 1
        image_id, task_id = begun(owner, expected, stores)
        logbooks.at = at
        try:
            service.of(ImportsExtension).runner.take(task_id)
            died = False
        except Died:
            logbooks.at = 0
            assert service.of(ImportsExtension).runner.take(task_id) is JobOutcome.ENDED, at
        found, image = task(owner, image_id), dict(owner.call("GET", f"/v2/images/{image_id}").json or {})
        if expected is GOOD:
            assert (found["status"], found["error"], image["status"]) == ("success", None, "active"), (at, found)
            assert image["os_hash_value"] == hashlib.sha512(DATA).hexdigest()
        else:
            assert (found["status"], found["error"], image["status"]) == ("failure", "hash_mismatch", "queued"), (
                at,
                found,
            )
        assert owner.call("DELETE", f"/v2/images/{image_id}").status_code == 204
    assert at > 5, "the end of each atom goes through the logbook"
    logbooks.at = 0
    service.of(ImportsExtension).runner.tidy()
    assert left(service) == []


def test_a_logbook_that_cannot_be_read(service: Service, logbooks: DyingLogbooks) -> None:
    owner = Person(service.app)
    image_id, task_id = begun(owner, GOOD, ["fast", "slow"])
    logbooks.at = 4
    with pytest.raises(Died):
        service.of(ImportsExtension).runner.take(task_id)
    logbooks.spoil(task_id)
    assert service.of(ImportsExtension).runner.take(task_id) is JobOutcome.ENDED
    assert task(owner, image_id)["status"] == "success"
    service.of(ImportsExtension).runner.tidy()
    assert left(service) == []


def test_a_process_that_takes_over_from_itself(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    """As after an outage of the database that was longer than its leases: the thread that has lost the import ends
    beside the new one."""
    owner, put, blocked, go = (
        Person(service.app),
        StoreFacade.put,
        queue.SimpleQueue[str](),
        {x: threading.Event() for x in ("first", "second")},
    )

    def held(self: StoreFacade, *args: Any, **more: Any) -> Location:
        if self.id == "fast":
            blocked.put(threading.current_thread().name)
            assert go[threading.current_thread().name].wait(10)
        return put(self, *args, **more)

    def nothing_to_adopt(_store: StoreFacade, _key: str, _path: Path) -> Location:
        raise errors.Unsupported("no links", "", "adopt")

    image_id, task_id = begun(owner, GOOD, ["fast"])
    monkeypatch.setattr(StoreFacade, "put", held)
    monkeypatch.setattr(StoreFacade, "adopt", nothing_to_adopt)
    threads = [threading.Thread(target=service.of(ImportsExtension).runner.take, args=(task_id,), name=x) for x in go]
    for thread in threads:
        thread.start()
        assert blocked.get(timeout=10) == thread.name
    for thread in threads:
        go[thread.name].set()
        thread.join(10)
    assert task(owner, image_id)["status"] == "success", task(owner, image_id)
    assert owner.call("GET", f"/v2/images/{image_id}/file").data == DATA
