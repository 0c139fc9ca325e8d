"""Whatever a part of an import does to the process that runs it, the import ends: it is taken over a bounded number of
times in one stage."""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import strangers
from api import Person
from conftest import built
from dead_imports import Died, begun, task

from glancecore.assembly.lifecycle import Service
from glancecore.domain import errors
from glancecore.domain.image import Location
from glancecore.features.imports.dispatch.runner import JobOutcome
from glancecore.features.imports.extension import ImportsExtension
from glancecore.kernel.transfer.store_facade import StoreFacade
from glancecore.ports.import_step import ImportStep

pytestmark = pytest.mark.long

TAKEOVERS = 3


@pytest.fixture
def service(monkeypatch: pytest.MonkeyPatch) -> Iterator[Service]:
    """Imports that begin wait for the test to take them."""
    with built(
        "sqlite",
        {
            "imports": {"max_takeovers": TAKEOVERS},
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


@pytest.fixture
def step(service: Service) -> ImportStep:
    return service.of(ImportsExtension).runner._services.steps["inject_image_metadata"]


def raises(
    exc: BaseException, times: float = float("inf"), then: Callable[..., Any] | None = None
) -> Callable[..., Any]:
    """A call that raises so often, and then is what it was."""
    count = itertools.count()

    def call(*args: Any, **more: Any) -> Any:
        if next(count) < times:
            raise exc
        return then(*args, **more) if then else None

    return call


def begin(service: Service, stores: list[str] | None = None) -> tuple[Person, str, str]:
    owner = Person(service.app)
    return owner, *begun(owner, {}, stores or ["fast"])


def image(owner: Person, image_id: str) -> dict[str, Any]:
    return dict(owner.call("GET", f"/v2/images/{image_id}").json or {})


def test_one_that_ends_each_process_fails(service: Service, step: ImportStep, monkeypatch: pytest.MonkeyPatch) -> None:
    owner, image_id, task_id = begin(service)
    monkeypatch.setattr(step, "run", raises(Died()))
    for _ in range(1 + TAKEOVERS):
        with pytest.raises(Died):
            service.of(ImportsExtension).runner.take(task_id)
        assert task(owner, image_id)["status"] == "processing"
    assert service.of(ImportsExtension).runner.take(task_id) is JobOutcome.ENDED
    ended = task(owner, image_id)
    assert (ended["status"], ended["error"]) == ("failure", "import_failed")
    assert ended["message"] == "step:inject_image_metadata was broken off 4 times; the operator's log says why"
    found = image(owner, image_id)
    assert (found["status"], "os_distro" in found) == ("uploading", False)
    # what was staged is not to blame for certain: without the step it goes on
    monkeypatch.undo()
    assert owner.call("POST", f"/v2/images/{image_id}/import", {"method": {"name": "glance-direct"}}).status_code == 202


def test_one_whose_undoing_does_so_too(service: Service, step: ImportStep, monkeypatch: pytest.MonkeyPatch) -> None:
    owner, image_id, task_id = begin(service)
    monkeypatch.setattr(step, "run", raises(errors.StepFailed("no")))
    monkeypatch.setattr(step, "undo", raises(Died()))
    for _ in range(1 + TAKEOVERS):
        with pytest.raises(Died):
            service.of(ImportsExtension).runner.take(task_id)
    assert service.of(ImportsExtension).runner.take(task_id) is JobOutcome.ENDED
    ended = task(owner, image_id)
    assert (ended["status"], ended["error"], image(owner, image_id)["status"]) == ("failure", "step_failed", "queued")


@pytest.mark.parametrize(
    "left",
    [errors.ImportSuspended("the process is stopping"), errors.DatabaseUnavailable("away")],
    ids=["stopped", "outage"],
)
def test_an_undo_that_is_stopped_goes_on_elsewhere(
    service: Service, step: ImportStep, monkeypatch: pytest.MonkeyPatch, left: errors.GlanceError
) -> None:
    owner, image_id, task_id = begin(service)
    monkeypatch.setattr(
        "glancecore.features.imports.stages.writing.write", raises(errors.StoreFull("full", "fast", "put"))
    )
    monkeypatch.setattr(step, "undo", raises(left, 2, step.undo))
    for _ in range(2):
        assert service.of(ImportsExtension).runner.take(task_id) is JobOutcome.LATER
        assert "os_distro" in image(owner, image_id)
    assert service.of(ImportsExtension).runner.take(task_id) is JobOutcome.ENDED
    assert (task(owner, image_id)["status"], "os_distro" in image(owner, image_id)) == ("failure", False)


def test_each_stage_counts_anew(service: Service, step: ImportStep, monkeypatch: pytest.MonkeyPatch) -> None:
    """As when workers die every few seconds: what comes further goes on."""
    owner, image_id, task_id = begin(service)
    monkeypatch.setattr(step, "run", raises(Died(), TAKEOVERS, step.run))
    monkeypatch.setattr(StoreFacade, "adopt", raises(Died(), TAKEOVERS, StoreFacade.adopt))
    for _ in range(2 * TAKEOVERS):
        with pytest.raises(Died):
            service.of(ImportsExtension).runner.take(task_id)
    assert service.of(ImportsExtension).runner.take(task_id) is JobOutcome.ENDED
    assert (task(owner, image_id)["status"], image(owner, image_id)["status"]) == ("success", "active")


def test_writing_to_several_stores_is_one_stage(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    owner, image_id, task_id = begin(service, ["fast", "slow"])
    put = StoreFacade.put

    def deadly(store: StoreFacade, *args: Any, **more: Any) -> Location:
        if store.id == "slow":
            raise Died
        return put(store, *args, **more)

    monkeypatch.setattr(StoreFacade, "put", deadly)
    for _ in range(1 + TAKEOVERS):
        with pytest.raises(Died):
            service.of(ImportsExtension).runner.take(task_id)
    assert service.of(ImportsExtension).runner.take(task_id) is JobOutcome.ENDED
    assert (task(owner, image_id)["status"], image(owner, image_id)["status"]) == ("failure", "uploading")


@pytest.mark.parametrize(
    "left",
    [errors.ImportSuspended("the process is stopping"), errors.DatabaseUnavailable("away")],
    ids=["handed-over", "outage"],
)
def test_who_lives_does_not_count(
    service: Service, step: ImportStep, monkeypatch: pytest.MonkeyPatch, left: errors.GlanceError
) -> None:
    owner, image_id, task_id = begin(service)
    monkeypatch.setattr(step, "run", raises(left, 3 * TAKEOVERS, step.run))
    for _ in range(3 * TAKEOVERS):
        assert service.of(ImportsExtension).runner.take(task_id) is JobOutcome.LATER
    assert service.of(ImportsExtension).runner.take(task_id) is JobOutcome.ENDED
    assert task(owner, image_id)["status"] == "success"


@pytest.mark.parametrize("code", [0, 1])
def test_exit_is_a_failure_like_others(
    service: Service, step: ImportStep, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    owner, image_id, task_id = begin(service)
    monkeypatch.setattr(step, "run", raises(SystemExit(code)))
    monkeypatch.setattr(step, "undo", raises(SystemExit(code)))
    assert service.of(ImportsExtension).runner.take(task_id) is JobOutcome.ENDED
    ended = task(owner, image_id)
    assert (ended["status"], ended["error"]) == ("failure", "import_failed")


def test_a_hanging_step_ends_when_its_import_is_cancelled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A real one, in a process of its own."""
    source = f"""
import pathlib, time
from glancecore.ports.import_step import ImportStep
class Hang(ImportStep):
    plugin_api = "1.0"
    def run(self, work):
        pathlib.Path({str(tmp_path / "begun")!r}).touch()
        time.sleep(1000)
    def undo(self, work):
        pathlib.Path({str(tmp_path / "undone")!r}).touch()
"""
    with (
        strangers.plugin(tmp_path, "glancecore.import_steps", {"hang": "Hang"}, source),
        built("sqlite", {"image_import_opts": {"image_import_plugins": "[hang]"}}) as service,
    ):
        monkeypatch.setattr(
            service.of(ImportsExtension).runner,
            "submit",
            lambda _task, lease: service.of(ImportsExtension).runner._services.leases.forget(lease),
        )
        owner, image_id, task_id = begin(service)
        worker = threading.Thread(target=service.of(ImportsExtension).runner.take, args=(task_id,))
        worker.start()
        while not (tmp_path / "begun").exists():
            assert worker.is_alive()
            time.sleep(0.02)
        assert owner.call("POST", f"/v2/images/{image_id}/tasks/{task_id}/actions/cancel").status_code == 202
        worker.join(60)
        assert not worker.is_alive()
        assert (task(owner, image_id)["status"], task(owner, image_id)["error"]) == ("failure", "cancelled")
        assert (tmp_path / "undone").exists()
