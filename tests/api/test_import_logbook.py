"""A process that dies at any write of TaskFlow's logbook, wherever that is kept: who takes the import over finds its way."""

from __future__ import annotations

import hashlib
import os
import queue
import threading
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy
from api import Person
from conftest import built

from glancecore.assembly.lifecycle import Service
from glancecore.domain import errors
from glancecore.domain.image import Location
from glancecore.features.imports.dispatch.runner import JobOutcome
from glancecore.features.imports.extension import ImportsExtension
from glancecore.features.imports.flow.logbook import LogbookDatabase, LogbookDocuments, LogbookTable
from glancecore.kernel.transfer.store_facade import StoreFacade

DATA = os.urandom(300_000)
GOOD = {"sha256": hashlib.sha256(DATA).hexdigest()}
BAD = {"sha256": "0" * 64}


class Died(BaseException):
    """As far as TaskFlow can tell."""


class Logbook:
    """Dies at its ``at``-th commit from now on."""

    def __init__(self, service: Service, *, documents: bool) -> None:
        self.at = 0
        books = service.of(ImportsExtension).runner._logbook
        assert isinstance(books, LogbookDatabase)
        self._engine = books.engine
        sqlalchemy.event.listen(self._engine, "commit", self._committing)
        if documents:
            service.of(ImportsExtension).runner._logbook = LogbookDocuments(LogbookTable(books))

    def spoil(self) -> None:
        """It names a flow that nobody has, as after a change of versions."""
        factory = "glancecore.features.imports.flow.pipeline.make_flow"
        with self._engine.begin() as connection:
            for table, column in (("flowdetails", "meta"), ("import_logbooks", "document")):
                if sqlalchemy.inspect(connection).has_table(table):
                    connection.exec_driver_sql(f"UPDATE {table} SET {column} = replace({column}, '{factory}', 'no.such')")

    def _committing(self, _connection: object) -> None:
        self.at -= 1
        if self.at == 0:
            raise Died


@pytest.fixture(params=["tables", "documents"])
def service(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[Service]:
    """Imports that begin wait for the test to take them."""
    monkeypatch.setattr("glancecore.features.imports.dispatch.runner._CLOSING", timedelta())
    with built("sqlite", {"imports": {"max_parallel_stores": 2}, "image_import_opts": {"image_import_plugins": "[inject_image_metadata]"},
                          "inject_metadata_properties": {"inject": "os_distro:debian", "ignore_user_roles": "nobody"}}) as made:
        monkeypatch.setattr(made.of(ImportsExtension).runner, "submit", lambda _task, lease: made.of(ImportsExtension).runner._services.leases.forget(lease))
        yield made


@pytest.fixture
def logbook(request: pytest.FixtureRequest, service: Service) -> Logbook:
    return Logbook(service, documents="documents" in request.node.name)


def begun(owner: Person, expected: dict[str, str], stores: list[str]) -> tuple[str, str]:
    image_id = str(owner.create()["id"])
    assert owner.call("PUT", f"/v2/images/{image_id}/stage", DATA, Content_Type="application/octet-stream").status_code == 204
    body = {"method": {"name": "glance-direct", "expected": expected}, "stores": stores}
    assert owner.call("POST", f"/v2/images/{image_id}/import", body).status_code == 202
    return image_id, task(owner, image_id)["id"]


def task(owner: Person, image_id: str) -> dict[str, Any]:
    return dict((owner.call("GET", f"/v2/images/{image_id}/tasks").json or {})["tasks"][0])


@pytest.mark.parametrize(("expected", "stores"), [(GOOD, ["fast"]), (GOOD, ["fast", "slow"]), (BAD, ["fast"])], ids=["one", "two", "bad"])
def test_death_at_each_write(service: Service, logbook: Logbook, expected: dict[str, str], stores: list[str]) -> None:
    owner, at, died = Person(service.app), 0, True
    while died:
        at += 1
        image_id, task_id = begun(owner, expected, stores)
        logbook.at = at
        try:
            service.of(ImportsExtension).runner.take(task_id)
            died = False
        except Died:
            logbook.at = 0
            assert service.of(ImportsExtension).runner.take(task_id) is JobOutcome.ENDED, at
        found, image = task(owner, image_id), dict(owner.call("GET", f"/v2/images/{image_id}").json or {})
        if expected is GOOD:
            assert (found["status"], found["error"], image["status"]) == ("success", None, "active"), (at, found)
            assert image["os_hash_value"] == hashlib.sha512(DATA).hexdigest()
        else:
            assert (found["status"], found["error"], image["status"]) == ("failure", "hash_mismatch", "queued"), (at, found)
        assert owner.call("DELETE", f"/v2/images/{image_id}").status_code == 204
    assert at > 10, "it went through the logbook"
    logbook.at = 0
    service.of(ImportsExtension).runner.tidy()
    assert not service.of(ImportsExtension).runner._logbook.books()


def test_a_logbook_that_cannot_be_read(service: Service, logbook: Logbook) -> None:
    owner = Person(service.app)
    image_id, task_id = begun(owner, GOOD, ["fast", "slow"])
    logbook.at = 8
    with pytest.raises(Died):
        service.of(ImportsExtension).runner.take(task_id)
    logbook.spoil()
    assert service.of(ImportsExtension).runner.take(task_id) is JobOutcome.ENDED
    assert task(owner, image_id)["status"] == "success"
    service.of(ImportsExtension).runner.tidy()
    assert not service.of(ImportsExtension).runner._logbook.books()


def test_a_process_that_takes_over_from_itself(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    """As after an outage of the database that was longer than its leases: the thread that has lost the import ends beside the new one."""
    owner, put, blocked, go = Person(service.app), StoreFacade.put, queue.SimpleQueue[str](), {x: threading.Event() for x in ("first", "second")}

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
